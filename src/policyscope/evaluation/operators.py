"""Edge detectors as the paper prints them, and shapes that a map around a thing might have."""

from __future__ import annotations

import cv2
import numpy as np

from policyscope.storage import Array

OPERATORS: dict[str, Array] = {
    "L1": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float64),
    "L2": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float64),
    "L2 as printed": np.array([[0, -1, -1], [-1, 8, -1], [-1, -1, 0]], np.float64),
    "L3": np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64),
    "L4": np.array([[-1, -2, -1], [-2, 12, -2], [-1, -2, -1]], np.float64),
}
"""Eq. 7 and 8 of the paper. Its L2 is misprinted: two corners are zero, so that its entries add up to 2 and it answers
to even ground; meant is the Laplacian of eight neighbours."""
SOBEL = "sobel"
_SOBEL_X = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float64)


def response(pictures: Array, name: str) -> Array:
    """What an operator makes of pictures.

    Args:
        pictures: (n, H, W).
        name: Of ``OPERATORS``, or ``sobel``: the length of the Sobel gradient, which has no sign.

    Returns:
        (n, H, W) float32; the pictures are continued beyond their edges by their edges.
    """
    if name == SOBEL:
        return np.hypot(_filtered(pictures, _SOBEL_X), _filtered(pictures, _SOBEL_X.T)).astype(np.float32)
    return _filtered(pictures, OPERATORS[name]).astype(np.float32)


def gaussian(radius: int, sigma: float) -> Array:
    """exp(-d^2 / 2 sigma^2) on a square of side 2 radius + 1, d the distance from its middle."""
    return np.asarray(np.exp(-_squared(radius) / (2 * sigma**2)))


def laplacian_of_gaussian(radius: int, sigma: float) -> Array:
    """(1 - d^2 / 2 sigma^2) exp(-d^2 / 2 sigma^2): the negative Laplacian of a Gaussian, 1 in the middle.

    It is positive within sqrt(2) sigma of its middle and negative beyond (Marr and Hildreth, 1980).
    """
    scaled = _squared(radius) / (2 * sigma**2)
    return np.asarray((1 - scaled) * np.exp(-scaled))


def shaped(mask: Array, kernel: Array) -> Array:
    """A thing's mask (P, P), smoothed by a kernel: what a template becomes where the thing is no point."""
    return np.asarray(cv2.filter2D(mask.astype(np.float64), -1, kernel, borderType=cv2.BORDER_CONSTANT))


def _filtered(pictures: Array, kernel: Array) -> Array:
    floats = np.asarray(pictures, np.float64)
    return np.stack([cv2.filter2D(one, -1, kernel, borderType=cv2.BORDER_REPLICATE) for one in floats])


def _squared(radius: int) -> Array:
    side = np.arange(-radius, radius + 1, dtype=np.float64)
    return np.asarray(side[:, None] ** 2 + side[None] ** 2)
