"""A state dict of the user's own network (``.pt``, ``.pth``, ``.safetensors``), which ``network`` builds."""

from __future__ import annotations

from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.custom import make_agent
from policyscope.agents.weights import fill
from policyscope.agents.wishes import Wishes, build, count_actions


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """Whenever the user gives a network."""
    return wishes.network is not None


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent; its streams are those that the network returns, or guessed from their shapes."""
    assert wishes.network is not None
    protocol = wishes.settle("modern", file.hints, file.name)
    network = build(wishes.network, protocol.observation_shape, count_actions(protocol))
    fill(network, file.state, file.name)
    return make_agent(network, protocol, policy=wishes.policy, source=file.name, facts={"format": "state dict"})
