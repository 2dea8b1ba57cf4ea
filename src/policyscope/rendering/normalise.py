"""From raw maps to what a palette shows: signed maps to [-1, 1], unsigned ones to [0, 1].

A map that says nothing is never made to look as if it did: an all-zero one stays zero, one with a NaN or an infinity
becomes zero, and both are flagged so that the picture can say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np

from policyscope.errors import PolicyscopeError
from policyscope.rendering.sources import Array
from policyscope.saliency.maps import Maps, Panel

Scope = Literal["frame", "episode", "paper", "paper_episode", "captum", "pytorch_grad_cam"]
Reference = Literal["q995", "max"]

SCOPES: dict[str, str] = {
    "frame": "each map divided by the 99.5th percentile of its absolute value",
    "episode": "all maps of a panel over one number: the 95th percentile of its frames' 99.5th percentiles",
    "paper": "the paper's: minus mean, over (std + 1e-5), times 0.1, clipped (each state by itself); CAMs over maximum",
    "paper_episode": "the paper's, with one mean and standard deviation (CAMs: one maximum) for the whole episode",
    "captum": "captum's: over the value at which the sorted absolute values have made up 98 % of their sum",
    "pytorch_grad_cam": "pytorch-grad-cam's: minus the minimum, over the maximum then, plus 1e-7",
}


@dataclass(frozen=True)
class Normalised:
    """Maps ready for a palette.

    Attributes:
        values: (n, h, w) float32 in [-1, 1], or in [0, 1] where unsigned.
        clipped: (n,) share of the values that were cut off at the ends of the scale.
        scale: (n,) the raw value that is shown in full colour (of the deviation from the mean in the paper's).
        zero: (n,) bool: the map is zero everywhere.
        broken: (n,) bool: the map has values that are not finite.
    """

    values: Array
    clipped: Array
    scale: Array
    zero: Array
    broken: Array


@dataclass(frozen=True)
class EpisodeStatistics:
    """One panel over a whole episode, of the frames whose values are finite.

    Attributes:
        mean: Mean of all values.
        std: Standard deviation of all values.
        max: Largest absolute value.
        q995: 95th percentile over frames of the frames' 99.5th percentiles of the absolute value, so that a few
            outstanding frames do not darken all the others.
    """

    mean: float
    std: float
    max: float
    q995: float

    @classmethod
    def of(cls, rows: Mapping[str, Array]) -> EpisodeStatistics:
        """Pools statistics of equally large frames: ``mean``, ``std``, ``max``, ``q995``, each (N,)."""
        kept = {name: np.asarray(rows[name], np.float64) for name in ("mean", "std", "max", "q995")}
        finite = np.all([np.isfinite(values) for values in kept.values()], axis=0)
        if not finite.any():
            return cls(0.0, 0.0, 0.0, 0.0)
        means, stds, maxima, q995 = (values[finite] for values in kept.values())
        mean = float(means.mean())
        variance = float((stds**2 + means**2).mean()) - mean**2
        return cls(mean, max(variance, 0.0) ** 0.5, float(maxima.max()), float(np.quantile(q995, 0.95)))


def frame_statistics(maps: Array) -> dict[str, Array]:
    """``mean``, ``std``, and ``max`` and ``q995`` of the absolute value, of maps (n, h, w): each (n,)."""
    flat = maps.reshape(len(maps), -1).astype(np.float64)
    size = np.abs(flat)
    broken = ~np.isfinite(size).all(axis=1)
    size[broken] = 0
    q995 = np.quantile(size, 0.995, axis=1) if len(maps) else np.zeros(0)
    with np.errstate(invalid="ignore"):
        rows = {"mean": flat.mean(1), "std": flat.std(1), "max": size.max(1), "q995": q995}
    return {name: np.where(broken, np.nan, values) for name, values in rows.items()}


def episode_statistics(maps: Maps, panel: Panel, smooth: float = 0.0) -> EpisodeStatistics:
    """A panel's statistics over its episode; smoothed maps are read through once, the others' are already known."""
    if not smooth:
        return EpisodeStatistics.of(maps.statistics(panel))
    array = maps[panel]
    parts = [frame_statistics(smoothed(np.asarray(array[i : i + 64]), smooth)) for i in range(0, len(array), 64)]
    return EpisodeStatistics.of({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def smoothed(maps: Array, sigma: float) -> Array:
    """Maps (n, h, w) under a Gaussian of ``sigma`` observation pixels; a map that is not finite is left as it is."""
    if not sigma:
        return maps
    out = np.array(maps, np.float32)
    for index in np.flatnonzero(np.isfinite(out).all(axis=(1, 2))):
        cv2.GaussianBlur(out[index], (0, 0), sigma, dst=out[index], borderType=cv2.BORDER_REPLICATE)
    return out


def normalise(
    maps: Array,
    signed: bool,
    scope: Scope = "frame",
    statistics: EpisodeStatistics | None = None,
    gain: float = 1.0,
    reference: Reference = "q995",
) -> Normalised:
    """Normalises maps (n, h, w) for showing.

    ``frame`` and ``episode`` keep zero at zero and divide by the 99.5th percentile (or the maximum) of the absolute
    value. The paper's, for signed maps, is ``clip(0.1 (m - mean) / (std + 1e-5))`` and for CAMs ``max(m, 0) / max(m)``.

    Args:
        maps: Raw values.
        signed: Whether negative values mean something; they are cut off where not.
        scope: Whose statistics: see ``SCOPES``.
        statistics: The panel's over the episode, for ``episode`` and ``paper_episode``.
        gain: Factor before clipping (250 for the paper's actor).
        reference: What ``frame`` and ``episode`` divide by.

    Raises:
        PolicyscopeError: The scope is unknown.
    """
    if scope not in SCOPES:
        raise PolicyscopeError(f"no normalisation '{scope}'; there are {', '.join(SCOPES)}")
    if scope in ("episode", "paper_episode") and statistics is None:
        raise ValueError(f"normalisation '{scope}' needs the episode's statistics")
    values = np.array(maps, np.float32)
    broken: Array = np.asarray(~np.isfinite(values).all(axis=(1, 2)))
    values[broken] = 0
    zero: Array = np.asarray(~broken & ~values.any(axis=(1, 2)))

    centre, divisor = _centre_and_divisor(values, signed, scope, statistics, reference)
    scale = divisor / gain
    shown = ~(zero | broken) & (scale > 0)
    # a float32's smallest scale keeps the zeros of a very faint map at zero
    divided_by = np.maximum(np.where(shown, scale, 1), np.finfo(np.float32).smallest_subnormal)
    with np.errstate(over="ignore"):
        values = np.divide(values - _columns(centre), _columns(divided_by), dtype=np.float32)
    values[~shown] = 0
    over = np.abs(values) > 1 + 1e-6 if signed else values > 1 + 1e-6
    np.clip(values, -1 if signed else 0, 1, out=values)
    return Normalised(values, over.mean(axis=(1, 2)), scale, zero, broken)


def _centre_and_divisor(
    values: Array, signed: bool, scope: Scope, statistics: EpisodeStatistics | None, reference: Reference
) -> tuple[Array, Array]:
    """What is taken off each map and what it is then divided by, each (n,) float64."""
    count, none = len(values), np.zeros(len(values))
    if scope in ("episode", "paper_episode"):
        assert statistics is not None
        if scope == "paper_episode" and signed:
            return np.full(count, statistics.mean), np.full(count, (statistics.std + 1e-5) / 0.1)
        largest = scope == "paper_episode" or reference == "max" or not statistics.q995
        return none, np.full(count, statistics.max if largest else statistics.q995)
    if scope == "frame":
        return none, _reference(values, reference)
    exact = values.astype(np.float64)
    if scope == "captum":
        ordered = np.sort(np.abs(exact).reshape(count, -1), axis=1)
        sums = ordered.cumsum(axis=1)
        place = (sums >= 0.98 * sums[:, -1:]).argmax(axis=1)
        return none, ordered[np.arange(count), place]
    if scope == "pytorch_grad_cam":
        low = exact.min(axis=(1, 2), initial=np.inf)
        return low, exact.max(axis=(1, 2), initial=-np.inf) - low + 1e-7
    if signed:
        return exact.mean(axis=(1, 2)), (exact.std(axis=(1, 2)) + 1e-5) / 0.1
    return none, exact.max(axis=(1, 2), initial=0)


def _columns(row: Any) -> Array:
    return np.asarray(row, np.float32)[:, None, None]


def _reference(values: Array, reference: Reference) -> Array:
    """The 99.5th percentile of the absolute values, or their maximum where fewer pixels than that say anything."""
    size = np.abs(values).reshape(len(values), values.shape[1] * values.shape[2])
    largest = size.max(axis=1, initial=0).astype(np.float64)
    if reference == "max" or not len(size):
        return np.asarray(largest)
    rank = 0.995 * (size.shape[1] - 1)
    low, part = int(rank), rank - int(rank)
    high = min(low + 1, size.shape[1] - 1)
    ordered = np.partition(size, (low, high), axis=1).astype(np.float64)
    q995 = ordered[:, low] * (1 - part) + ordered[:, high] * part
    return np.where(q995 > 0, q995, largest)
