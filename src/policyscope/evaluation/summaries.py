"""From scores of frames to means with intervals, and from these to tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from policyscope.evaluation.badges import Badge
from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.frames import MEASURES
from policyscope.evaluation.scores import Scores
from policyscope.evaluation.stability import word
from policyscope.evaluation.statistics import Interval, best_of, summary
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

_FEW = 30
"""Frames with a kind of object, below which nothing is ranked."""


@dataclass(frozen=True)
class Line:
    """One mean.

    Attributes:
        agent: Whose maps.
        measure: What was measured.
        source: Whose method.
        kind: Of object; None for measures of the whole map.
        interval: The mean and what it may be.
        best: Nothing else is better beyond noise.
    """

    agent: str
    measure: str
    source: str
    kind: str | None
    interval: Interval
    best: bool


def lines_of(agent: str, runs: Sequence[Scores]) -> list[Line]:
    """Means of all measures over the episodes of an agent, each a stratum.

    Args:
        agent: What it is called.
        runs: Its episodes, evaluated with the same methods.
    """
    found: list[Line] = []
    first = runs[0]
    for measure in first.measures:
        told = MEASURES[measure]
        for kind in first.kinds if told.kinds else (None,):
            values: dict[str, Sequence[Array]] = {
                source: [run.values(measure, source, kind) for run in runs] for source in first.sources
            }
            intervals = {source: summary(list(strata)) for source, strata in values.items()}
            ranked = {s: list(v) for s, v in values.items() if intervals[s].n >= _FEW and s not in BASELINES}
            best = best_of(ranked, largest=told.better > 0) if told.better and len(ranked) > 1 else []
            found += [Line(agent, measure, s, kind, intervals[s], s in best) for s in values if intervals[s].n]
    return found


def tables_of(lines: Sequence[Line]) -> list[Table]:
    """A table a measure and agent: methods down, kinds of objects across; and one of the measures of whole maps."""
    tables: list[Table] = []
    agents = list(dict.fromkeys(line.agent for line in lines))
    for agent in agents:
        mine = [line for line in lines if line.agent == agent]
        suffix = f" of {agent}" if len(agents) > 1 else ""
        for measure in MEASURES:
            of_kinds = [line for line in mine if line.measure == measure and line.kind is not None]
            if of_kinds:
                tables.append(_by_kind(measure, of_kinds, suffix))
        for group, of_maps in _grouped([line for line in mine if line.kind is None]):
            tables.append(_by_measure(group, of_maps, suffix))
    return tables


def long_table(lines: Sequence[Line]) -> Table:
    """All means, one a row, for programs."""
    rows: list[list[Cell]] = [
        [
            line.agent,
            line.measure,
            line.source,
            line.kind,
            line.interval.mean,
            line.interval.low,
            line.interval.high,
            line.interval.n,
            int(line.best),
        ]
        for line in lines
    ]
    columns = ("agent", "measure", "method", "kind", "mean", "low", "high", "frames", "best")
    return Table("evaluation", columns, rows, _NOTE, read=False)


def overview(lines: Sequence[Line], badges: Mapping[str, Sequence[Badge]]) -> Table:
    """What one wants to know first, a row a method.

    Args:
        lines: Of one agent.
        badges: Method -> badges.
    """
    heads = ["method", "finds", "stable on", "half area", "flicker", "inverted", "faithful", "weights"]
    cells = {(line.source, line.measure, line.kind): line for line in lines}
    rows: list[list[Cell]] = []
    for source in dict.fromkeys([*(line.source for line in lines), *badges]):
        mine = [line for line in lines if line.source == source and line.kind is not None]
        finds = [str(line.kind) for line in mine if line.measure == "gain" and line.interval.against(1.0) == "higher"]
        stable = [
            str(line.kind)
            for line in mine
            if line.measure == "seen" and word(line.interval.mean, line.interval.low, line.interval.high) == "stable"
        ]
        single = [cells.get((source, name, None)) for name in ("half_area", "flicker", "inverted")]
        numbers = ["-" if line is None else f"{line.interval.mean:.2g}" for line in single]
        answers = {badge.question: badge.answer for badge in badges.get(source, ())}
        trusted = [answers.get(question, "-") for question in ("faithful", "weights")]
        rows.append([source, ", ".join(finds) or "-", ", ".join(stable) or "-", *numbers, *trusted])
    return Table("overview", heads, rows, _OVERVIEW)


_OVERVIEW = (
    "finds: kinds of objects that hold more of the map's energy than of the area, beyond noise. stable on: kinds on "
    "which a highlight is seen in most frames. half area: the share of the picture that holds half of the energy. "
    "flicker: 0 as the frame before, 1 nothing as before. inverted: share of frames that are dark where the agent "
    "looks. faithful: hiding what is marked changes the policy more than hiding as much by chance. weights: with the "
    "weights drawn anew the map is another."
)


_NOTE = (
    "Mean [95 % interval] over frames, by a bootstrap of blocks of frames within episodes. A star: no method is better "
    "beyond noise (paired, corrected for the number of comparisons); baselines are not ranked."
)


def _by_kind(measure: str, lines: Sequence[Line], suffix: str) -> Table:
    told = MEASURES[measure]
    kinds = list(dict.fromkeys(line.kind for line in lines))
    cells: Mapping[tuple[str, str | None], Line] = {(line.source, line.kind): line for line in lines}
    rows = []
    for source in dict.fromkeys(line.source for line in lines):
        row: list[Cell] = [source]
        for kind in kinds:
            line = cells.get((source, kind))
            row.append(None if line is None else _cell(line, measure))
        rows.append(row)
    chance = f" Chance is {told.chance:g}." if np.isfinite(told.chance) else ""
    title = f"{told.group} {measure.replace('_', ' ')}{suffix}"
    return Table(title, ("method", *map(str, kinds)), rows, f"{told.words}.{chance} {_NOTE}")


def _by_measure(group: str, lines: Sequence[Line], suffix: str) -> Table:
    measures = list(dict.fromkeys(line.measure for line in lines))
    cells = {(line.source, line.measure): line for line in lines}
    rows = []
    for source in dict.fromkeys(line.source for line in lines):
        found = [cells.get((source, measure)) for measure in measures]
        rows.append([source, *(None if line is None else _cell(line, line.measure) for line in found)])
    words = "; ".join(f"{name}: {MEASURES[name].words}" for name in measures)
    return Table(f"{group}{suffix}", ("method", *measures), rows, f"{words}. {_NOTE}")


def _cell(line: Line, measure: str) -> str:
    interval = line.interval
    text = str(interval) + (" *" if line.best else "")
    if measure in ("seen", "seen_by_frame"):
        text += f", {word(interval.mean, interval.low, interval.high)}"
    return text


def _grouped(lines: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    def group_of(line: Line) -> str:
        return MEASURES[line.measure].group

    order = list(dict.fromkeys(measure.group for measure in MEASURES.values()))
    ordered = sorted(lines, key=lambda line: order.index(group_of(line)))
    return [(name, list(group)) for name, group in groupby(ordered, group_of)]
