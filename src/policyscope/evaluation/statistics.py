"""How sure a mean over frames is, and whether two differ: bootstrap over blocks of frames, within strata.

Frames of an episode are not independent of one another, so that resampling single frames gives intervals that are far
too narrow (Künsch, 1989). Here whole blocks of neighbouring frames are drawn, circularly (Politis and Romano, 1992),
each stratum (an episode, an agent, a seed) by itself and with its own weight, as rliable does with tasks (Agarwal et
al., 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from policyscope.storage import Array

DRAWS = 2_000
LEVEL = 0.95
_LEAST = 5
"""Known frames below which nothing is said of a mean's uncertainty."""

Verdict = Literal["higher", "lower", "same", "unknown"]


@dataclass(frozen=True)
class Interval:
    """A mean and what it may be.

    Attributes:
        mean: Over the frames where the measure applies, strata weighing alike.
        low: Of the percentile interval; not a number where there are too few frames.
        high: Of it.
        n: Frames.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if not self.n:
            return "-"
        return f"{self.mean:.3g}" + (f" [{self.low:.3g}, {self.high:.3g}]" if np.isfinite(self.low) else "")

    def against(self, value: float = 0.0) -> Verdict:
        """Whether the whole interval lies on one side of a value."""
        if not np.isfinite(self.low):
            return "unknown"
        return "higher" if self.low > value else "lower" if self.high < value else "same"


NOTHING = Interval(float("nan"), float("nan"), float("nan"), 0)


def summary(
    values: Array | Sequence[Array],
    *,
    block: int | None = None,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Interval:
    """The mean of a measure and its bootstrap interval.

    Args:
        values: (n,) of one episode in the order of play, NaN where the measure does not apply; or one such array a
            stratum. The mean is that of the strata's means.
        block: Frames that are drawn together; by default twice the integrated autocorrelation time of the first stratum
            that has one.
        level: Share of the resampled means that lie within.
        draws: Resamples.
        seed: Of them.
    """
    strata = _strata(values)
    known = sum(int(np.isfinite(one).sum()) for one in strata)
    if not strata:
        return NOTHING
    mean = float(np.mean([np.nanmean(one) for one in strata]))
    if known < _LEAST:
        return Interval(mean, float("nan"), float("nan"), known)
    generator = np.random.default_rng(seed)
    means = _means(strata, block, draws, generator)
    low, high = np.nanquantile(means, ((1 - level) / 2, (1 + level) / 2))
    return Interval(mean, float(low), float(high), known)


def paired(
    one: Array | Sequence[Array], other: Array | Sequence[Array], *, level: float = LEVEL, seed: int = 0
) -> Interval:
    """The mean of ``one`` minus ``other`` on the frames that both know.

    Args:
        one: As for :func:`summary`.
        other: The same frames, of another method.
        level: Of the interval.
        seed: Of the resamples.
    """
    if isinstance(one, (list, tuple)):
        differences = [np.asarray(a, np.float64) - np.asarray(b, np.float64) for a, b in zip(one, other, strict=True)]
        return summary(differences, level=level, seed=seed)
    return summary(np.asarray(one, np.float64) - np.asarray(other, np.float64), level=level, seed=seed)


def unpaired(
    one: Array | Sequence[Array], other: Array | Sequence[Array], *, level: float = LEVEL, seed: int = 0
) -> Interval:
    """The mean of ``one`` minus that of ``other``, of different frames: each is resampled by itself.

    Args:
        one: As for :func:`summary`.
        other: Of other frames.
        level: Of the interval.
        seed: Of the resamples.
    """
    sides = [_strata(values) for values in (one, other)]
    known = min(sum(int(np.isfinite(stratum).sum()) for stratum in strata) for strata in sides)
    if not known:
        return NOTHING
    first, second = (float(np.mean([np.nanmean(stratum) for stratum in strata])) for strata in sides)
    if known < _LEAST:
        return Interval(first - second, float("nan"), float("nan"), known)
    generator = np.random.default_rng(seed)
    drawn = [_means(strata, None, DRAWS, generator) for strata in sides]
    low, high = np.nanquantile(drawn[0] - drawn[1], ((1 - level) / 2, (1 + level) / 2))
    return Interval(first - second, float(low), float(high), known)


def best_of(values: Mapping[str, Array | Sequence[Array]], *, largest: bool = True, level: float = LEVEL) -> list[str]:
    """The names that nothing is better than beyond noise: the best mean, and all whose paired difference covers zero.

    The level is corrected for the number of comparisons with the best (Bonferroni).

    Args:
        values: Name -> values, as for :func:`summary`, of the same frames.
        largest: Whether more is better.
        level: Of all comparisons together.
    """
    means = {name: summary(one, draws=1).mean for name, one in values.items()}
    known = {name: mean for name, mean in means.items() if np.isfinite(mean)}
    if not known:
        return []
    first = (max if largest else min)(known, key=lambda name: known[name])
    strict = 1 - (1 - level) / max(len(known) - 1, 1)
    worse = "lower" if largest else "higher"
    return [
        name
        for name in known
        if name == first or paired(values[name], values[first], level=strict).against() not in (worse, "unknown")
    ]


def block_length(values: Array) -> int:
    """Twice the integrated autocorrelation time, between 1 and a fifth of the frames.

    The sum of the autocorrelation is cut where it first falls below 0.05, so that noise is not added up.

    Args:
        values: (n,); what is not known counts as the mean.
    """
    known = np.isfinite(values)
    most = max(len(values) // 5, 1)
    if known.sum() < 3:
        return 1
    centred = np.where(known, values - np.nanmean(values), 0.0)
    power = np.abs(np.fft.rfft(centred, 2 * len(centred))) ** 2
    correlation = np.fft.irfft(power)[: len(centred)]
    if correlation[0] <= 0:
        return 1
    correlation = correlation[1:most] / correlation[0]
    small = np.flatnonzero(correlation < 0.05)
    kept = correlation[: small[0]] if len(small) else correlation
    return int(np.clip(np.ceil(2 * (1 + 2 * kept.sum()) - 1), 1, most))


def _strata(values: Array | Sequence[Array]) -> list[Array]:
    """Those in which anything is known."""
    given = values if isinstance(values, (list, tuple)) else [values]
    strata = [np.asarray(one, np.float64) for one in given]
    return [one for one in strata if np.isfinite(one).any()]


def _means(strata: Sequence[Array], block: int | None, draws: int, generator: np.random.Generator) -> Array:
    """Means (draws,) over strata, each resampled by itself."""
    resampled = [_resampled(one, block or block_length(one), draws, generator) for one in strata]
    return np.asarray(np.mean(resampled, axis=0))


def _resampled(values: Array, block: int, draws: int, generator: np.random.Generator) -> Array:
    """Means (draws,) of circular blocks, as many as fill the episode."""
    known = np.isfinite(values)
    plain = np.where(known, values, 0.0)
    blocks = -(-len(values) // block)
    # Sums over each circular block, by differences of a running sum.
    sums, counts = (_windows(np.asarray(array, np.float64), block) for array in (plain, known))
    starts = generator.integers(0, len(values), (draws, blocks))
    total, of = sums[starts].sum(axis=1), counts[starts].sum(axis=1)
    return np.where(of > 0, total / np.maximum(of, 1), np.nan)


def _windows(values: Array, block: int) -> Array:
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values[: block - 1]]))])
    return np.asarray(running[block:] - running[:-block])
