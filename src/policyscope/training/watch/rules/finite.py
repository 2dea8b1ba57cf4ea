"""Numbers that are none: the loss, or the weights."""

from __future__ import annotations

import math
from collections.abc import Iterable

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "not-finite"


def not_finite(told: Told) -> Iterable[Finding]:
    """The loss and the weights at the updates that were looked at."""
    for lesson in told.lessons:
        lost = lesson.loss is not None and not math.isfinite(lesson.loss)
        if lost or not lesson.finite:
            what = "the loss" if lost else "a weight"
            yield Finding(
                RULE,
                "grave",
                Where("training", region="loss" if lost else "weights"),
                f"{what} is not a number at update {lesson.update:,}",
                "go back to the last good checkpoint; clip gradients, lower the learning rate, look for log(0) "
                "and 0 / 0",
                "certain",
            )
            return
