"""A table, and the forms that people want it in: CSV, Markdown, and what the report and the viewer show."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policyscope.storage import disk_errors, replacing, write_json

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under named columns.

    Attributes:
        title: What it shows; its file is named after it.
        columns: Heads.
        rows: As many cells each.
        note: What a reader should know, in a sentence or two.
        read: Whether people read it; others are for programs, as CSV alone.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    read: bool = True

    @property
    def slug(self) -> str:
        """The title as a file's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")

    def csv(self) -> str:
        """Comma-separated values, numbers in full."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([["" if cell is None else cell for cell in row] for row in self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """A table with its title above and its note below."""
        lines = [f"### {self.title}", "", _line(self.columns), _line(["---"] * len(self.columns))]
        lines += [_line([shown(cell) for cell in row]) for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"

    def plain(self) -> dict[str, Any]:
        """What the report and the viewer read from ``RUN/tables``."""
        rows = [[_json(cell) for cell in row] for row in self.rows]
        return {"title": self.title, "columns": list(self.columns), "rows": rows, "note": self.note}


def shown(cell: Cell) -> str:
    """A cell for people: three digits, and a dash where nothing is known."""
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    return f"{cell:.3g}" if isinstance(cell, float) else str(cell)


def write_tables(folder: Path, tables: Iterable[Table]) -> list[Path]:
    """Puts tables into a run: ``tables/SLUG.csv`` each, and ``.md`` and ``.json`` of those that people read, in order.

    Args:
        folder: The run.
        tables: With titles of their own.

    Returns:
        The Markdown files.

    Raises:
        RunError: The folder cannot be written.
    """
    place = folder / "tables"
    written = []
    with disk_errors(folder):
        place.mkdir(parents=True, exist_ok=True)
        for number, table in enumerate(tables):
            forms = {".csv": table.csv()}
            if table.read:
                write_json(place / f"{table.slug}.json", table.plain() | {"place": number})
                forms[".md"] = table.markdown()
                written.append(place / f"{table.slug}.md")
            for ending, text in forms.items():
                with replacing(place / f"{table.slug}{ending}") as part:
                    part.write_text(text, encoding="utf-8")
    return written


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _json(cell: Cell) -> Cell:
    if isinstance(cell, float):
        return float(f"{cell:.4g}") if math.isfinite(cell) else None
    return cell
