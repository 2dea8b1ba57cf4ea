"""baby-a3c: a state dict of a small recurrent actor-critic, its game in the file's name."""

from __future__ import annotations

from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.weights import restore
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError

_KEYS = {"conv1.weight", "conv4.weight", "gru.weight_ih", "critic_linear.weight", "actor_linear.weight"}


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """By the names of its layers."""
    return file.state.keys() >= _KEYS


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent, whose action is sampled as when it was trained."""
    state = file.state
    if state["conv1.weight"].dim() != 4 or state["gru.weight_ih"].dim() != 2:
        raise CheckpointError(
            f"{file.name} has baby-a3c's names, but its weights are not those of convolutions and a GRU"
        )
    actions = len(state["actor_linear.weight"])
    protocol = wishes.settle("baby-a3c", file.hints, file.name)
    protocol, names = wishes.with_actions(protocol, actions, file.name)
    options = {
        "actions": actions,
        "channels": state["conv1.weight"].shape[1],
        "memory_size": state["gru.weight_ih"].shape[0] // 3,
    }
    return Agent(
        network=restore("gru_actor_critic", options, state, file.name),
        protocol=protocol,
        streams=("policy", "value"),
        actions=names,
        policy=wishes.policy or "sample",
        source=file.name,
        facts={"format": "baby-a3c", "algorithm": "A3C"},
    )
