"""What a run needs to go on, in safetensors: nothing that a stranger's checkpoint could run when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from policyscope.agents import custom
from policyscope.agents.agent import Agent
from policyscope.agents.networks import build
from policyscope.agents.protocol import Protocol
from policyscope.errors import RunError
from policyscope.storage import replacing

_KEY = "policyscope-training"


def agent_of(
    recipe: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    protocol: Protocol,
    policy: str,
    facts: Mapping[str, Any],
) -> Agent:
    """An agent with a copy of a network's weights, as they are now.

    Args:
        recipe: What ``networks.build`` noted on the network: its architecture and options.
        weights: Its state dict.
        protocol: How it is fed.
        policy: How it acts.
        facts: What is known about it.
    """
    network = build(recipe["architecture"], **recipe["options"])
    network.load_state_dict({name: value.detach().float().cpu() for name, value in weights.items()})
    return custom.make_agent(network, protocol, policy=policy, source="training", facts=facts)


def save_optimiser(optimiser: torch.optim.Optimizer, path: Path, more: Mapping[str, Any]) -> None:
    """Writes an optimiser's state, and plain values beside it.

    Args:
        optimiser: Its state's tensors are stored as ``PARAMETER.NAME``.
        path: The file, which appears whole.
        more: Plain values, for JSON.
    """
    state = optimiser.state_dict()
    tensors: dict[str, Tensor] = {}
    for parameter, values in state["state"].items():
        for name, value in values.items():
            tensors[f"{parameter}.{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    text = json.dumps({"groups": state["param_groups"], "more": dict(more)})
    with replacing(path) as part:
        save_file(tensors, part, metadata={_KEY: text})


def load_optimiser(optimiser: torch.optim.Optimizer, path: Path) -> dict[str, Any]:
    """Gives an optimiser the state in a file.

    Returns:
        The plain values that were stored beside it.

    Raises:
        RunError: The file is missing, damaged, or of another network.
    """
    try:
        with safe_open(path, "pt") as file:
            told = json.loads((file.metadata() or {})[_KEY])
            state: dict[int, dict[str, Tensor]] = {}
            for key in file.keys():  # noqa: SIM118 (a safetensors file is no mapping)
                parameter, name = key.split(".", 1)
                state.setdefault(int(parameter), {})[name] = file.get_tensor(key)
        optimiser.load_state_dict({"state": state, "param_groups": told["groups"]})
        more: dict[str, Any] = told["more"]
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        raise RunError(f"{path} is no optimiser's state of this recipe: {error}") from error
    return more
