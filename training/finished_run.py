"""A training run's folder, as ``policyscope train`` leaves it."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import policyscope as ps


@dataclass
class Trained:
    """How an agent's weights came about.

    Attributes:
        step: Actions that they learned from.
        seconds: What that took.
        curve: Rows of the learning curve, up to that step; each has ``step``, ``seconds`` and ``return``.
    """

    step: int
    seconds: float | None
    curve: list[dict[str, str]]


@dataclass
class Finished(Trained):
    """What a run has to say about an agent.

    Attributes:
        agent: With the weights of one checkpoint.
        told: Its ``train.json``: ``recipe``, ``values``, ``command``, ``hardware``, ``how``, ``seed``.
    """

    agent: ps.Agent
    told: dict[str, Any]


def finished(run: Path, checkpoint: str | None) -> Finished:
    """Reads a run's folder, which it leaves as it is.

    Args:
        run: The folder.
        checkpoint: A file in it or in its ``checkpoints/``; None for its last weights.
    """
    if not (run / "train.json").is_file():
        raise SystemExit(f"no training in {run}: --run names the folder that policyscope train wrote")
    wanted = checkpoint or "agent.safetensors"
    file = next((f for f in (run / wanted, run / "checkpoints" / wanted) if f.is_file()), None)
    if file is None:
        have = ", ".join(sorted(path.name for path in run.rglob("*.safetensors"))) or "no weights"
        raise SystemExit(f"{run} has no {wanted}; it has {have}")
    agent, told = ps.load_agent(file), json.loads((run / "train.json").read_text())
    step = int(agent.facts.get("step", told["step"]))
    curve, seconds = walked(run / "curve.csv", step)
    return Finished(step, seconds if seconds is not None else told["seconds"], curve, agent, told)


def earlier(name: str) -> Trained:
    """A run that another went on from: its folder, or zoo:NAME."""
    if not name.startswith("zoo:"):
        return finished(Path(name), None)
    card = ps.zoo.card(name.removeprefix("zoo:"))
    with ps.zoo.curve(card.name).open(newline="") as opened:
        return Trained(card.steps, card.seconds, list(csv.DictReader(opened)))


def continued(run: Finished, before: Sequence[Trained]) -> Finished:
    """A run with what it went on from: steps and seconds of all, and one curve, of what all of them wrote down."""
    if not before:
        return run
    parts: list[Trained] = [*before, run]
    heads = [part.curve[0] for part in parts if part.curve]
    columns = [name for name in (heads or [{}])[-1] if all(name in head for head in heads)]
    steps, seconds, timed, rows = 0, 0.0, True, list[dict[str, str]]()
    for part in parts:
        for row in part.curve:
            now = {"step": f"{int(row['step']) + steps}", "seconds": f"{float(row['seconds']) + seconds:g}"}
            rows.append({name: row[name] for name in columns} | now)
        steps, seconds, timed = steps + part.step, seconds + (part.seconds or 0.0), timed and part.seconds is not None
    return replace(run, step=steps, seconds=seconds if timed else None, curve=rows)


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
