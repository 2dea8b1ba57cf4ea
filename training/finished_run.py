"""A training run's folder, as ``policyscope train`` leaves it, or ``training/breakout_dddqn.py`` before that."""

from __future__ import annotations

import ast
import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import load_file

import policyscope as ps
from policyscope.agents.networks import build
from policyscope.agents.presets import preset


@dataclass
class Finished:
    """What a run has to say about an agent.

    Attributes:
        agent: With the weights of one checkpoint.
        step: Actions that these learned from.
        seconds: What that took.
        told: ``recipe``, ``values``, ``command``, ``hardware``, ``how``, ``seed``, ``curve`` (what its
            returns are), as far as the run tells.
        curve: Rows of its learning curve, up to that step; each has ``step``, ``seconds`` and ``return``.
    """

    agent: ps.Agent
    step: int
    seconds: float | None
    told: dict[str, Any]
    curve: list[dict[str, str]]


def finished(run: Path, checkpoint: str | None) -> Finished:
    """Reads a run's folder, which it leaves as it is.

    Args:
        run: The folder.
        checkpoint: A file in it or in its ``checkpoints/``; None for its last weights.
    """
    if not run.is_dir():
        raise SystemExit(f"no folder {run}: --run names the one that the training wrote")
    new = (run / "train.json").exists()
    wanted = checkpoint or ("agent.safetensors" if new else "weights.safetensors")
    file = next((f for f in (run / wanted, run / "checkpoints" / wanted) if f.is_file()), None)
    if file is None:
        have = ", ".join(sorted(path.name for path in run.rglob("*.safetensors"))) or "no weights"
        raise SystemExit(f"{run} has no {wanted}; it has {have}")
    if new:
        agent, told = ps.load_agent(file), json.loads((run / "train.json").read_text())
        step = int(agent.facts.get("step", told["step"]))
    else:
        agent, told, step = older(file)
    curve, seconds = walked(run / "curve.csv", step)
    return Finished(agent, step, seconds if seconds is not None else told.get("seconds"), told, curve)


def walked(file: Path, step: int) -> tuple[list[dict[str, str]], float | None]:
    """The rows of a curve up to a step, and the seconds that they took.

    A run that was resumed goes back to its last checkpoint, so that steps occur twice, and its clock may have begun
    anew. What was lost is not counted; a mean over no games is left empty.
    """
    with file.open(newline="") as opened:
        read = list(csv.DictReader(opened))
    kept: list[tuple[dict[str, str], float]] = []
    for before, row in zip([None, *read], read, strict=False):
        now, earlier = float(row["seconds"]), float(before["seconds"]) if before else 0.0
        while kept and float(kept[-1][0]["step"]) >= float(row["step"]):
            kept.pop()
        total = (kept[-1][1] if kept else 0.0) + (now - earlier if now >= earlier else now)
        kept.append((row | ({"return": ""} if row.get("games") == "0" else {}), total))
    kept = [(row, total) for row, total in kept if float(row["step"]) <= step]
    return [row for row, _ in kept], kept[-1][1] if kept else None


def older(file: Path) -> tuple[ps.Agent, dict[str, Any], int]:
    """An agent of ``training/breakout_dddqn.py``, whose files hold bare weights and the recipe's text."""
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    values = ast.literal_eval(metadata["recipe"].replace("PosixPath(", "("))
    state, step = load_file(file), int(metadata["step"])
    network = build("dueling_dqn", actions=state["advantage.2.bias"].numel())
    network.load_state_dict(state)
    facts = {"recipe": "breakout_dddqn", "step": step}
    agent = ps.make_agent(network, preset("ale-vector", values["game"]), policy="epsilon=0.01", facts=facts)
    told = {
        "recipe": "breakout_dddqn",
        "values": {name: value for name, value in values.items() if name not in ("out", "resume")},
        "how": "replay with 3-step double targets, games side by side in one process; a lost life ends a return",
        "seed": values["seed"],
        "curve": "bricks a game (clipped rewards),\nmean of 100 games",
    }
    return agent, told, step
