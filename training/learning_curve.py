"""A learning curve for the zoo: a few of its rows."""

from __future__ import annotations

import csv
from pathlib import Path

POINTS = 400
"""Rows that a published curve has at most."""

Rows = list[dict[str, str]]


def write_curve(rows: Rows, file: Path) -> None:
    """Writes at most ``POINTS`` rows, evenly chosen, the last among them."""
    if not rows:
        raise SystemExit(f"the run's curve.csv has no rows, so that {file.name} would have none")
    every = -(-len(rows) // POINTS)
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[::-1][::every][::-1])
