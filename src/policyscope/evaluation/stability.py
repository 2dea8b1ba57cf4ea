"""Stability, the paper's word made exact: on how many frames a highlight can be seen, and how much it flickers.

The paper calls a highlight *stable* that is seen "on most frames", and *not stable* one seen "on every 4th, 5th (or
even less) frame" (section 4). A highlight on a tracked object is taken to be *seen* where the map, as a video would
show it, is bright on the object (a quarter of full colour at its brightest pixel) and clearly brighter there than
around it (twice the mean outside of all objects).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from policyscope.evaluation.magnitude import Magnitudes, magnitude
from policyscope.evaluation.marks import Marks
from policyscope.storage import Array

BRIGHT, CLEAR = 0.25, 2.0
MOST, FEW = 0.5, 0.25
PATCH = 4
"""Pixels around an object's centre that are compared from frame to frame."""

Stable = Literal["stable", "not stable", "between", "unknown"]


def scales(maps: Array | Magnitudes) -> Array:
    """What is shown in full colour if each frame is normalised by itself: its 99.5th percentile, (n, H, W) -> (n,)."""
    return Magnitudes.of(maps).quantile(0.995)


def shown(maps: Array, scale: Array | float) -> Array:
    """The brightness (n, H, W) in [0, 1] of maps over their scale; a map without one is dark.

    Args:
        maps: (n, H, W).
        scale: (n,) of each frame, or one of the episode.
    """
    wide = np.broadcast_to(np.asarray(scale, np.float64), (len(maps),))[:, None, None]
    return np.where(wide > 0, np.clip(magnitude(maps) / np.where(wide > 0, wide, 1), 0, 1), 0.0)


def visible(bright: Array, coverage: Array | Marks) -> Array:
    """Whether a highlight on each kind can be seen, 0 or 1.

    Args:
        bright: (n, H, W) as :func:`shown` makes it.
        coverage: (n, K, H, W).

    Returns:
        (n, K); NaN where a kind is not there.
    """
    marks = Marks.of(coverage)
    outside = marks.elsewhere
    around = np.einsum("nhw,nhw->n", bright, outside) / np.maximum(outside.sum(axis=(1, 2)), 1)
    within = marks.own.sums(bright) / np.maximum(marks.own.counts, 1)
    seen = (marks.near.peaks(bright) >= BRIGHT) & (within >= CLEAR * around[:, None])
    return np.where(marks.present, seen.astype(float), np.nan)


def word(share: float, low: float, high: float) -> Stable:
    """The paper's word for a share of frames: only where its whole interval says so.

    Args:
        share: Mean of :func:`visible`.
        low: Of its interval.
        high: Of it.
    """
    if not np.isfinite(low):
        return "unknown"
    return "stable" if low > MOST else "not stable" if high <= FEW else "between"


def flicker(bright: Array, before: Array) -> Array:
    """How much of the light is not where it was a frame ago: 0 (the same) to 1 (all of it has moved or gone).

    ``sum |b_t - b_(t-1)| / sum (b_t + b_(t-1))``.

    Args:
        bright: (n, H, W) as :func:`shown` makes it.
        before: (n, H, W) of the frames before them.

    Returns:
        (n,); NaN where both are dark.
    """
    total = (bright + before).sum(axis=(1, 2))
    return np.where(total > 0, np.abs(bright - before).sum(axis=(1, 2)) / np.where(total > 0, total, 1), np.nan)


def flash(bright: Array, before: Array) -> Array:
    """How much the whole picture flashes: the change of its light over the sum, 0 to 1, (n, H, W) -> (n,).

    What moves with its light does not count here, as it does in :func:`flicker`.
    """
    now, then = bright.sum(axis=(1, 2)), before.sum(axis=(1, 2))
    total = now + then
    return np.where(total > 0, np.abs(now - then) / np.where(total > 0, total, 1), np.nan)


def followed(maps: Array, before: Array, centres: Array, centres_before: Array, patch: int = PATCH) -> Array:
    """Stability under motion compensation: how alike a map is around an object and a frame ago around where it was.

    Pearson's correlation of the patches (2 patch + 1 pixels wide) around its rounded centres.

    Args:
        maps: (n, H, W).
        before: (n, H, W) of the frames before.
        centres: (n, S, 2) rows and columns; NaN where it is not there.
        centres_before: (n, S, 2).
        patch: Pixels on each side of the centre.

    Returns:
        (n, S); NaN where the object is not in both frames, or the map is flat around it in one of them.
    """
    return likeness(surroundings(maps, centres, patch), surroundings(before, centres_before, patch))


def surroundings(maps: Array, centres: Array, patch: int = PATCH) -> Array:
    """What a map is around some points, over its mean there.

    Args:
        maps: (n, H, W).
        centres: (n, S, 2) rows and columns; they are rounded.
        patch: Pixels on each side.

    Returns:
        (n, S, pixels) float64.
    """
    found = patches(magnitude(maps), centres, patch)
    found = found.reshape(*found.shape[:2], -1)
    return np.asarray(found - found.mean(axis=2, keepdims=True))


def likeness(one: Array, other: Array) -> Array:
    """Pearson's correlation (n, S) of two :func:`surroundings`; NaN where one of them is flat or unknown."""
    pairs = ((one, one), (other, other), (one, other))
    own, others, both = (np.einsum("nsp,nsp->ns", first, second) for first, second in pairs)
    norms = np.sqrt(own * others)
    known = np.isfinite(norms) & (norms > 0)
    return np.where(known, both / np.where(known, norms, 1), np.nan)


def patches(maps: Array, centres: Array, patch: int) -> Array:
    """Squares of a map around some points (n, S, 2 patch + 1, 2 patch + 1) float64; NaN where one would reach outside.

    Args:
        maps: (n, H, W).
        centres: (n, S, 2) rows and columns.
        patch: Pixels on each side.
    """
    _, height, width = maps.shape
    aside = np.arange(-patch, patch + 1)
    known: Array = np.asarray(np.isfinite(centres).all(axis=2))
    middle = np.rint(np.where(known[..., None], centres, 0)).astype(int)
    fits: Array = (middle >= patch) & (middle < np.array([height, width]) - patch)
    inside: Array = known & np.asarray(fits.all(axis=2))
    centre = (np.arange(len(maps))[:, None] * height + middle[..., 0]) * width + middle[..., 1]
    places = centre[..., None, None] + (aside[:, None] * width + aside)
    found = maps.reshape(-1).take(places, mode="clip").astype(np.float64)
    found[~inside] = np.nan
    return np.asarray(found)
