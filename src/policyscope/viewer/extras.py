"""What other commands have put into a run for its readers: findings, tables, figures, notes."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policyscope.diagnosis.writing import FIGURES, FINDINGS
from policyscope.errors import RunError
from policyscope.evaluation.badges import FILE as BADGES
from policyscope.storage import read_json, write_json

NOTES, TABLES = "notes.json", "tables"
_LARGEST_FIGURE = 4 << 20
_LONGEST_NOTE = 4000
_LAST = 1_000
"""Where a table stands that does not say so."""


@dataclass(frozen=True)
class Extras:
    """What stands beside the frames.

    Attributes:
        findings: ``rule``, ``severity``, ``where``, ``evidence`` and ``advice``; ``sure`` and ``picture``, a path in
            the run, where they are known.
        tables: ``title``, ``columns`` and ``rows``.
        figures: ``title`` and ``png`` (base64).
        notes: ``step`` and ``text``.
        badges: ``stream`` and ``action`` that were evaluated, and ``methods``: name -> a list of ``question``,
            ``answer`` and ``text``; empty where nothing was.
    """

    findings: Sequence[Mapping[str, Any]] = ()
    tables: Sequence[Mapping[str, Any]] = ()
    figures: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[Mapping[str, Any]] = ()
    badges: Mapping[str, Any] = field(default_factory=dict)


def extras_of(run: Path) -> Extras:
    """Reads ``findings.json``, ``tables/*.json``, ``figures/*.png``, ``notes.json`` and ``badges.json`` of a run.

    Raises:
        RunError: One of them is not what it should be.
    """
    tables = sorted(
        (_checked_table(path) for path in sorted((run / TABLES).glob("*.json"))), key=lambda one: one["place"]
    )
    figures = [
        {"title": path.stem.replace("-", " ").replace("_", " "), "png": base64.b64encode(path.read_bytes()).decode()}
        for path in sorted((run / FIGURES).glob("*.png"))
        if path.stat().st_size <= _LARGEST_FIGURE
    ]
    return Extras(_listed(run / FINDINGS), tables, figures, read_notes(run), _badges(run / BADGES))


def read_notes(run: Path) -> list[dict[str, Any]]:
    """The notes on a run's steps, in their order."""
    return checked_notes(_listed(run / NOTES), str(run / NOTES))


def write_notes(run: Path, notes: Any) -> list[dict[str, Any]]:
    """Replaces the notes of a run.

    Raises:
        RunError: They are no list of steps and texts.
    """
    kept = checked_notes(notes, "the notes")
    write_json(run / NOTES, kept)
    return kept


def checked_notes(notes: Any, where: str) -> list[dict[str, Any]]:
    """Notes with nothing in them but ``step`` and ``text``.

    Raises:
        RunError: They are no such list.
    """
    good = isinstance(notes, Sequence) and all(
        isinstance(note, Mapping)
        and isinstance(note.get("step"), int)
        and isinstance(note.get("text"), str)
        and len(note["text"]) <= _LONGEST_NOTE
        for note in notes
    )
    if not good:
        raise RunError(f"{where}: a list of notes is wanted, each with step (a number) and text")
    plain = [{"step": note["step"], "text": note["text"]} for note in notes]
    return sorted(plain, key=lambda note: int(note["step"]))


def _badges(path: Path) -> dict[str, Any]:
    """What may be trusted of which method, with nothing in it but text."""
    if not path.exists():
        return {}
    told = read_json(path)
    try:
        methods = {
            str(method): [{name: str(badge[name]) for name in ("question", "answer", "text")} for badge in badges]
            for method, badges in told["methods"].items()
        }
        return {"stream": str(told["stream"]), "action": str(told["action"]), "methods": methods}
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} is damaged: evaluate the run again") from error


def _listed(path: Path) -> list[Any]:
    value = read_json(path) if path.exists() else []
    if not isinstance(value, list):
        raise RunError(f"{path} is damaged: it holds no list")
    return value


def _checked_table(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict) or not isinstance(value.get("columns"), list):
        raise RunError(f"{path} is no table: title, columns and rows are wanted")
    return {
        "title": str(value.get("title", path.stem)),
        "columns": value["columns"],
        "rows": value.get("rows", []),
        "note": str(value.get("note", "")),
        "place": value["place"] if isinstance(value.get("place"), int) else _LAST,
    }
