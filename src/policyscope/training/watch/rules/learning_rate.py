"""A learning rate that is far off, by what an update does to the weights; and weights that no update reaches."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "learning-rate"
_LOOKS, _WARM = 4, 20
_LARGE, _LARGISH = 0.1, 0.03
"""Of the weights, an update. The rule of thumb is 1e-3; Adam moves each weight by at most about its rate, 1e-4 to 1e-3,
which are 1 % of weights of 0.01 to 0.1 (a layer of 3,136 inputs begins with 0.01). At 0.1 steps of random directions
make the weights forget themselves in (1 / 0.1)^2 = 100 updates, the data of less than one game."""
SMALL = 1e-6
"""Of the weights: a million updates in the same direction would be needed to change them by themselves."""
_GROWN, _SOON = 5.0, 10_000
"""Times their first size: updates of 1 % of the weights in random directions need 240,000 to get there."""


def learning_rate(told: Told) -> Iterable[Finding]:
    """The relative size of updates, beyond the first ones, where Adam's steps are at their largest."""
    where = Where("training", region="weights")
    moves = [lesson.move for lesson in told.lessons if lesson.move is not None and lesson.update > _WARM]
    optimised = next((lesson.optimised for lesson in reversed(told.lessons) if lesson.optimised is not None), None)
    if optimised is not None and optimised < 0.5:
        yield Finding(
            RULE,
            "grave" if optimised == 0 else "warning",
            where,
            f"the optimiser has {optimised:.0%} of the network's weights",
            "make the optimiser with the parameters of the network that acts, after it was moved or copied",
            "certain",
            {"optimised": optimised},
        )
        return
    if len(moves) < _LOOKS:
        return
    at_least = float(np.median([m.change / m.updates for m in moves]))
    at_most = float(np.median([m.change / np.sqrt(m.updates) for m in moves]))
    grown = moves[-1].grown
    numbers = {"change": at_least, "grown": grown, "rate": moves[-1].rate}
    if at_least > _LARGISH or (grown > _GROWN and told.updates <= _SOON):
        grave = at_least > _LARGE or grown > _GROWN
        yield Finding(
            RULE,
            "grave" if grave else "warning",
            where,
            f"an update changes the weights by {at_least:.2g} of their size (about 0.001 is usual); they have become "
            f"{grown:.3g} times as large" + _rate(moves[-1].rate),
            "divide the learning rate by ten until the change is about 0.001 of the weights",
            "likely",
            numbers,
        )
        return
    faded = moves[-1].left < 0.1
    learning = any(lesson.loss is not None and lesson.loss != 0 for lesson in told.lessons)
    if at_most < SMALL and not faded and learning:
        yield Finding(
            RULE,
            "grave",
            where,
            f"an update changes the weights by {at_most:.2g} of their size, in effect not at all (about 0.001 is usual)"
            + _rate(moves[-1].rate),
            "look at the learning rate, and whether optimiser.step() is called, on this network's weights",
            "certain" if at_most == 0 else "likely",
            numbers,
        )


def _rate(rate: float) -> str:
    return f"; the learning rate is {rate:.3g}" if np.isfinite(rate) else ""
