"""A training's folder, read while it is written: where it is, what was found, and how its curves go."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policyscope.errors import RunError
from policyscope.evaluation.rising import Noise, first_rise
from policyscope.storage import read_json
from policyscope.training.curve import rows
from policyscope.training.watch.outlets import FINDINGS, LINES, read_findings, read_lines

Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Followed:
    """What a folder says now.

    Attributes:
        folder: It.
        step: The last that is known.
        steps: That are planned, or None.
        findings: As ``findings.json`` has them, the gravest first.
        returns: (step, mean return of the last games).
        watched: Name of a scalar -> its points.
        scalars: Name of one of the saliency probe's -> its points.
        noise: Name -> what untrained networks score.
        about: The recipe and the game, in words.
        changed: When anything was last written, in seconds since the epoch.
    """

    folder: Path
    step: int
    steps: int | None
    findings: Sequence[Mapping[str, Any]]
    returns: Points
    watched: Mapping[str, Points]
    scalars: Mapping[str, Points]
    noise: Mapping[str, Noise] = field(default_factory=dict)
    about: str = ""
    changed: float = 0.0

    @property
    def done(self) -> bool:
        """Whether all planned steps are done."""
        return self.steps is not None and self.step >= self.steps

    @property
    def grave(self) -> bool:
        """Whether anything grave was found."""
        return any(one.get("severity") == "grave" for one in self.findings)

    @property
    def recognition(self) -> dict[str, Points]:
        """Name -> (step, score) of each method; of runs from before there were several, the probe's own."""
        several = {name: points for name, points in self.scalars.items() if name.startswith("recognition/")}
        return several or {name: points for name, points in self.scalars.items() if name.endswith("/on_moving")}

    def risen(self, name: str) -> float | None:
        """The step at which recognition first rises beyond what untrained networks score, or None."""
        points, noise = self.recognition[name], self.noise.get(name)
        if noise is None:
            return None
        return first_rise([step for step, _ in points], [value for _, value in points], noise.limit)


def follow(folder: Path) -> Followed:
    """Reads a folder; whatever is missing is empty.

    Raises:
        RunError: It is not there, or holds nothing of a training.
    """
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}; give the --out of a training, or the log= of a Watcher")
    told = _values(folder / "train.json")
    files = [folder / name for name in ("curve.csv", "saliency.csv", LINES, FINDINGS, "train.json")]
    there = [file for file in files if file.exists()]
    if not there and not checkpoints(folder):
        raise RunError(f"{folder} holds no training: no {LINES}, curve.csv or checkpoints")
    lines = read_lines(folder)
    watched: dict[str, Points] = {}
    for line in lines:
        for name, value in line.items():
            if isinstance(value, float | int) and name != "step":
                watched.setdefault(name, []).append((line["step"], float(value)))
    curve, saliency = _table(folder / "curve.csv"), _table(folder / "saliency.csv")
    noise = {name: Noise(**one) for name, one in _values(folder / "recognition.json").items()}
    last = [points[-1][0] for points in (*curve.values(), *saliency.values(), *watched.values()) if points]
    values = told.get("values", {})
    return Followed(
        folder,
        int(max([*last, told.get("step", 0)], default=0)),
        values.get("steps") or _planned(lines),
        read_findings(folder),
        curve.get("return", []),
        watched,
        saliency,
        noise,
        ", ".join(filter(None, [told.get("recipe", ""), values.get("game", "")])),
        max((file.stat().st_mtime for file in there), default=0.0),
    )


def checkpoints(folder: Path) -> list[Path]:
    """The agents that a training has left, the oldest first."""
    inner = folder / "checkpoints"
    return sorted((inner if inner.is_dir() else folder).glob("agent-*.safetensors"))


def _planned(lines: Sequence[Mapping[str, Any]]) -> int | None:
    planned = lines[-1].get("watch/planned") if lines else None
    return int(planned) if isinstance(planned, int | float) else None


def _values(path: Path) -> dict[str, Any]:
    found = read_json(path) if path.exists() else {}
    return found if isinstance(found, dict) else {}


def _table(path: Path) -> dict[str, Points]:
    """Column -> its points."""
    found: dict[str, Points] = {}
    for row in rows(path) if path.exists() else []:
        for name, text in row.items():
            try:
                value = float(text or "nan")
            except ValueError:
                continue
            if name != "step" and math.isfinite(value):
                found.setdefault(name, []).append((float(row["step"]), value))
    return found
