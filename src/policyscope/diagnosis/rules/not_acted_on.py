"""Things that are recognised but not acted on: the value depends on them, the choice between actions does not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.cells import Cells, Region, regions
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import beside, over_row
from policyscope.storage import Array

STRONG = 1.5
"""Of an equal share of the value's gradient: more than half as much again as an average place."""
UNUSED = 0.25
"""Of the value's share: streams that share their first layers cannot differ by such a factor unless what is looked for
differs."""
MUCH = 0.1
BLOCK, FEWEST = 4, 10


def not_acted_on(examination: Examination) -> Iterator[Finding]:
    """Cells of a 12 x 12 grid on which the value's gradient is strong and that of the choice is weak.

    The choice is the contrast of the acting stream: the best action's output minus the mean of the others', which of a
    dueling Q has no value in it. Both gradients are shares of their state's, 1 being an equal one, and are averaged
    over states. A cell counts where something changes during the episode, the value's share is above 1.5, and the
    choice's is below a quarter of it, with its 95 % interval. A warning where such cells hold a tenth of the value's
    gradient, else a note. As the paper saw it: the value looks at the oxygen bar, but the agent does not surface.
    """
    stream, streams = examination.acting, examination.streams
    if "value" not in streams or stream not in streams or stream == "value" or streams[stream].shape[1] < 2:
        return
    if examination.agent.continuous is not None:
        return
    if not all(np.isfinite(streams[name]).all() for name in ("value", stream)):
        return
    cells = Cells(examination)
    if len(cells.rows) < FEWEST:
        return
    value, choice = cells.gradients("value"), cells.gradients(stream, "contrast")
    if not value.any() or not choice.any():
        return
    means = value.mean(axis=0)
    unused = (means > STRONG) & (choice.mean(axis=0) < UNUSED * means) & ~cells.still
    for region in regions(unused)[:2]:
        measured = _ratio(value, choice, region)
        if measured[2] < UNUSED:
            yield _finding(examination, cells, value, choice, region, measured)


def _ratio(value: Array, choice: Array, region: Region) -> tuple[float, float, float]:
    of_value, of_choice = (sizes[:, region.cells].mean(axis=1) for sizes in (value, choice))

    def ratio(rows: Array) -> float:
        below = of_value[rows].mean()
        return float(of_choice[rows].mean() / below) if below > 0 else float("nan")

    return ratio(np.arange(len(value))), *interval(ratio, len(value), BLOCK)


def _finding(
    examination: Examination,
    cells: Cells,
    value: Array,
    choice: Array,
    region: Region,
    measured: tuple[float, float, float],
) -> Finding:
    stream, (ratio, low, high) = examination.acting, measured
    held = float(value[:, region.cells].sum() / value.sum())
    row = int(cells.rows[len(cells.rows) // 2])
    pictures = [
        over_row(examination.episode, row, sizes.mean(axis=0), False, text, boxes=[region.box])
        for sizes, text in ((value, "Gradient of value"), (choice, f"Gradient of the choice ({stream}, contrast)"))
    ]
    return Finding(
        "not_acted_on",
        "warning" if held >= MUCH else "note",
        Where("behaviour", stream=stream, region=region.words(cells.size)),
        f"{held:.0%} of the value's gradient lies where the choice between actions has {ratio:.0%} [{low:.0%}, "
        f"{high:.0%}] of the value's share of its own (healthy: above {UNUSED:.0%})",
        "the agent recognises what is there and does not act on it: look whether any action would help, and whether "
        "the reward, the discount or too little exploration keeps it from finding out",
        "likely",
        {"value": held, "ratio": ratio},
        beside(pictures, f"Over {len(cells.rows)} states of the episode"),
    )
