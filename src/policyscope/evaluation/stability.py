"""Stability, the paper's word made exact: on how many frames a highlight can be seen, and how much it flickers.

The paper calls a highlight *stable* that is seen "on most frames", and *not stable* one seen "on every 4th, 5th (or
even less) frame" (section 4). A highlight on a tracked object is taken to be *seen* where the map, as a video would
show it, is bright on the object (a quarter of full colour at its brightest pixel) and clearly brighter there than
around it (twice the mean outside of all objects).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from policyscope.evaluation.magnitude import magnitude
from policyscope.evaluation.recognition import marked
from policyscope.storage import Array

BRIGHT, CLEAR = 0.25, 2.0
MOST, FEW = 0.5, 0.25
PATCH = 4
"""Pixels around an object's centre that are compared from frame to frame."""

Stable = Literal["stable", "not stable", "between", "unknown"]


def scales(maps: Array) -> Array:
    """What is shown in full colour if each frame is normalised by itself: its 99.5th percentile, (n, H, W) -> (n,)."""
    return np.asarray(np.quantile(magnitude(maps), 0.995, axis=(1, 2)))


def shown(maps: Array, scale: Array | float) -> Array:
    """The brightness (n, H, W) in [0, 1] of maps over their scale; a map without one is dark.

    Args:
        maps: (n, H, W).
        scale: (n,) of each frame, or one of the episode.
    """
    wide = np.broadcast_to(np.asarray(scale, np.float64), (len(maps),))[:, None, None]
    return np.where(wide > 0, np.clip(magnitude(maps) / np.where(wide > 0, wide, 1), 0, 1), 0.0)


def visible(bright: Array, coverage: Array) -> Array:
    """Whether a highlight on each kind can be seen, 0 or 1.

    Args:
        bright: (n, H, W) as :func:`shown` makes it.
        coverage: (n, K, H, W).

    Returns:
        (n, K); NaN where a kind is not there.
    """
    there = marked(coverage)
    near = np.ones((3, 3), np.uint8)
    grown = np.stack([[cv2.dilate(one.astype(np.uint8), near) for one in row] for row in there]).astype(bool)
    peak = np.where(grown, bright[:, None], 0.0).max(axis=(2, 3))
    outside = ~grown.any(axis=1)
    around = np.where(outside, bright, 0.0).sum(axis=(1, 2)) / np.maximum(outside.sum(axis=(1, 2)), 1)
    within = (bright[:, None] * there).sum(axis=(2, 3)) / np.maximum(there.sum(axis=(2, 3)), 1)
    seen = (peak >= BRIGHT) & (within >= CLEAR * around[:, None])
    return np.where(there.any(axis=(2, 3)), seen.astype(float), np.nan)


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
    now, then = patches(magnitude(maps), centres, patch), patches(magnitude(before), centres_before, patch)
    now, then = (one.reshape(*one.shape[:2], -1) for one in (now, then))
    now, then = (one - one.mean(axis=2, keepdims=True) for one in (now, then))
    norms = np.sqrt((now**2).sum(axis=2) * (then**2).sum(axis=2))
    known = np.isfinite(norms) & (norms > 0)
    return np.where(known, (now * then).sum(axis=2) / np.where(known, norms, 1), np.nan)


def patches(maps: Array, centres: Array, patch: int) -> Array:
    """Squares of a map around some points (n, S, 2 patch + 1, 2 patch + 1) float64; NaN where one would reach outside.

    Args:
        maps: (n, H, W).
        centres: (n, S, 2) rows and columns.
        patch: Pixels on each side.
    """
    _, height, width = maps.shape
    around = np.arange(-patch, patch + 1)
    known: Array = np.asarray(np.isfinite(centres).all(axis=2))
    middle = np.rint(np.where(known[..., None], centres, 0)).astype(int)
    fits: Array = (middle >= patch) & (middle < np.array([height, width]) - patch)
    inside: Array = known & np.asarray(fits.all(axis=2))
    y = np.clip(middle[..., 0, None, None] + around[:, None], 0, height - 1)
    x = np.clip(middle[..., 1, None, None] + around, 0, width - 1)
    found = maps[np.arange(len(maps))[:, None, None, None], y, x].astype(np.float64)
    return np.where(inside[..., None, None], found, np.nan)
