"""What a part of an evaluation yields, and where a run keeps it: so that a stopped evaluation goes on where it was."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.errors import RunError
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array, disk_errors, read_json, replacing, write_json

FOLDER = "evaluation"

Key = tuple[str, str, str]
"""Measure, source, and kind of object (or what else divides it; empty where nothing does)."""


@dataclass(frozen=True)
class Outcome:
    """What a part found.

    Attributes:
        values: What was measured of each state that was looked at, (n,) each, NaN where it does not apply.
        tables: For people.
        numbers: What is no value of a state: correlations with their intervals, counts.
        notes: Sentences: what was left out, and why.
    """

    values: Mapping[Key, Array] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


def save(run: Path, name: str, outcome: Outcome, fingerprint: str) -> None:
    """Keeps an outcome: numbers as ``evaluation/NAME.npz``, the rest as JSON beside it, which is written last.

    Args:
        run: The folder.
        name: Of the part.
        outcome: What it found.
        fingerprint: Of what was asked.

    Raises:
        RunError: The folder cannot be written.
    """
    folder = run / FOLDER
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        keys = [list(key) for key in outcome.values]
        with replacing(folder / f"{name}.npz") as part:
            arrays = {str(place): np.asarray(value) for place, value in enumerate(outcome.values.values())}
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        told = {
            "fingerprint": fingerprint,
            "keys": keys,
            "tables": [vars(table) | {"rows": [list(row) for row in table.rows]} for table in outcome.tables],
            "numbers": outcome.numbers,
            "notes": list(outcome.notes),
        }
        write_json(folder / f"{name}.json", json.loads(json.dumps(told, default=_plain)))


def load(run: Path, name: str, fingerprint: str | None = None) -> Outcome | None:
    """A part's outcome, or None where it is not there, or was asked for differently.

    Args:
        run: The folder.
        name: Of the part.
        fingerprint: Of what is asked; None takes what there is.

    Raises:
        RunError: It is damaged.
    """
    path = run / FOLDER / f"{name}.json"
    if not path.exists():
        return None
    told = read_json(path)
    try:
        if fingerprint is not None and told["fingerprint"] != fingerprint:
            return None
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
            values = {_key(key): file[str(place)] for place, key in enumerate(told["keys"])}
        tables = [
            Table(str(t["title"]), tuple(t["columns"]), [[_cell(c) for c in row] for row in t["rows"]], str(t["note"]))
            for t in told["tables"]
        ]
        return Outcome(values, tables, dict(told["numbers"]), tuple(told["notes"]))
    except (KeyError, TypeError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is damaged ({error}): delete it, and evaluate again") from error


def _key(told: Sequence[Any]) -> Key:
    measure, source, kind = (str(part) for part in told)
    return measure, source, kind


def _cell(value: Any) -> Cell:
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _plain(value: Any) -> Any:
    """What JSON does not know, as it does."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return vars(value)
