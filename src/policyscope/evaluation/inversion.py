"""Inverted maps: low exactly where the agent looks, as another method that is known to look there says."""

from __future__ import annotations

import cv2
import numpy as np

from policyscope.evaluation.magnitude import flat, magnitude
from policyscope.storage import Array

TOP = 0.05
"""Share of the picture where the agent is taken to look: the paper's features (a ball and a paddle, a few fish with the
submarine) cover two to eight per cent of it."""
BLUR = 1.5
"""Pixels: what a reference marks is brought to the precision of a first convolution's cells (a stride of four)."""


def contrast(maps: Array, reference: Array, top: float = TOP) -> Array:
    """How much stronger a map is where the agent looks than elsewhere, -1 (only elsewhere) to 1 (only there).

    ``(inside - outside) / (inside + outside)`` of the mean magnitudes inside and outside the ``top`` share of the
    pixels of the reference, blurred.

    Args:
        maps: (n, H, W).
        reference: (n, H, W), what says where the agent looks: a perturbation map, or guided backpropagation.
        top: Share of the pixels.

    Returns:
        (n,); NaN where one of the two is flat.
    """
    sizes = magnitude(maps).astype(np.float64)
    marks = np.stack([cv2.GaussianBlur(one, (0, 0), BLUR) for one in magnitude(reference)])
    inside = marks >= np.quantile(marks, 1 - top, axis=(1, 2), keepdims=True)
    count = inside.sum(axis=(1, 2))
    within = (sizes * inside).sum(axis=(1, 2)) / np.maximum(count, 1)
    without = (sizes * ~inside).sum(axis=(1, 2)) / np.maximum(inside[0].size - count, 1)
    total = within + without
    known = (total > 0) & ~flat(sizes) & ~flat(marks)
    return np.where(known, (within - without) / np.where(total > 0, total, 1), np.nan)


def inverted(maps: Array, reference: Array, top: float = TOP) -> Array:
    """1 where a map is lower where the agent looks than elsewhere, else 0; its mean is the share of inverted frames.

    Args:
        maps: (n, H, W).
        reference: As for :func:`contrast`.
        top: Share of the pixels.

    Returns:
        (n,); NaN where one of the two is flat.
    """
    found = contrast(maps, reference, top)
    return np.where(np.isnan(found), np.nan, (found < 0).astype(float))
