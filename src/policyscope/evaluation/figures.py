"""Figures of means with their intervals, as PNG for the report and the viewer, and as PDF for papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.frames import MEASURES
from policyscope.evaluation.summaries import Line
from policyscope.rendering.figure import drawing, of_run
from policyscope.rendering.words import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, GREY, BLUE, ORANGE = "#111827", "#9ca3af", "#0072b2", "#d55e00"
"""Blue and vermilion of Okabe and Ito's palette, which colour-blind people tell apart."""
_ACROSS = 4
_RATIOS, _LEAST = ("gain",), 0.02
"""Measures whose chance is 1 and whose half is as far from it as its double; what is less is drawn at the least."""
_INCH_A_LINE = 0.22


def draw_by_kind(folder: Path, name: str, lines: Sequence[Line], measure: str, title: str) -> None:
    """A panel a kind of object: methods down, the mean and its interval across, baselines in grey, the best in colour.

    Args:
        folder: The run.
        name: Of the files.
        lines: Of one agent.
        measure: One of objects.
        title: Above.
    """
    mine = [line for line in lines if line.measure == measure and line.kind is not None]
    kinds = list(dict.fromkeys(line.kind for line in mine))
    if not kinds:
        return
    methods = _order(mine)
    rows = -(-len(kinds) // _ACROSS)
    height = rows * (_INCH_A_LINE * len(methods) + 0.6) + 0.4
    with _figure(folder, name, 2.0 + 2.1 * min(len(kinds), _ACROSS), height) as drawn:
        grid = drawn.subplots(rows, min(len(kinds), _ACROSS), squeeze=False, sharey=True)
        for place, axes in enumerate(grid.flat):
            if place >= len(kinds):
                axes.set_visible(False)
                continue
            _panel(axes, [line for line in mine if line.kind == kinds[place]], methods, measure)
            axes.set_title(kinds[place], fontsize=9, color=INK, loc="left")
        told = MEASURES[measure]
        chance = f" Dashed: chance, {told.chance:g}." if math.isfinite(told.chance) else ""
        _titled(drawn, title, f"{told.words}.{chance}")


def draw_of_maps(folder: Path, name: str, lines: Sequence[Line], measures: Sequence[str], title: str) -> None:
    """A panel a measure of whole maps, as :func:`draw_by_kind` has them for kinds.

    Args:
        folder: The run.
        name: Of the files.
        lines: Of one agent.
        measures: Of whole maps.
        title: Above.
    """
    mine = [line for line in lines if line.measure in measures and line.kind is None]
    shown = [name for name in measures if any(line.measure == name for line in mine)]
    if not shown:
        return
    methods = _order(mine)
    with _figure(folder, name, 2.0 + 2.1 * len(shown), _INCH_A_LINE * len(methods) + 1.0) as drawn:
        for axes, measure in zip(drawn.subplots(1, len(shown), squeeze=False, sharey=True).flat, shown, strict=True):
            _panel(axes, [line for line in mine if line.measure == measure], methods, measure)
            axes.set_title(measure.replace("_", " "), fontsize=9, color=INK, loc="left")
        _titled(drawn, title, "")


def _titled(drawn: Any, title: str, note: str) -> None:
    drawn.suptitle(title, fontsize=10, color=INK, x=0.01, ha="left")
    key = "Bars: 95 % intervals. Orange: nothing is better beyond noise. Grey: baselines."
    drawn.supxlabel(f"{note[:1].upper()}{note[1:]} {key}".strip(), fontsize=7.5, color="#4b5563", x=0.01, ha="left")


def _figure(folder: Path, name: str, width: float, height: float) -> AbstractContextManager[Any]:
    return drawing(*of_run(folder, name), width=width, height=height, extra="evaluate", purpose="drawing figures")


def _order(lines: Sequence[Line]) -> list[str]:
    """Methods as they came, the first at the top, baselines last."""
    names = list(dict.fromkeys(line.source for line in lines))
    return [*(n for n in names if n not in BASELINES), *(n for n in names if n in BASELINES)]


def _title(source: str) -> str:
    """A source as people call it: ``value: grad_cam@3`` is ``value: Grad-CAM, conv. 3``."""
    stream, colon, method = source.rpartition(": ")
    name, _, layer = method.partition("@")
    return f"{stream}{colon}{TITLES.get(name, name.replace('_', ' '))}" + (f", conv. {layer}" if layer else "")


def _panel(axes: Axes, lines: Sequence[Line], methods: Sequence[str], measure: str) -> None:
    told = MEASURES[measure]
    least = _LEAST if measure in _RATIOS else -math.inf
    if measure in _RATIOS:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.xaxis.set_minor_formatter(lambda *_: "")
    if math.isfinite(told.chance):
        axes.axvline(told.chance, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)))
    for line in lines:
        y = len(methods) - 1 - methods.index(line.source)
        colour = GREY if line.source in BASELINES else ORANGE if line.best else BLUE
        interval = line.interval
        if math.isfinite(interval.low):
            ends = [max(interval.low, least), max(interval.high, least)]
            axes.plot(ends, [y, y], color=colour, linewidth=2.2, solid_capstyle="round")
        axes.plot([max(interval.mean, least)], [y], "o", color=colour, markersize=4.5)
    axes.set_yticks(range(len(methods)), [_title(name) for name in reversed(methods)], fontsize=8)
    axes.set_ylim(-0.6, len(methods) - 0.4)
    axes.tick_params(axis="x", labelsize=7.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
