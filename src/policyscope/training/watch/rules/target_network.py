"""A target network that is never updated, or always."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.lessons import Lesson
from policyscope.training.watch.rules.learning_rate import SMALL
from policyscope.training.watch.told import Told

RULE = "target-network"
_LOOKS = 6
_ONE = 1.5
"""Updates: the distance of a target network that is copied every time is at most one. One that is mixed in by tau lags
1 / tau updates behind, ten of them in random directions for a tau of 0.005."""
_LONGEST = 10_000
"""Updates between copies: the longest in use is that of Mnih et al. (2015)."""


def target_network(told: Told) -> Iterable[Finding]:
    """By how far it is from the network, at updates that have nothing to do with the copies, and since when."""
    where = Where("training", region="target network")
    every = told.settings.target_every
    if every is not None and every > 2 * _LONGEST and not told.settings.target_mixed:
        yield Finding(
            RULE,
            "grave",
            where,
            f"the target network is to change every {every:,.0f} updates, in effect never; the longest in use is "
            f"{_LONGEST:,}",
            "copy the weights every 250 to 10,000 updates",
            "likely",
            {"every": every},
        )
        return
    seen = [lesson for lesson in told.lessons if lesson.target_off is not None and lesson.target_still is not None]
    moves = [lesson.move.change / lesson.move.updates for lesson in told.lessons if lesson.move is not None]
    # The copy of what does not move says nothing; that it does not move is the learning rate's finding.
    if len(seen) < _LOOKS or not moves or float(np.median(moves)) < SMALL:
        return
    same = sum(_at_most_one(lesson) for lesson in seen) / len(seen)
    if same > 0.9:
        yield Finding(
            RULE,
            "grave",
            where,
            f"at {same:.0%} of {len(seen)} updates that were looked at the target network was no further from the "
            "network than one update: it is updated every time, or is the same object",
            "copy the weights now and then (every 250 to 10,000 updates), or mix them in slowly (tau of 0.005); make "
            "the target network with copy.deepcopy",
            "certain",
            {"same": same, "looks": len(seen)},
        )
        return
    last = seen[-1]
    still = last.target_still or 0
    if told.settings.target_mixed and last.target_off == 0:
        return
    allowed = 100.0 if told.settings.target_mixed else _LONGEST if every is None else 2 * every + 100
    if still > allowed:
        sure = every is not None or told.settings.target_mixed
        was = f"; it was to change every {every:,.0f}" if every is not None else f"; the longest in use is {_LONGEST:,}"
        yield Finding(
            RULE,
            "grave" if sure else "warning",
            where,
            f"the target network has not changed for {still:,} updates" + was,
            "look at whether the weights are copied from the network into its target, and how often",
            "certain" if sure else "likely",
            {"updates": still},
        )


def _at_most_one(lesson: Lesson) -> bool:
    """Whether the target network is no further away than an update goes: trainers copy before one or after it."""
    step = lesson.move.change / lesson.move.updates if lesson.move is not None else 0.0
    return lesson.target_off is not None and lesson.target_off <= _ONE * step
