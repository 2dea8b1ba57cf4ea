"""A grid of pictures as data: which panel stands where, and how large."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Literal

from policyscope.saliency.maps import Panel

Cell = Panel | Literal["screen"] | None
Rows = tuple[tuple[Cell, ...], ...]

GAP = 12
CAPTION = 28
FOOT = 24


@dataclass(frozen=True)
class Layout:
    """A grid of cells.

    Attributes:
        rows: Panels, ``screen`` for the plain one, None for an empty place; all rows are equally long.
        scale: Columns and rows that one pixel of a picture takes.
        picture: (height, width) of a picture at that scale.
    """

    rows: Rows
    scale: tuple[int, int]
    picture: tuple[int, int]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the grid with its gaps."""
        return _size(self.rows, self.picture)

    def cells(self) -> list[tuple[Cell, int, int]]:
        """Each cell that is not empty, with the row and column of its card's upper left corner."""
        height, width = CAPTION + self.picture[0] + FOOT + GAP, self.picture[1] + GAP
        return [
            (cell, GAP + r * height, GAP + c * width)
            for r, row in enumerate(self.rows)
            for c, cell in enumerate(row)
            if cell is not None
        ]


def scales(pixel: float) -> tuple[tuple[int, int], ...]:
    """Whole-number scales, smallest first, that keep sprites crisp and come near a pixel's shape."""
    if pixel > 1.3:
        return ((2, 1), (3, 2), (5, 3), (7, 4), (9, 5))
    return tuple((k, k) for k in range(1, 13))


def arrange(
    panels: Sequence[Panel],
    shape: tuple[int, int],
    pixel: float = 1.0,
    screen: bool = True,
    limit: tuple[int, int] = (1040, 1920),
) -> Layout:
    """Chooses a grid and the largest scale at which it fills a frame well.

    Several targets (or several lags of several methods) make a table, methods along the one side and targets along
    the other; all else flows. Of the grids that fit ``limit``, the one with the largest pictures wins, then the one
    nearest 16:9 with the fewest empty places.

    Args:
        panels: What to show, in this order.
        shape: (height, width) of the pictures.
        pixel: Width over height of a pixel.
        screen: Whether the plain screen comes first.
        limit: (height, width) that the grid should fit.
    """
    candidates = _tables(panels, screen) or _flows(panels, screen)
    best: tuple[tuple[float, ...], Layout] | None = None
    for rows in candidates:
        for scale in scales(pixel):
            picture = (shape[0] * scale[1], shape[1] * scale[0])
            height, width = _size(rows, picture)
            fits = height <= limit[0] and width <= limit[1]
            # captions need some width: tiny pictures are only a last resort
            legible = picture[1] >= 240
            empty = sum(cell is None for row in rows for cell in row)
            spread = max(width / 16, height / 9) * (1 + empty / (len(rows) * len(rows[0])))
            score = (fits and legible, legible, picture[0] * picture[1] if fits else -spread, -spread)
            if best is None or score > best[0]:
                best = (score, Layout(rows, scale, picture))
    assert best is not None
    return best[1]


def _size(rows: Rows, picture: tuple[int, int]) -> tuple[int, int]:
    height = len(rows) * (CAPTION + picture[0] + FOOT + GAP) + GAP
    return height, len(rows[0]) * (picture[1] + GAP) + GAP


def _flows(panels: Sequence[Panel], screen: bool) -> list[Rows]:
    cells: list[Cell] = [*(["screen"] if screen or not panels else []), *panels]  # type: ignore[list-item]
    grids = []
    for columns in range(1, len(cells) + 1):
        count = ceil(len(cells) / columns)
        padded = cells + [None] * (count * columns - len(cells))
        grids.append(tuple(tuple(padded[i * columns : (i + 1) * columns]) for i in range(count)))
    return grids


def _tables(panels: Sequence[Panel], screen: bool) -> list[Rows]:
    def by_target(panel: Panel) -> tuple[object, object]:
        return (panel.method, panel.layer, panel.lag), (panel.stream, panel.action)

    def by_lag(panel: Panel) -> tuple[object, object]:
        return (panel.method, panel.layer, panel.stream, panel.action), panel.lag

    for key in (by_target, by_lag):
        places = {key(panel): panel for panel in panels}
        lines = list(dict.fromkeys(line for line, _ in places))
        variants = list(dict.fromkeys(variant for _, variant in places))
        full = len(lines) * len(variants)
        if len(lines) > 1 and len(variants) > 1 and len(places) == len(panels) and len(panels) >= 0.75 * full:
            across = tuple(tuple(places.get((line, variant)) for line in lines) for variant in variants)
            down = tuple(tuple(places.get((line, variant)) for variant in variants) for line in lines)
            return [_with_screen(rows) if screen else rows for rows in (across, down)]
    return []


def _with_screen(rows: Rows) -> Rows:
    return tuple((("screen" if i == 0 else None), *row) for i, row in enumerate(rows))
