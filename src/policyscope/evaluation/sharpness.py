"""How sharp a map is: its entropy, the area that holds half of its energy, and the width of its strongest blob."""

from __future__ import annotations

import cv2
import numpy as np

from policyscope.evaluation.magnitude import Magnitudes
from policyscope.storage import Array


def entropy(maps: Array | Magnitudes) -> Array:
    """Shannon's entropy of the energy's distribution over pixels, over that of an even one: 0 a point, 1 everywhere.

    Args:
        maps: (n, H, W).

    Returns:
        (n,); NaN where the map is zero.
    """
    values = Magnitudes.of(maps).values
    sizes = values.reshape(len(values), -1).astype(np.float64)
    total = sizes.sum(axis=1, keepdims=True)
    shares = sizes / np.where(total > 0, total, 1)
    logs = np.log(np.where(shares > 0, shares, 1))
    return np.where(total[:, 0] > 0, -(shares * logs).sum(axis=1) / np.log(sizes.shape[1]), np.nan)


def half_area(maps: Array | Magnitudes) -> Array:
    """The smallest share of the area that holds half of the energy, 0 to 0.5.

    Args:
        maps: (n, H, W).

    Returns:
        (n,); NaN where the map is zero.
    """
    sizes = Magnitudes.of(maps).ordered[:, ::-1].astype(np.float64)
    running = np.cumsum(sizes, axis=1)
    total = running[:, -1]
    first = (running < 0.5 * total[:, None]).sum(axis=1)
    # The last pixel counts with the part of it that is needed, so that the area changes smoothly.
    before = np.where(first > 0, np.take_along_axis(running, np.maximum(first - 1, 0)[:, None], axis=1)[:, 0], 0)
    last = np.take_along_axis(sizes, np.minimum(first, sizes.shape[1] - 1)[:, None], axis=1)[:, 0]
    part = (0.5 * total - before) / np.where(last > 0, last, 1)
    return np.where(total > 0, (first + part) / sizes.shape[1], np.nan)


def blob_width(maps: Array | Magnitudes) -> Array:
    """Diameter in pixels of a disc as large as the blob around the strongest pixel, down to half of its strength.

    Args:
        maps: (n, H, W).

    Returns:
        (n,); NaN where the map is flat.
    """
    found = Magnitudes.of(maps)
    sizes, widths = found.values, np.full(len(found.values), np.nan)
    for row in np.flatnonzero(~found.flat):
        y, x = np.unravel_index(sizes[row].argmax(), sizes[row].shape)
        _, labels = cv2.connectedComponents((sizes[row] >= 0.5 * sizes[row, y, x]).astype(np.uint8), connectivity=8)
        widths[row] = 2 * np.sqrt((labels == labels[y, x]).sum() / np.pi)
    return widths
