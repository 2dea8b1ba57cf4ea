"""A run's checkpoints: agents in our own format, what the newest needs to go on, and the note that names both.

All of it is safetensors and JSON: nothing that a stranger's checkpoint could run when it is read. The note,
``train.json``, is replaced last, so that a kill leaves the checkpoint before.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from policyscope.agents import custom
from policyscope.agents.agent import Agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.loading import load_agent
from policyscope.agents.networks import build
from policyscope.agents.protocol import Protocol
from policyscope.agents.weights import check_fit, shapes
from policyscope.errors import CheckpointError, RunError
from policyscope.storage import disk_errors, read_json, replacing, write_json
from policyscope.training.recipe import Recipe

_KEY = "policyscope-training"


@dataclass(frozen=True)
class Kept:
    """Where a run stopped.

    Attributes:
        step: Agent steps that were done.
        seconds: That they took.
        agent: The newest agent's file.
        optimiser: Its optimiser's file.
    """

    step: int
    seconds: float
    agent: Path
    optimiser: Path


def kept_in(folder: Path, name: str, recipe: Recipe, resume: bool) -> Kept | None:
    """Where the run in a folder stopped; None if it holds none.

    Args:
        folder: Of the run.
        name: Of the recipe.
        recipe: Its values; only the number of steps may be others than those that the run was begun with.
        resume: Whether the run is to go on.

    Raises:
        RunError: The folder holds a run and ``resume`` was not asked for, or it is of another recipe.
    """
    if not (folder / "train.json").exists():
        return None
    told = read_json(folder / "train.json")
    if not resume:
        raise RunError(f"{folder} holds a run already; go on with --resume, or choose another --out")
    if told.get("recipe") != name:
        raise RunError(f"{folder} holds a run of {told.get('recipe')!r}, not of {name!r}")
    before = told.get("values", {})
    for key, value in recipe.values().items():
        if key != "steps" and key in before and before[key] != value:
            raise RunError(
                f"{folder} was begun with {key} {before[key]!r}, not {value!r}: "
                "give the same recipe to --resume, or choose another --out"
            )
    return Kept(int(told["step"]), float(told["seconds"]), folder / told["agent"], folder / told["optimiser"])


def keep(
    folder: Path,
    step: int,
    agent: Agent,
    optimiser: torch.optim.Optimizer,
    more: Mapping[str, Any],
    told: Mapping[str, Any],
) -> None:
    """Writes a checkpoint, which is the newest from then on, and forgets the optimiser of the one before.

    Args:
        folder: Of the run.
        step: Where it is.
        agent: As it is now.
        optimiser: What moves its network.
        more: Plain values that the run needs to go on.
        told: What the note says besides the step and the files.

    Raises:
        RunError: The folder cannot be written.
    """
    with disk_errors(folder):
        file = folder / "checkpoints" / f"agent-{step:08d}.safetensors"
        save_agent(agent, file)
        state = folder / f"optimiser-{step:08d}.safetensors"
        save_optimiser(optimiser, state, more)
        files = {"agent": str(file.relative_to(folder)), "optimiser": state.name}
        write_json(folder / "train.json", {**told, "step": step, **files})
        _link(file, folder / "agent.safetensors")
        for old in folder.glob("optimiser-*.safetensors"):
            if old != state:
                old.unlink()


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


def begin_with(source: str, network: nn.Module, shared: bool = False) -> None:
    """Gives a new network the weights of an agent.

    Args:
        source: What ``load_agent`` takes.
        network: Of the same architecture.
        shared: Of another one: it takes the layers that both have, by name and shape, and keeps the rest of its own.

    Raises:
        CheckpointError: Its weights are others, or no layer is shared.
    """
    given, own = load_agent(source).network.state_dict(), network.state_dict()
    if shared:
        differ = {_layer(name) for name, value in given.items() if name not in own or own[name].shape != value.shape}
        given = {name: value for name, value in given.items() if _layer(name) not in differ}
        if not given:
            raise CheckpointError(f"--start {source} and the recipe's network have no layer in common")
        given = own | given
    check_fit(shapes(given), shapes(own), f"--start {source}", "the recipe's network")
    network.load_state_dict(given)


def _layer(name: str) -> str:
    """Of a weight: a layer is taken whole or not at all."""
    return name.rpartition(".")[0]


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


def _link(source: Path, target: Path) -> None:
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:  # a file system without links
        shutil.copyfile(source, part)
    os.replace(part, target)
