"""How strong a map is at each pixel, whatever its sign."""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array


def magnitude(maps: Array) -> Array:
    """Absolute values (…, H, W) float32; what is no number is zero."""
    found: Array = np.nan_to_num(np.abs(np.asarray(maps, np.float32)), nan=0.0, posinf=0.0, neginf=0.0)
    return found


def flat(sizes: Array) -> Array:
    """(n,) bool: a map of sizes (n, H, W) that is the same everywhere, and so says nothing."""
    same: Array = sizes.max(axis=(1, 2)) == sizes.min(axis=(1, 2))
    return same
