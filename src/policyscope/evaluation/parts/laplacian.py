"""The Laplacian hypothesis: what guided backpropagation is around things that move, on each input frame."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from policyscope.evaluation.laplacian import around, row
from policyscope.evaluation.laplacian_figure import figure
from policyscope.evaluation.objects import GAMES
from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.rendering.figure import of_run

_MOST = 4
"""Input frames that are looked at, the newest among them."""
_SHOWN = ("kind", "lag", "at", "frames", "core", "surround", "opposition", "laplacian", "gaussian", "sobel", "verdict")
_NOTE = (
    "core, surround: means of the map over things and over the band around them, in standard deviations of the map; "
    "opposition: 1 as strong and of opposite sign, 0 one of them is nothing, -1 the same; laplacian, gaussian, sobel: "
    "variance of the mean map around things that a Laplacian of Gaussian, a blob, edges explain, cross-validated."
)


def laplacian(subject: Subject) -> Outcome:
    """Core and surround of maps around the kinds of things that move, and which shape they have."""
    agent, episode = subject.agent, subject.episode
    if agent.protocol.game not in GAMES or episode.ram is None or agent.protocol.ready:
        return Outcome(notes=["skipped: it needs a game of known objects, recorded with the console's RAM"])
    lags = range(min(agent.protocol.stack, _MOST))
    found = around(agent, episode, lags=tuple(lags), name=agent.source)
    if find_spec("matplotlib") is not None and found:
        newest = [one for one in found if one.lag == 0 and one.at == found[0].at]
        paths = of_run(subject.out, "evaluation-laplacian")
        figure(newest, *paths, title=f"guided backpropagation of {agent.source}")
    rows = [row(one) for one in found]
    plain: list[list[Cell]] = [[_cell(one[name]) for name in _SHOWN] for one in rows]
    return Outcome({}, [Table("laplacian", _SHOWN, plain, _NOTE)], {"rows": rows})


def _cell(value: Any) -> Cell:
    return value if isinstance(value, (str, int)) else float(value)
