"""floringogianu/atari-agents: ``ALGORITHM_PROTOCOL/GAME/SEED/model_STEP.gz``, a gzip'd torch file."""

from __future__ import annotations

import re

from policyscope.agents.agent import Agent
from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.games import exact_game
from policyscope.agents.weights import part, restore
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """By the name of its network's class, which Python put into the names of the weights."""
    return any(key.startswith("_AtariNet__") for key in file.state)


def load(file: Checkpoint, wishes: Wishes) -> Agent:
    """The agent, played as its authors do: 0.1 % random actions."""
    saved = file.state
    state = part(saved, "_AtariNet__features.", "body.") | part(saved, "_AtariNet__head.", "head.")
    if "body.0.weight" not in state or "head.2.weight" not in state:
        raise CheckpointError(f"{file.name} has AtariNet's names, but lacks its first or last layer")
    atoms = 0
    if "_AtariNet__support" in saved:
        state["support"] = saved["_AtariNet__support"]
        atoms = state["support"].numel()
    actions = len(state["head.2.weight"]) // max(atoms, 1)
    folder, _, seed = file.path.resolve().parts[-4:-1] if len(file.path.resolve().parts) > 4 else ("", "", "")
    found = next((game for part_ in reversed(file.path.resolve().parts[-4:-1]) if (game := exact_game(part_))), None)
    kind = "classic" if "classic" in folder.lower() else "modern"
    protocol = wishes.settle(kind, (*((f"{found}-v0",) if found else ()), *file.hints), file.name)
    protocol, names = wishes.with_actions(protocol, actions, file.name)
    options = {"actions": actions, "channels": state["body.0.weight"].shape[1], "hidden": len(state["head.0.weight"])}
    if atoms:
        options["atoms"] = atoms
    step = re.search(r"\d+", file.path.name)
    return Agent(
        network=restore("categorical_dqn" if atoms else "dqn", options, state, file.name),
        protocol=protocol,
        streams=("q",),
        actions=names,
        policy=wishes.policy or "epsilon=0.001",
        source=file.name,
        facts={
            "format": "atari-agents",
            "algorithm": folder.rsplit("_", 1)[0] if "_" in folder else "C51" if atoms else "DQN",
            **({"seed": int(seed)} if seed.isdigit() else {}),
            **({"steps": int(step[0])} if step else {}),
        },
    )
