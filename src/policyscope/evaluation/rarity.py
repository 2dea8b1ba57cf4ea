"""Whether rarely visited states have weaker gradients, as section 4.1 of the paper says."""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.statistics import Interval, block_length
from policyscope.storage import Array

NEIGHBOURS = 10


def rarity(activations: Array, times: Array | None = None, neighbours: int = NEIGHBOURS) -> Array:
    """How far a state is from its nearest neighbours in what the network makes of it: the rarer, the further.

    The mean distance to the ``neighbours`` nearest states of other moments, features scaled to a standard deviation of
    one. States that follow one another in play are alike without being often visited, so that those within as many
    steps as ``neighbours`` do not count as neighbours.

    Args:
        activations: (n, d) of a hidden layer.
        times: (n,) step of each state; by default one after the other.
        neighbours: How many.

    Returns:
        (n,) float64.
    """
    values = np.asarray(activations, np.float64)
    spread = values.std(axis=0)
    values = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1)
    steps = np.arange(len(values)) if times is None else np.asarray(times)
    squares = (values**2).sum(axis=1)
    found = np.empty(len(values))
    for first in range(0, len(values), 512):
        rows = slice(first, first + 512)
        distances = squares[rows, None] + squares - 2 * values[rows] @ values.T
        distances[np.abs(steps[rows, None] - steps) <= neighbours] = np.inf
        nearest = np.sort(np.partition(distances, neighbours - 1, axis=1)[:, :neighbours], axis=1)
        known = np.isfinite(nearest)
        roots = np.sqrt(np.maximum(np.where(known, nearest, 0), 0))
        found[rows] = roots.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found


def ranked_together(one: Array, other: Array, *, level: float = 0.95, draws: int = 1_000, seed: int = 0) -> Interval:
    """Spearman's rank correlation of two series over the same frames, with a block bootstrap's interval.

    Args:
        one: (n,).
        other: (n,).
        level: Of the interval.
        draws: Resamples.
        seed: Of them.
    """
    known = np.isfinite(one) & np.isfinite(other)
    first, second = np.asarray(one, np.float64)[known], np.asarray(other, np.float64)[known]
    if len(first) < 5 or first.std() == 0 or second.std() == 0:
        return Interval(float("nan"), float("nan"), float("nan"), int(known.sum()))
    a, b = _ranks(first), _ranks(second)
    block = max(block_length(a), block_length(b))
    random = np.random.default_rng(seed)
    starts = random.integers(0, len(a), (draws, -(-len(a) // block)))
    rows = (starts[:, :, None] + np.arange(block)).reshape(draws, -1) % len(a)
    drawn = _pearson(a[rows], b[rows])
    low, high = np.nanquantile(drawn, ((1 - level) / 2, (1 + level) / 2))
    return Interval(float(_pearson(a[None], b[None])[0]), float(low), float(high), len(a))


def _ranks(values: Array) -> Array:
    """Ranks, equal values sharing their mean one."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[where], np.float64)


def _pearson(one: Array, other: Array) -> Array:
    a, b = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    size = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return np.where(size > 0, (a * b).sum(axis=1) / np.where(size > 0, size, 1), np.nan)
