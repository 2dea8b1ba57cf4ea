"""Recognition of game objects: how much of a map falls on them, beyond their area.

Three ways to say it, each of one state: the *gain*, the share of the map's energy on an object over the object's share
of the area (1 is chance); the *pointing game* (Zhang et al., 2018), whether the strongest pixel is on it; and the
*average precision* of taking the strongest pixels for the object (area under the precision-recall curve), whose chance
level is the object's share of the area.
"""

from __future__ import annotations

import cv2
import numpy as np

from policyscope.evaluation.magnitude import flat, magnitude
from policyscope.storage import Array

TOLERANCE = 2
"""Pixels by which the pointing game may miss: half of a first convolution's stride, the precision of its maps."""
_COVERED = 0.25
"""Of a pixel's area, for it to count as the object's; objects smaller than that count where they cover most."""


def gain(maps: Array, coverage: Array) -> Array:
    """Share of the energy on each kind over its share of the area.

    ``sum(|m| c) / sum(|m|) / mean(c)``.

    Args:
        maps: (n, H, W), signed or not.
        coverage: (n, K, H, W), the share of each pixel that a kind covers.

    Returns:
        (n, K); NaN where a kind is not there, or the map is zero.
    """
    sizes = magnitude(maps)
    energy = sizes.sum(axis=(1, 2), dtype=np.float64)[:, None]
    on = np.einsum("nhw,nkhw->nk", sizes, coverage, dtype=np.float64)
    area = coverage.mean(axis=(2, 3), dtype=np.float64)
    known = (energy > 0) & (area > 0)
    return np.where(known, on / np.where(known, energy * area, 1.0), np.nan)


def pointing(maps: Array, coverage: Array, tolerance: int = TOLERANCE) -> Array:
    """Whether the strongest pixel is on a kind, or at most ``tolerance`` pixels off, 0 or 1.

    Args:
        maps: (n, H, W).
        coverage: (n, K, H, W).
        tolerance: Pixels, in rows and columns.

    Returns:
        (n, K); NaN where a kind is not there or the map is flat.
    """
    sizes = magnitude(maps)
    n, kinds = coverage.shape[:2]
    peak = sizes.reshape(n, -1).argmax(axis=1)
    near = cv2.getStructuringElement(cv2.MORPH_RECT, (2 * tolerance + 1,) * 2)
    there = marked(coverage)
    grown = np.stack(
        [[cv2.dilate(there[i, k].astype(np.uint8), near) for k in range(kinds)] for i in range(n)]
    ).reshape(n, kinds, -1)
    hit = np.take_along_axis(grown, peak[:, None, None], axis=2)[:, :, 0].astype(np.float64)
    known = there.any(axis=(2, 3)) & ~flat(sizes)[:, None]
    return np.where(known, hit, np.nan)


def average_precision(maps: Array, coverage: Array) -> Array:
    """Area under the precision-recall curve of taking the strongest pixels for a kind.

    ``sum over ranks of precision x step of recall``, pixels of equal strength taken together (as scikit-learn's
    ``average_precision_score``), so that a flat map scores the area's share.

    Args:
        maps: (n, H, W).
        coverage: (n, K, H, W).

    Returns:
        (n, K); NaN where a kind is not there.
    """
    n, kinds = coverage.shape[:2]
    sizes = magnitude(maps).reshape(n, -1)
    order = np.argsort(-sizes, axis=1, kind="stable")
    ordered = np.take_along_axis(sizes, order, axis=1)
    ranks = np.arange(1, sizes.shape[1] + 1, dtype=np.float64)
    # A threshold ends where the next value is smaller; precision and recall count only there.
    ends = np.concatenate([ordered[:, 1:] < ordered[:, :-1], np.ones((n, 1), bool)], axis=1)
    there = marked(coverage).reshape(n, kinds, -1)
    found = np.full((n, kinds), np.nan)
    for kind in range(kinds):
        hits = np.cumsum(np.take_along_axis(there[:, kind], order, axis=1), axis=1, dtype=np.float64)
        total = hits[:, -1]
        at_ends = np.where(ends, hits, -np.inf)
        before = np.maximum.accumulate(np.concatenate([np.zeros((n, 1)), at_ends[:, :-1]], axis=1), axis=1)
        gained = np.where(ends, hits - np.maximum(before, 0.0), 0.0)
        precise = (gained * hits / ranks).sum(axis=1)
        found[:, kind] = np.where(total > 0, precise / np.maximum(total, 1), np.nan)
    return found


def marked(coverage: Array) -> Array:
    """Pixels (n, K, H, W) bool that count as a kind's."""
    most = coverage.max(axis=(2, 3), keepdims=True)
    return np.asarray((coverage >= np.minimum(_COVERED, most)) & (coverage > 0))
