"""A function on the outputs of Q that keeps values from being learnt."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.activation import Activation
from policyscope.training.watch.told import Told

RULE = "activation-on-q"
_OUTPUTS = 2_000
_ADVICE = "end the Q-network with a linear layer, and nothing after it"


def activation_on_q(told: Told) -> Iterable[Finding]:
    """By the graph of the outputs where there is one, else by the outputs themselves."""
    where = Where("training", stream="q", region="last layer")
    seen = (lesson.activation for lesson in reversed(told.lessons) if lesson.activation is not None)
    last = next(seen, told.activation)
    if last is not None:
        limits = _limits(last)
        yield Finding(
            RULE,
            "grave" if limits else "warning",
            where,
            f"the outputs of Q go through {last.name} last"
            + (f", so that none is {limits}; values have no such bounds" if limits else ""),
            _ADVICE,
            "certain",
        )
        return
    acted = told.acted
    known = acted.known("q")
    if acted.q is None or known.sum() * acted.q.shape[2] < _OUTPUTS or acted.q.shape[2] < 2:
        return
    q = acted.q[known]
    zero = float((q == 0).mean())
    if (q >= 0).all() and 0.01 < zero < 1:
        yield Finding(
            RULE,
            "grave",
            where,
            f"{zero:.0%} of the outputs of Q are exactly 0 and none is below: a rectifier comes after the last layer",
            _ADVICE,
            "certain",
            {"zero": zero},
        )
    elif zero == 1 and told.updates >= 500 and told.tally.rewarded > 100:
        yield Finding(
            RULE,
            "grave",
            where,
            f"all outputs of Q are exactly 0 after {told.updates:,} updates: a rectifier after the last layer is "
            "dead, or "
            "the layer is not learnt",
            _ADVICE,
            "likely",
            {"zero": zero},
        )
    elif (q >= 0).all() and np.abs(q.sum(axis=1) - 1).max() < 1e-3:
        yield Finding(
            RULE,
            "grave",
            where,
            "the outputs of Q add up to 1 in every state: a softmax comes after the last layer",
            _ADVICE,
            "certain",
        )
    elif float(np.abs(q).max()) <= 1 and float((np.abs(q) > 0.999).mean()) > 0.01:
        yield Finding(
            RULE,
            "grave",
            where,
            f"{(np.abs(q) > 0.999).mean():.0%} of the outputs of Q are between 0.999 and 1 in size, and none is "
            "beyond: a "
            "tanh or a sigmoid after the last layer is saturated",
            _ADVICE,
            "likely",
        )


def _limits(last: Activation) -> str:
    below = "" if np.isinf(last.low) else f"below {last.low:g}"
    above = "" if np.isinf(last.high) else f"above {last.high:g}"
    if np.isnan(last.low):
        return "beyond the clamp"
    return " or ".join(filter(None, (below, above)))
