"""Profiles of maps around things, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.evaluation.laplacian_around import Around
from policyscope.rendering.figure import drawing

GREEN, RED, GREY = "#1b7837", "#b2182b", "#7f7f7f"


def figure(found: Sequence[Around], *paths: str | Path, title: str = "") -> None:
    """Draws the mean map and the profile over rings of each, side by side: a row each.

    Args:
        found: What is drawn, as ``around`` has it.
        paths: PNG, PDF and SVG files.
        title: Above all.

    Raises:
        MissingExtraError: matplotlib is not installed.
        RunError: A file cannot be written.
    """
    columns = max(1, min(4, len(found)))
    rows = -(-len(found) // columns)
    with drawing(
        *map(Path, paths),
        width=4.6 * columns,
        height=2.3 * rows,
        extra="evaluate",
        purpose="drawing profiles",
        dpi=130,
        layout="tight",
    ) as drawn:
        axes = drawn.subplots(rows, 2 * columns, squeeze=False)
        for axis in axes.flat:
            axis.set_visible(False)
        for number, one in enumerate(found):
            row, column = divmod(number, columns)
            _square(axes[row, 2 * column], one)
            _profile(axes[row, 2 * column + 1], one)
        if title:
            drawn.suptitle(title, fontsize=11)
            drawn.get_layout_engine().set(rect=(0, 0, 1, 0.98))


def _square(axis: Any, one: Around) -> None:
    """The mean map, the middle of its colours at zero."""
    axis.set_visible(True)
    limit = float(np.nanmax(np.abs(one.mean))) or 1.0
    radius = len(one.mean) // 2
    edge = radius + 0.5
    axis.imshow(one.mean, cmap="PiYG", vmin=-limit, vmax=limit, extent=(-edge, edge, edge, -edge))
    frame = "" if not one.lag else f", t-{one.lag}, {'where it was' if one.at == 'then' else 'where it is now'}"
    axis.set_title(f"{one.agent}: {one.stream}\n{one.kind}{frame}", fontsize=7.5)
    axis.tick_params(labelsize=6)


def _profile(axis: Any, one: Around) -> None:
    """Means over rings with their intervals."""
    axis.set_visible(True)
    profile = one.profile
    means = np.array([ring.mean for ring in profile])
    low, high = np.array([ring.low for ring in profile]), np.array([ring.high for ring in profile])
    away = np.arange(len(means))
    axis.axhline(0, color=GREY, linewidth=0.6)
    axis.fill_between(away, low, high, color=GREY, alpha=0.35, linewidth=0)
    axis.plot(away, means, color="black", linewidth=1)
    axis.plot(away[means >= 0], means[means >= 0], "o", color=GREEN, markersize=3)
    axis.plot(away[means < 0], means[means < 0], "o", color=RED, markersize=3)
    opposite = one.opposition
    axis.set_title(
        f"opposition {opposite.mean:.2f} [{opposite.low:.2f}, {opposite.high:.2f}]\n"
        f"LoG {one.laplacian.explained.mean:.2f}  blob {one.blob.explained.mean:.2f}  "
        f"{one.operator.name} {one.operator.explained.mean:.2f}",
        fontsize=7.5,
    )
    axis.tick_params(labelsize=6)
