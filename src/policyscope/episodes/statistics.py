"""How sure one can be of a mean return: the interval around it, and whether two samples differ."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policyscope.storage import Array

Returns = Sequence[float] | Array


def mean_interval(returns: Returns, level: float = 0.95, draws: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean.

    Args:
        returns: (games,).
        level: Share of the resampled means that lie within.
        draws: Resamples of the games, with replacement.
        seed: Of the draws.
    """
    values = np.asarray(returns, np.float64)
    means = np.random.default_rng(seed).choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def same_mean(first: Returns, second: Returns, draws: int = 20_000, seed: int = 0) -> float:
    """The p-value of the two-sided permutation test of the difference of two means.

    It is how often games, dealt at random into two heaps of these sizes, have means at least as far apart. Returns
    are skewed and often all equal, as -21 in Pong, where a t-test's assumption fails or its variance is zero.

    Args:
        first: (games,).
        second: (games,), not necessarily as many.
        draws: Deals; the least value is 1 / (draws + 1).
        seed: Of the deals.
    """
    one, other = np.asarray(first, np.float64), np.asarray(second, np.float64)
    games, rng = np.concatenate([one, other]), np.random.default_rng(seed)
    observed = abs(one.mean() - other.mean())
    dealt = rng.permuted(np.broadcast_to(games, (draws, len(games))), axis=1)
    apart = np.abs(dealt[:, : len(one)].mean(axis=1) - dealt[:, len(one) :].mean(axis=1))
    # Sums of the same numbers in another order differ in the last bits, and are as far apart as what was observed.
    reached = int((apart >= observed - 1e-9 * max(1.0, float(np.abs(games).max()))).sum())
    return (reached + 1) / (draws + 1)
