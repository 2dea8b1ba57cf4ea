"""Light where nothing is on the screen: the red circle of the paper's Figure 66."""

from __future__ import annotations

import cv2
import numpy as np

from policyscope.evaluation.magnitude import magnitude
from policyscope.storage import Array

NEAR = 3
"""Pixels around anything that still count as it: half of a first convolution's window, less its stride."""
_DIFFERS = 0.02
"""Of the range between black and white."""


def empty(pictures: Array, background: Array, near: int = NEAR) -> Array:
    """Where a frame is as its background is, all around: (n, H, W) bool.

    Args:
        pictures: (n, H, W), or (n, frames, H, W) of which all must be empty; in [0, 1].
        background: (H, W), the median over the episode.
        near: Pixels.
    """
    stacked = pictures if pictures.ndim == 4 else pictures[:, None]
    differs = (np.abs(stacked - background) > _DIFFERS).any(axis=1)
    kernel = np.ones((2 * near + 1,) * 2, np.uint8)
    return np.stack([cv2.dilate(one.astype(np.uint8), kernel) == 0 for one in differs])


def phantom(maps: Array, nothing: Array) -> Array:
    """The density of a map's energy where nothing is, over its density in the whole picture; 0 is as it should be.

    Args:
        maps: (n, H, W).
        nothing: (n, H, W) bool, as :func:`empty` says.

    Returns:
        (n,); NaN where the map is zero, or no place is empty.
    """
    sizes = magnitude(maps).astype(np.float64)
    energy, area = sizes.sum(axis=(1, 2)), nothing.mean(axis=(1, 2))
    known = (energy > 0) & (area > 0)
    return np.where(known, (sizes * nothing).sum(axis=(1, 2)) / np.where(known, energy * area, 1), np.nan)
