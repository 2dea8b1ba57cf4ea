"""A curve drawn in a terminal, two dots by four to a letter."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policyscope.storage import Array

# Unicode's Braille patterns count their dots down the left column, down the right one, and then the lowest two.
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])


def plotted(
    x: Sequence[float], y: Sequence[float], width: int = 60, height: int = 10, unicode: bool = True
) -> list[str]:
    """Lines of text that show a curve, its axes labelled with their ends.

    Args:
        x: Rising.
        y: As many; what is no number is left out.
        width: In letters, without the labels.
        height: In lines, without the axis.
        unicode: Draw with Braille dots, else with asterisks.
    """
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    known = np.isfinite(across) & np.isfinite(up)
    if not known.any():
        return ["(no values yet)"]
    across, up = across[known], up[known]
    low, high = min(0.0, up.min()), up.max()
    dots = _dots(across, up, low, high, (2 * width, 4 * height))
    cells = dots.reshape(height, 4, width, 2)
    if unicode:
        codes = 0x2800 + (cells * _BITS[None, :, None, :]).sum(axis=(1, 3))
        rows = ["".join(map(chr, row)) for row in codes]
    else:
        rows = ["".join("*" if cell else " " for cell in row) for row in cells.max(axis=(1, 3))]
    labels = {0: f"{high:,.4g}", height - 1: f"{low:,.4g}"}
    margin = max(map(len, labels.values()))
    bar, corner, dash = ("│", "└", "─") if unicode else ("|", "+", "-")
    lines = [f"{labels.get(i, ''):>{margin}} {bar}{row}" for i, row in enumerate(rows)]
    first, last = f"{across[0]:,.0f}", f"{across[-1]:,.0f}"
    lines.append(f"{'':>{margin}} {corner}{dash * width}")
    lines.append(f"{'':>{margin}}  {first}{last:>{max(1, width - len(first))}}")
    return lines


def _dots(x: Array, y: Array, low: float, high: float, size: tuple[int, int]) -> Array:
    """(rows, columns) bool: the curve's points joined by lines, the highest value in the first row."""
    columns, rows = size
    at = np.linspace(x[0], x[-1], columns)
    heights = np.interp(at, x, y) if x[-1] > x[0] else np.full(columns, y[-1])
    row = np.rint((high - heights) / ((high - low) or 1.0) * (rows - 1)).astype(int)
    before = np.concatenate([row[:1], row[:-1]])
    top, bottom = np.minimum(row, before), np.maximum(row, before)
    # A column that rises steeply is filled from where the last one ended.
    top, bottom = np.where(before < row, before + 1, top), np.where(before > row, before - 1, bottom)
    line = np.arange(rows)[:, None]
    dots: Array = (line >= np.minimum(top, row)) & (line <= np.maximum(bottom, row))
    return dots
