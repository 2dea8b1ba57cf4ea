"""Where scalars and findings go: TensorBoard, Weights & Biases, lines of JSON, or nowhere."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from policyscope.errors import PolicyscopeError
from policyscope.storage import disk_errors, read_json, write_json
from policyscope.training.watch.detected import Detected

LINES, FINDINGS = "watch.jsonl", "findings.json"


class Lines:
    """A folder: ``watch.jsonl`` grows by a line each time, ``findings.json`` is replaced when something new was found.

    Replacing a file may wait for the disk, which costs more than a round of the rules.
    """

    def __init__(self, folder: Path, from_step: int = 0) -> None:
        """Opens a folder; lines of steps that are about to be made again are dropped.

        Args:
            folder: Where to write; it is made.
            from_step: Where the training is.
        """
        self.folder = folder
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            kept = [line for line in read_lines(folder) if line["step"] <= from_step] if from_step else []
            (folder / LINES).write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
            self._earlier = [one for one in read_findings(folder) if one.get("first", 0) <= from_step and from_step]
            write_json(folder / FINDINGS, self._earlier)

    def write(
        self, step: int, scalars: Mapping[str, float], fresh: Sequence[Detected], known: Sequence[Detected]
    ) -> None:
        """Adds a line, and replaces the findings."""
        line: dict[str, Any] = {"step": step, **{k: v for k, v in scalars.items() if math.isfinite(v)}}
        if fresh:
            line["found"] = [one.to_dict() for one in fresh]
        with disk_errors(self.folder), (self.folder / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if fresh:
            self.close(known)

    def close(self, known: Sequence[Detected]) -> None:
        """Replaces the findings, with the steps at which they were last seen; those of before a resumption stay."""
        now = [one.to_dict() for one in known]
        again = {_name(one) for one in now}
        with disk_errors(self.folder):
            write_json(self.folder / FINDINGS, now + [one for one in self._earlier if _name(one) not in again])


def _name(one: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(one.get(key)) for key in ("rule", "where", "severity"))


class Board:
    """Anything with ``add_scalar`` (and ``add_text``), such as TensorBoard's SummaryWriter."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(
        self, step: int, scalars: Mapping[str, float], fresh: Sequence[Detected], known: Sequence[Detected]
    ) -> None:
        """Adds scalars, and a text for each new finding."""
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        if hasattr(self._writer, "add_text"):
            for one in fresh:
                self._writer.add_text(f"watch/{one.finding.severity}", one.text(), step)


class WandB:
    """A run of Weights & Biases."""

    def __init__(self, run: Any) -> None:
        self._run = run

    def write(
        self, step: int, scalars: Mapping[str, float], fresh: Sequence[Detected], known: Sequence[Detected]
    ) -> None:
        """Logs a row, and raises an alert for each grave finding."""
        self._run.log(dict(scalars), step=step)
        for one in fresh:
            if one.finding.severity == "grave" and hasattr(self._run, "alert"):
                self._run.alert(title=f"policyscope: {one.finding.rule}", text=one.text())


class Outlet(Protocol):
    """A place for scalars and findings."""

    def write(
        self, step: int, scalars: Mapping[str, float], fresh: Sequence[Detected], known: Sequence[Detected]
    ) -> None:
        """Takes what a round of the rules brought: the new findings, and all."""


def outlet(to: Any, from_step: int = 0) -> Outlet:
    """What a user named as a place for findings.

    Args:
        to: A folder, a SummaryWriter, what ``wandb.init`` returned, or an outlet.
        from_step: Where the training is.

    Raises:
        PolicyscopeError: It is none of them.
    """
    if isinstance(to, str | Path):
        return Lines(Path(to), from_step)
    if hasattr(to, "write"):
        place: Outlet = to
        return place
    if hasattr(to, "add_scalar"):
        return Board(to)
    if hasattr(to, "log"):
        return WandB(to)
    raise PolicyscopeError(
        f"log= is a {type(to).__name__}; give a folder, a SummaryWriter or a run of Weights & Biases"
    )


def read_lines(folder: Path) -> list[dict[str, Any]]:
    """The lines of a watched training; a last one that a kill cut short is left out."""
    path, found = folder / LINES, []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict) and isinstance(line.get("step"), int):
                found.append(line)
    return found


def read_findings(folder: Path) -> list[dict[str, Any]]:
    """What was found in a watched training, the gravest first; empty where nothing was, or nobody watched."""
    path = folder / FINDINGS
    found = read_json(path) if path.exists() else []
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
