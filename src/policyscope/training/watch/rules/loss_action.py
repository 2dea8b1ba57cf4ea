"""A loss that is not about the actions that were taken."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.lessons import Pull
from policyscope.training.watch.told import Told

RULE = "loss-over-wrong-action"
_ROWS = 100
_MISSED = 0.01
_HALF = 0.5
"""Losses that teach other actions too (a margin, a conservative penalty) pull as hard at the one taken as at all others
together: its share is at least a half. So is it in a policy's gradient, whose parts add up to 0."""


def loss_over_wrong_action(told: Told) -> Iterable[Finding]:
    """By the gradient of the loss at the network's outputs."""
    pulls = [lesson.pull for lesson in told.lessons if lesson.pull is not None and lesson.pull.rows]
    for stream, judge in (("q", _of_values), ("policy", _of_policy)):
        mine = [pull for pull in pulls if pull.stream == stream]
        if sum(pull.rows for pull in mine) >= _ROWS:
            yield from judge(mine)


def _of_values(pulls: list[Pull]) -> Iterable[Finding]:
    rows = [pull.rows for pull in pulls]
    missed = float(np.average([pull.missed for pull in pulls], weights=rows))
    share = float(np.average([pull.on_taken for pull in pulls], weights=rows))
    numbers = {"missed": missed, "on_taken": share}
    where = Where("training", stream="q", region="loss")
    advice = "take the Q of the action that was taken: q.gather(1, actions[:, None]), its error alone in the loss"
    if missed > _MISSED:
        yield Finding(
            RULE,
            "grave",
            where,
            f"in {missed:.0%} of the transitions the loss teaches other actions and not the one that was taken "
            f"({share:.0%} of its gradient is on that; it should be 100 %)",
            advice,
            "certain",
            numbers,
        )
    elif share < 0.99:
        yield Finding(
            RULE,
            "grave" if share < _HALF else "note",
            where,
            f"{share:.0%} of the gradient of the loss is on the action that was taken, the rest on others",
            advice if share < _HALF else "nothing, if the loss is meant to teach other actions too (a margin, CQL)",
            "likely",
            numbers,
        )


def _of_policy(pulls: list[Pull]) -> Iterable[Finding]:
    rows = [pull.rows for pull in pulls]
    share = float(np.average([pull.greatest for pull in pulls], weights=rows))
    if share < _HALF and sum(rows) >= 5 * _ROWS:
        yield Finding(
            RULE,
            "grave",
            Where("training", stream="policy", region="loss"),
            f"in {share:.0%} of the states the policy's loss pulls hardest at the action that was taken (nearly "
            "all in a "
            "policy's gradient)",
            "take the log chance of the action that was taken: log_policy.gather(1, actions[:, None])",
            "likely",
            {"greatest": share},
        )
