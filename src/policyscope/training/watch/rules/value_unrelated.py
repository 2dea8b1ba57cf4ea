"""Values that have nothing to do with the rewards that follow."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.rules.ends import _returns
from policyscope.training.watch.told import Told

RULE = "value-unrelated"
_UPDATES, _STEPS = 5_000, 200_000
_NEAR, _RETURNS = 40, 100


def value_unrelated(told: Told) -> Iterable[Finding]:
    """The correlation of values with the discounted rewards of the next steps, late in a training.

    Early values are about nothing in every training, so that this is asked after 200,000 steps (or a fifth of the
    plan) alone, and is no more than a warning.
    """
    acted, gamma = told.acted, told.settings.gamma
    late = told.step >= min(_STEPS, 0.2 * (told.settings.steps or 5 * _STEPS))
    if gamma is None or not late or told.updates < _UPDATES or len(acted) <= 2 * _NEAR or told.tally.rewarded < 500:
        return
    if acted.q is not None:
        stream, known, values = "q", acted.known("q"), np.nan_to_num(acted.q).max(axis=2)
    elif acted.value is not None:
        stream, known, values = "value", np.isfinite(acted.value), np.nan_to_num(acted.value)
    else:
        return
    returns, _, _ = _returns(acted.rewards, acted.ends, gamma)
    known = known.copy()
    known[-_NEAR:] = False  # their rewards are not all in yet
    if known.sum() < 1_000 or acted.ends.sum() < 20 or returns[known].std() == 0:
        return
    spread = values[known].std()
    related = float(np.corrcoef(values[known], returns[known])[0, 1]) if spread > 0 else 0.0
    independent = known.sum() / _RETURNS
    if related < 3 / np.sqrt(max(independent, 1)) and related < 0.1:
        yield Finding(
            RULE,
            "warning",
            Where("training", stream=stream),
            f"at step {told.step:,} the values' correlation with the rewards that follow is {related:.2f} (0.3 "
            "and more in "
            "trainings that learn)",
            "look at which rewards and ends belong to which state, at the loss, and at whether rewards are shuffled",
            "possible",
            {"correlation": related},
        )
