"""Which shape the mean map around a thing has: templates are fitted on half of the frames and judged on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from policyscope.evaluation.operators import gaussian, laplacian_of_gaussian, shaped
from policyscope.evaluation.profiles import block_draws
from policyscope.evaluation.statistics import Interval
from policyscope.storage import Array

SIGMAS = 16
LEAST_SIGMA = 0.6
_LEVEL = 0.95


@dataclass(frozen=True)
class Family:
    """A shape with a free width, or without one.

    Attributes:
        name: What it is called in tables.
        templates: (T, P, P), one a width.
        sigmas: (T,) the widths in observation pixels; NaN where there is none.
    """

    name: str
    templates: Array
    sigmas: Array


@dataclass(frozen=True)
class Fit:
    """How well a family explains the mean map.

    Attributes:
        name: Of the family.
        explained: Share of the variance over pixels of one half's mean map that is explained by what was fitted on the
            other half's (width, amplitude and level), the mean of both ways round, with a block bootstrap over frames;
            0 is what a constant explains, and less is possible.
        sigma: The width that fits the mean of all frames best.
        amplitude: Its factor: positive where the middle is.
        single: Median over frames of the squared correlation of the template with a single frame's map.
        draws: The bootstrap's values of ``explained``, for differences.
    """

    name: str
    explained: Interval
    sigma: float
    amplitude: float
    single: float
    draws: Array


def families(radius: int, mask: Array, pictures: Mapping[str, Array]) -> list[Family]:
    """The shapes that are compared.

    Args:
        radius: Of the patches.
        mask: (P, P) the thing's mean coverage.
        pictures: Name -> (P, P): mean responses of operators to the thing's own picture.
    """
    # The widest Laplacian still has its ring of the other sign inside the patch.
    sigmas = np.geomspace(LEAST_SIGMA, radius / 2.5, SIGMAS)
    found = []
    for name, template in (("laplacian of gaussian", laplacian_of_gaussian), ("gaussian", gaussian)):
        points = np.stack([template(radius, sigma) for sigma in sigmas])
        found.append(Family(name, points, sigmas))
        found.append(Family(f"{name}, shaped", np.stack([shaped(mask, kernel) for kernel in points]), sigmas))
    return [*found, *(Family(name, one[None], np.array([np.nan])) for name, one in pictures.items())]


def fit(patches: Array, shapes: Sequence[Family], *, draws: int = 200, seed: int = 0) -> tuple[list[Fit], Interval]:
    """Fits families to the mean of patches.

    Args:
        patches: (n, P, P) a frame each, in the order of play; NaN beyond the picture or where the thing is not there.
        shapes: What is fitted.
        draws: Bootstrap samples.
        seed: Of them.

    Returns:
        A fit each, and the ceiling: what one half's mean map itself explains of the other's.
    """
    there = np.isfinite(patches).any(axis=(1, 2))
    seen = patches[there].reshape(int(there.sum()), -1)
    common = np.isfinite(seen).mean(axis=0) > 0.5 if len(seen) else np.zeros(seen.shape[1], bool)
    if len(seen) < 20 or common.sum() < 9:
        nothing = Interval(float("nan"), float("nan"), float("nan"), len(seen))
        blank, none = float("nan"), np.full(draws, np.nan)
        return [Fit(shape.name, nothing, blank, blank, blank, none) for shape in shapes], nothing
    seen = seen[:, common]
    even = np.flatnonzero(there) % 2 == 0
    strength = np.nan_to_num(seen).std(axis=1)
    rows = np.concatenate([np.arange(len(seen))[None], block_draws(strength, draws, seed)])
    halves = [np.stack([_mean(seen, row[even[row] == half]) for row in rows]) for half in (True, False)]
    whole = _mean(seen, np.arange(len(seen)))
    ceiling = _interval(_both_ways(halves, lambda half: half[:, None]), len(seen))
    return [_fitted(shape, seen, whole, halves, common) for shape in shapes], ceiling


def difference(one: Fit, other: Fit) -> Interval:
    """How much more of the variance one family explains than another, on the same resampled frames."""
    mean = one.explained.mean - other.explained.mean
    return Interval(mean, *_bounds(mean, one.draws - other.draws), one.explained.n)


def _fitted(shape: Family, seen: Array, whole: Array, halves: list[Array], common: Array) -> Fit:
    templates = shape.templates.reshape(len(shape.templates), -1)[:, common]
    values = _both_ways(halves, lambda half: np.broadcast_to(templates, (len(half), *templates.shape)))
    best, slope = _best(whole[None], templates[None])
    template = templates[int(best[0])]
    correlations = [_correlation(one, template) ** 2 for one in seen]
    return Fit(
        name=shape.name,
        explained=_interval(values, len(seen)),
        sigma=float(shape.sigmas[int(best[0])]),
        amplitude=float(slope[0]),
        single=float(np.nanmedian(correlations)) if np.isfinite(correlations).any() else float("nan"),
        draws=values[1:],
    )


def _both_ways(halves: list[Array], templates_of: object) -> Array:
    """Explained variance (draws,) when one half is fitted and the other explained, the mean of both ways."""
    ways = []
    for known, asked in ((halves[0], halves[1]), (halves[1], halves[0])):
        templates = templates_of(known)  # type: ignore[operator]
        best, slope = _best(known, templates)
        chosen = templates[np.arange(len(known)), best]
        centred = chosen - chosen.mean(axis=1, keepdims=True)
        said = slope[:, None] * centred + known.mean(axis=1, keepdims=True)
        rest = ((asked - said) ** 2).sum(axis=1)
        ways.append(1 - rest / _variance(asked))
    return np.asarray(np.mean(ways, axis=0))


def _best(means: Array, templates: Array) -> tuple[Array, Array]:
    """Of templates (m, T, pixels) the one that fits means (m, pixels) best, and its factor."""
    centred = templates - templates.mean(axis=2, keepdims=True)
    power = (centred**2).sum(axis=2)
    projected = np.einsum("mtp,mp->mt", centred, means - means.mean(axis=1, keepdims=True))
    slopes = projected / np.where(power > 0, power, np.inf)
    best = (slopes * projected).argmax(axis=1)
    return best, slopes[np.arange(len(means)), best]


def _mean(seen: Array, rows: Array) -> Array:
    chosen = seen[rows]
    known = np.isfinite(chosen)
    count = known.sum(axis=0)
    return np.asarray(np.where(known, chosen, 0.0).sum(axis=0) / np.maximum(count, 1), np.float64)


def _variance(values: Array) -> Array:
    total = ((values - values.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    return np.where(total > 0, total, np.nan)


def _correlation(one: Array, other: Array) -> float:
    known = np.isfinite(one)
    a, b = one[known] - one[known].mean(), other[known] - other[known].mean()
    size = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / size) if size > 0 else float("nan")


def _bounds(mean: float, draws: Array) -> tuple[float, float]:
    """A percentile interval, moved so that its middle is the estimate.

    A sample drawn again holds fewer different frames, so that its means are noisier and less of them is explained.
    """
    if not np.isfinite(draws).any():
        return float("nan"), float("nan")
    low, middle, high = np.nanquantile(draws, ((1 - _LEVEL) / 2, 0.5, (1 + _LEVEL) / 2))
    return float(mean + low - middle), float(mean + high - middle)


def _interval(values: Array, count: int) -> Interval:
    return Interval(float(values[0]), *_bounds(float(values[0]), values[1:]), count)
