"""A learning curve: rows of a CSV file as a run goes, and its picture."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any

from policyscope.rendering.figure import drawing
from policyscope.storage import replacing
from policyscope.training.games import SCORED

BLUE, GREY = "#2563eb", "#6b7280"


class Curve:
    """Rows of numbers over steps in a CSV file; its columns are those of its first row."""

    def __init__(self, path: Path, from_step: int = 0) -> None:
        """Opens a curve, without the rows of steps that are about to be made again.

        Args:
            path: The CSV file; it need not be there.
            from_step: Rows of later steps are dropped.
        """
        self.path = path
        self._columns: list[str] = []
        kept = [row for row in rows(path) if float(row["step"]) <= from_step] if path.exists() else []
        self._columns = list(kept[0]) if kept else []
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            if kept:
                writer = csv.DictWriter(file, self._columns)
                writer.writeheader()
                writer.writerows(kept)

    def add(self, row: Mapping[str, float]) -> None:
        """Appends a row; a value that the columns do not have is left out, a missing one is empty."""
        first = not self._columns
        self._columns = self._columns or list(row)
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns, extrasaction="ignore")
            if first:
                writer.writeheader()
            writer.writerow({name: _plain(row[name]) for name in self._columns if name in row})


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a curve; a last one that a kill cut short is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    return [row for row in found if row.get("step") and None not in row.values()]


def draw(path: Path, picture: Path, title: str = "", shows: str = "return, mean of 100 games") -> None:
    """Draws the returns of a curve.

    They are dotted where they are means of fewer than a hundred games, since the first games that a run finishes are
    the shortest, and shaded where none of a hundred follows.

    Args:
        path: The CSV file.
        picture: A PNG, which appears whole.
        title: Above it.
        shows: What the returns are, for the axis.

    Raises:
        MissingExtraError: There is no matplotlib.
        RunError: The picture cannot be written.
    """
    written = rows(path)
    returns = [float(row.get("return") or "nan") for row in written]
    settled = [int(row.get("games") or SCORED) >= SCORED for row in written]
    end = float(written[-1]["step"]) if written else 0.0
    unit, name = (1e6, "millions") if end > 2e6 else (1e3, "thousands")
    steps = [float(row["step"]) / unit for row in written]
    last = max((step for step, is_settled in zip(steps, settled, strict=True) if is_settled), default=0.0)
    with drawing(picture, width=7, height=3.2, extra="train", purpose="drawing a learning curve") as drawn:
        axes = drawn.add_subplot()
        axes.plot(steps, returns, color=BLUE, linewidth=1.5, linestyle=":")
        sure = [value if is_settled else nan for value, is_settled in zip(returns, settled, strict=True)]
        axes.plot(steps, sure, color=BLUE, linewidth=2)
        if last < end / unit:
            axes.axvspan(last, end / unit, color=GREY, alpha=0.15, linewidth=0)
            if end / unit - last > 0.25 * end / unit:  # the words are about that wide
                bottom = {"ha": "center", "va": "bottom", "transform": axes.get_xaxis_transform()}
                axes.text((last + end / unit) / 2, 0.02, "fewer than 100 games", color=GREY, fontsize=8, **bottom)
        axes.set_xlabel(f"agent steps ({name}, four frames each)")
        axes.set_ylabel(shows)
        axes.set_title(title, loc="left", fontsize=10, color=GREY)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)


def _plain(value: Any) -> float | int:
    return int(value) if float(value).is_integer() else float(f"{float(value):.6g}")
