"""A learning curve for the zoo: few rows, and a picture."""

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


def draw_curve(rows: Rows, picture: Path, shows: str) -> None:
    """Draws the returns over the steps.

    Args:
        rows: With ``step`` and ``return``, which may be empty.
        picture: A PNG file.
        shows: What the returns are, for the axis.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    known = [(int(float(row["step"])) / 1e6, float(row["return"])) for row in rows if row["return"]]
    figure, axes = plt.subplots(figsize=(7, 3.2), dpi=150, layout="constrained")
    axes.plot([step for step, _ in known], [value for _, value in known], color="#2563eb", linewidth=2)
    axes.set_xlabel("steps of the agent (millions)")
    axes.set_ylabel(shows)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)
    plt.close(figure)
