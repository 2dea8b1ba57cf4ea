"""Our own format: safetensors with one JSON text inside that tells all there is to know about the agent."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.agents.checkpoint import LARGEST, Checkpoint
from policyscope.agents.networks import NETWORKS, wanted
from policyscope.agents.protocol import Protocol
from policyscope.agents.weights import check_fit, restore, shapes
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError
from policyscope.storage import disk_errors, replacing

KEY = "policyscope"
VERSION = 1


def save_agent(
    agent: Agent,
    path: str | Path,
    *,
    architecture: str | None = None,
    options: dict[str, Any] | None = None,
) -> Path:
    """Writes an agent as one safetensors file, which :func:`~policyscope.agents.loading.load_agent` reads back.

    Args:
        agent: Its network must be one of ``NETWORKS``.
        path: Where to; the file appears whole.
        architecture: The network's name in ``NETWORKS``; not needed if ``networks.build`` made it.
        options: What the network was built with.

    Raises:
        CheckpointError: The network is not one that could be built again.
    """
    path = Path(path)
    recipe = getattr(agent.network, "recipe", {})
    architecture = architecture or recipe.get("architecture")
    options = options if options is not None else recipe.get("options", {})
    if architecture not in NETWORKS:
        raise CheckpointError(
            f"a {type(agent.network).__name__} cannot be saved: name its architecture= and options=, "
            f"one of {', '.join(NETWORKS)}"
        )
    described = {
        "version": VERSION,
        "architecture": architecture,
        "options": options,
        "protocol": agent.protocol.to_dict(),
        "streams": list(agent.streams),
        "actions": list(agent.actions),
        "policy": agent.policy,
        "continuous": vars(agent.continuous) if agent.continuous else None,
        "facts": agent.facts,
    }
    try:
        text = json.dumps(described)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"agent cannot be saved, its options or facts are not plain values: {error}") from error
    state = {k: v.detach().to("cpu").contiguous().clone() for k, v in agent.network.state_dict().items()}
    check_fit(shapes(state), wanted(architecture, options or {}), str(path), architecture)
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            save_file(state, part, metadata={KEY: text})
    return path


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """A safetensors file with our text in its header."""
    return file.is_safetensors and KEY in file.header.get("__metadata__", {})


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent; its shapes are compared before its weights are read."""
    told = _described(file)
    try:
        architecture, options = str(told["architecture"]), dict(told["options"])
        protocol = Protocol.from_dict(told["protocol"])
        streams, actions = tuple(map(str, told["streams"])), tuple(map(str, told["actions"]))
        bounds = told.get("continuous")
        continuous = (
            ContinuousActions(tuple(bounds["low"]), tuple(bounds["high"]), bool(bounds["squash"])) if bounds else None
        )
        facts = dict(told.get("facts") or {})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file.name} does not describe its agent wholly: {error!r}") from error
    have = {key: tuple(entry["shape"]) for key, entry in file.header.items() if key != "__metadata__"}
    if sum(prod(shape) for shape in have.values()) > LARGEST // 4:
        raise CheckpointError(f"{file.name} claims more weights than the {LARGEST:,} bytes that are read")
    check_fit(have, wanted(architecture, options), file.name, architecture)
    trained_on = protocol.game
    hints = (f"{trained_on}-v0" if trained_on else protocol.env or "", *file.hints)
    protocol = wishes.settle(protocol, hints, file.name)
    if continuous is None and protocol.game not in (None, trained_on):
        protocol, actions = wishes.with_actions(protocol, len(actions), file.name)
    return Agent(
        network=restore(architecture, options, file.state, file.name),
        protocol=protocol,
        streams=streams,
        actions=actions,
        policy=wishes.policy or str(told.get("policy", "greedy")),
        continuous=continuous,
        source=file.name,
        facts={"format": "policyscope", **facts},
    )


def _described(file: Checkpoint) -> dict[str, Any]:
    try:
        told = json.loads(file.header["__metadata__"][KEY])
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{file.name} describes its agent in something that is no JSON ({error})") from error
    if not isinstance(told, dict) or told.get("version", 0) > VERSION:
        raise CheckpointError(f"{file.name} was written by a newer policyscope; upgrade this one")
    return told
