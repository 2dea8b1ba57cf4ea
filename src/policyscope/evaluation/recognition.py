"""Recognition of game objects: how much of a map falls on them, beyond their area.

Three ways to say it, each of one state: the *gain*, the share of the map's energy on an object over the object's share
of the area (1 is chance); the *pointing game* (Zhang et al., 2018), whether the strongest pixel is on it; and the
*average precision* of taking the strongest pixels for the object (area under the precision-recall curve), whose chance
level is the object's share of the area.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.magnitude import Magnitudes
from policyscope.evaluation.marks import Marks
from policyscope.storage import Array

TOLERANCE = 2
"""Pixels by which the pointing game may miss: half of a first convolution's stride, the precision of its maps."""


def gain(maps: Array | Magnitudes, coverage: Array | Marks) -> Array:
    """Share of the energy on each kind over its share of the area.

    ``sum(|m| c) / sum(|m|) / mean(c)``.

    Args:
        maps: (n, H, W), signed or not.
        coverage: (n, K, H, W), the share of each pixel that a kind covers.

    Returns:
        (n, K); NaN where a kind is not there, or the map is zero.
    """
    sizes, marks = Magnitudes.of(maps), Marks.of(coverage)
    energy, area = sizes.energy[:, None], marks.area
    on = np.einsum("nhw,nkhw->nk", sizes.values, marks.coverage, dtype=np.float64)
    known = (energy > 0) & (area > 0)
    return np.where(known, on / np.where(known, energy * area, 1.0), np.nan)


def pointing(maps: Array | Magnitudes, coverage: Array | Marks, tolerance: int = TOLERANCE) -> Array:
    """Whether the strongest pixel is on a kind, or at most ``tolerance`` pixels off, 0 or 1.

    Args:
        maps: (n, H, W).
        coverage: (n, K, H, W).
        tolerance: Pixels, in rows and columns.

    Returns:
        (n, K); NaN where a kind is not there or the map is flat.
    """
    sizes, marks = Magnitudes.of(maps), Marks.of(coverage)
    n, height, width = sizes.values.shape
    y, x = np.divmod(sizes.values.reshape(n, -1).argmax(axis=1)[:, None], width)
    aside = np.arange(-tolerance, tolerance + 1)
    rows, columns = y[..., None] + aside[:, None], x[..., None] + aside
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    around = marks.there[np.arange(n)[:, None, None], :, rows.clip(0, height - 1), columns.clip(0, width - 1)]
    hit = (around & inside[..., None]).any(axis=(1, 2)).astype(np.float64)
    return np.where(marks.present & ~sizes.flat[:, None], hit, np.nan)


def average_precision(maps: Array | Magnitudes, coverage: Array | Marks) -> Array:
    """Area under the precision-recall curve of taking the strongest pixels for a kind.

    ``sum over ranks of precision x step of recall``, pixels of equal strength taken together (as scikit-learn's
    ``average_precision_score``), so that a flat map scores the area's share. That is the mean over the kind's pixels of
    the precision among all pixels that are at least as strong.

    Args:
        maps: (n, H, W).
        coverage: (n, K, H, W).

    Returns:
        (n, K); NaN where a kind is not there.
    """
    sizes, marks = Magnitudes.of(maps), Marks.of(coverage)
    found = np.full(marks.own.counts.shape, np.nan)
    for frame, kind, values in marks.own.values(sizes.values):
        own, every = np.sort(values), sizes.ordered[frame]
        hits = len(own) - np.searchsorted(own, own)
        taken = len(every) - np.searchsorted(every, own)
        found[frame, kind] = (hits / taken).mean()
    return found
