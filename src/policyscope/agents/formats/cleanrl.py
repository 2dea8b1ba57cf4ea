"""CleanRL: ``runs/ENV__EXPERIMENT__SEED__TIME/EXPERIMENT.cleanrl_model``, a state dict, in C51 with its arguments."""

from __future__ import annotations

from typing import Any

from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.weights import State, restore
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """By its one ``nn.Sequential`` of the name ``network``, or by its extension."""
    return "network.0.weight" in file.state or file.path.suffix == ".cleanrl_model"


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent: greedy but for a little noise with a Q-network, sampled from its policy with PPO."""
    state, arguments = file.state, _arguments(file.saved)
    first = state.get("network.0.weight")
    if first is None or first.dim() != 4:
        raise CheckpointError(
            f"{file.name} is not one of CleanRL's Atari networks (DQN, C51, PQN, PPO, PPO-LSTM), which begin with a "
            "convolution network.0; give your own with --network MODULE:FACTORY"
        )
    architecture, options, algorithm = _architecture(state, file.name)
    hints = (str(arguments.get("env_id", "")), *file.hints)
    # EnvPool makes the screen grey before it resizes it; the Gym path does so after.
    envpool = options.get("layer_norm", False) or any("envpool" in hint for hint in hints)
    channels = first.shape[1]
    protocol = wishes.settle("cleanrl", hints, file.name, colour_first=envpool, stack=channels)
    protocol, names = wishes.with_actions(protocol, options["actions"], file.name)
    network = restore(architecture, {"channels": channels, **options}, state, file.name)
    values = architecture == "cleanrl_q"
    return Agent(
        network=network,
        protocol=protocol,
        streams=("q",) if values else ("policy", "value"),
        actions=names,
        policy=wishes.policy or ("epsilon=0.01" if values else "sample"),
        source=file.name,
        facts={"format": "cleanrl", "algorithm": algorithm, **arguments},
    )


def _architecture(state: State, name: str) -> tuple[str, dict[str, Any], str]:
    if "actor.weight" in state:
        actions = len(state["actor.weight"])
        if "lstm.weight_hh_l0" in state:
            hidden = state["lstm.weight_hh_l0"].shape[-1]
            return "cleanrl_recurrent_actor_critic", {"actions": actions, "hidden": hidden}, "PPO-LSTM"
        return "cleanrl_actor_critic", {"actions": actions}, "PPO"
    layer_norm = "network.11.weight" in state
    last = state.get("network.13.weight" if layer_norm else "network.9.weight")
    if last is None:
        raise CheckpointError(f"{name} has CleanRL's names, but no last layer of its Atari networks (network.9 or .13)")
    atoms = state["atoms"].numel() if "atoms" in state else 0
    options = {"actions": len(last) // max(atoms, 1), "layer_norm": layer_norm, "atoms": atoms}
    return "cleanrl_q", options, "C51" if atoms else "PQN" if layer_norm else "DQN"


def _arguments(saved: Any) -> dict[str, Any]:
    arguments = saved.get("args") if isinstance(saved, dict) else None
    wanted = ("env_id", "seed", "total_timesteps")
    return {k: arguments[k] for k in wanted if k in arguments} if isinstance(arguments, dict) else {}
