"""XRL-Bench's measures, beside the best of its Breakout table."""

from __future__ import annotations

from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.statistics import summary
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.evaluation.xrl_bench import BEST_ON_BREAKOUT, MEASURES, leaderboard, xrl_bench
from policyscope.storage import Array

KS = (1, 10, 25, 50, 100, 200)
"""Numbers of pixels: XRL-Bench's own default is 50, and what its areas range over is not said."""


def xrl(subject: Subject) -> Outcome:
    """AIM, AUM, PGI, PGU and RIS of each method, as XRL-Bench defines them."""
    found = xrl_bench(subject.agent, subject.episode, subject.rows(), subject.maps(), ks=KS)
    values: dict[Key, Array] = {
        (measure, name, ""): found.area(name, measure) for name in found.values for measure in MEASURES
    }
    printed = leaderboard(found)
    rows: list[list[Cell]] = []
    for name in found.values:
        cells = [str(summary(values[measure, name, ""])) for measure in MEASURES[:-1]]
        rows.append([name, *cells, printed[name]["RIS"]])
    rows.append(["best of XRL-Bench's own on Breakout", *(BEST_ON_BREAKOUT[measure] for measure in MEASURES)])
    note = (
        f"Areas over k = {KS[0]} to {KS[-1]} pixels; RIS is the largest over states. Lower is better for AIM, PGU and "
        "RIS, higher for AUM and PGI. The last row is of another agent, whose Q-values have another scale, over a "
        "range of k that is not said: it shows the order of size, and no more."
    )
    return Outcome(values, [Table("xrl bench", ("method", *MEASURES), rows, note)])
