"""Boxes from bytes: what the extractors of all games share."""

from __future__ import annotations

from typing import Any

import numpy as np

from policyscope.storage import Array


def box(x: Any, y: Any, width: Any, height: Any, present: Any = True) -> Array:
    """Boxes (N, 4) float32 from their upper left corner and size; any of them may be one number for all frames.

    Args:
        x: Left, screen pixels.
        y: Top.
        width: In pixels.
        height: In pixels.
        present: Where the thing is there; NaN elsewhere.
    """
    x, y, width, height, present = np.broadcast_arrays(x, y, width, height, np.asarray(present, bool))
    boxes: Array = np.stack([x, y, x + width, y + height], axis=-1).astype(np.float32)
    boxes[~present] = np.nan
    return boxes


def within(boxes: Array, left: float, top: float, right: float, bottom: float) -> Array:
    """Boxes cut at the edges of an area; NaN where nothing is left."""
    low, high = np.array([left, top], np.float32), np.array([right, bottom], np.float32)
    cut: Array = np.concatenate([np.clip(boxes[..., :2], low, high), np.clip(boxes[..., 2:], low, high)], axis=-1)
    cut[~(cut[..., 2:] > cut[..., :2]).all(axis=-1)] = np.nan
    return cut


def decimal(*digits: Array) -> Array:
    """A number kept as binary-coded decimals, two digits a byte, the most significant byte first."""
    total = np.zeros_like(digits[0])
    for byte in digits:
        total = total * 100 + (byte >> 4) * 10 + (byte & 15)
    return total


def bit(byte: Array, number: Any) -> Array:
    """Whether a bit is set."""
    is_set: Array = (byte >> number & 1).astype(bool)
    return is_set
