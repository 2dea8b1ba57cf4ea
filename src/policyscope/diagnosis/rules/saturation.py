"""A softmax so sure of itself that its probabilities have no gradient."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

NONE = 1e-7
"""A gradient below this is lost beside 1 in single precision."""
WEAK = 1 / 250
"""The paper had to multiply its actor's gradient by 250."""
MOST = 0.9


def saturation(examination: Examination) -> Iterator[Finding]:
    """The gradient of a softmax probability p at its logit is p (1 - p): at most 1/4, and 0 where p is 0 or 1.

    Grave where it is below 1e-7 for the likeliest action in 90 % of the states: single precision cannot tell it from
    none. A note where its median is below 1/250: maps of the probability will be faint, those of the logits are not.
    """
    agent = examination.agent
    if "policy" not in examination.streams or agent.continuous is not None:
        return
    logits = examination.streams["policy"].astype(np.float64)
    if not np.isfinite(logits).all() or logits.shape[1] < 2:
        return
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    likeliest = 1 / shifted.sum(axis=1)
    # 1 - p, of the others' own exponentials: the difference itself would be rounded away.
    rest = (shifted.sum(axis=1) - 1) * likeliest
    slope = likeliest * rest
    share, median = float((slope < NONE).mean()), float(np.median(slope))
    where = Where("network", stream="policy", layer=_last_layer(examination))
    margin = float(np.median(np.diff(np.sort(logits, axis=1)[:, -2:], axis=1)))
    numbers = {"share": share, "median slope": median, "median margin": margin}
    if share >= MOST:
        yield Finding(
            "saturation",
            "grave",
            where,
            f"the policy is saturated: in {share:.0%} of the states the likeliest action is ahead by so much (median "
            f"{margin:.0f} nats) that its probability has no gradient (healthy: margins of a few nats)",
            "it can no longer learn: look at the scale of the last layer's weights, a missing entropy bonus or a "
            "learning rate that is too large; explain the logits (stream policy), not the probability",
            "certain",
            numbers,
        )
    elif median < WEAK:
        yield Finding(
            "saturation",
            "note",
            where,
            f"the likeliest action's probability has a gradient of {median:.1g} at its logit (median; at most 0.25): "
            "maps of the probability will be faint",
            "explain the logits (--stream policy) rather than the probability",
            "certain",
            numbers,
        )


def _last_layer(examination: Examination) -> str | None:
    flow = examination.wiring.flow("policy")
    return next((name for name in reversed(flow.output) if flow.output[name] is not None), None)
