"""Tables of means: methods down, measures across, the best ones starred."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from policyscope.evaluation.outcome import Key
from policyscope.evaluation.statistics import best_of, summary
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

NOTE = (
    "Mean [95 % interval] over states, by a bootstrap of blocks of states. A star: no method is better beyond noise "
    "(paired, corrected for the number of comparisons); baselines are not ranked."
)


def means(
    title: str,
    values: Mapping[Key, Array],
    measures: Mapping[str, str],
    *,
    largest: bool | Mapping[str, bool] = True,
    baselines: Collection[str] = (),
) -> Table:
    """A table of means with their intervals.

    Args:
        title: Of the table.
        values: Measure, source and kind -> (n,) of the same states.
        measures: Name -> words, in the order of the columns.
        largest: Whether more is better, of all or of each.
        baselines: Sources that are shown and not ranked.
    """
    sources = list(dict.fromkeys(source for measure, source, kind in values if measure in measures and not kind))
    cells: dict[tuple[str, str], str] = {}
    for measure in measures:
        mine = {source: values[measure, source, ""] for source in sources if (measure, source, "") in values}
        ranked = {source: one for source, one in mine.items() if source not in baselines}
        more = largest if isinstance(largest, bool) else largest[measure]
        best = best_of(ranked, largest=more) if len(ranked) > 1 else []
        cells |= {(source, measure): f"{summary(one)}{' *' if source in best else ''}" for source, one in mine.items()}
    rows: list[list[Cell]] = [[source, *(cells.get((source, m)) for m in measures)] for source in sources]
    words = "; ".join(f"{name}: {text}" for name, text in measures.items())
    return Table(title, ("method", *measures), rows, f"{words}. {NOTE}")
