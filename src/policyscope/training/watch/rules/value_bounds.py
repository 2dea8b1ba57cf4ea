"""Values beyond what any course of rewards could bring: they feed on themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "values-beyond-bounds"
_TIMES = 2.0
"""An estimate may pass the bound by its error; half of the states by twice the bound is none."""


def values_beyond_bounds(told: Told) -> Iterable[Finding]:
    """A discounted sum of rewards is at most the largest reward over 1 - gamma."""
    gamma, acted, tally = told.settings.gamma, told.acted, told.tally
    largest = 1.0 if told.settings.rewards in ("sign", "clip") else tally.largest
    if gamma is None or gamma >= 1 or not largest or tally.rewarded < 20:
        return
    known = acted.known("q") if acted.q is not None else np.zeros(0, bool)
    if known.any() and acted.q is not None:
        stream, sizes = "q", np.abs(acted.q[known]).max(axis=1)
    elif acted.value is not None and np.isfinite(acted.value).any():
        stream, sizes = "value", np.abs(acted.value[np.isfinite(acted.value)])
    else:
        return
    bound, seen = largest / (1 - gamma), float(np.median(sizes[len(sizes) // 2 :]))
    if seen > _TIMES * bound:
        yield Finding(
            RULE,
            "grave",
            Where("training", stream=stream),
            f"half of the values are above {seen:.3g} in size; with rewards up to {largest:g} and a discount of "
            f"{gamma:g} "
            f"none can be above {bound:.3g}",
            "look at ends that are not masked, the target network, and the learning rate",
            "certain",
            {"median": seen, "bound": bound},
        )
