"""How strong a map is at each pixel, whatever its sign."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from policyscope.storage import Array


def magnitude(maps: Array) -> Array:
    """Absolute values (…, H, W) float32; what is no number is zero."""
    found: Array = np.abs(np.asarray(maps, np.float32))
    if found.size and not np.isfinite(found.max()):
        np.nan_to_num(found, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return found


def flat(sizes: Array) -> Array:
    """(n,) bool: a map of sizes (n, H, W) that is the same everywhere, and so says nothing."""
    same: Array = sizes.max(axis=(1, 2)) == sizes.min(axis=(1, 2))
    return same


@dataclass(frozen=True)
class Magnitudes:
    """The magnitudes of some maps, and what several measures make of them.

    Attributes:
        values: (n, H, W) float32.
    """

    values: Array

    @classmethod
    def of(cls, maps: Array | Magnitudes) -> Magnitudes:
        """As they are, or made from maps (n, H, W)."""
        return maps if isinstance(maps, Magnitudes) else cls(magnitude(maps))

    @cached_property
    def ordered(self) -> Array:
        """(n, H * W): each map's values, the least first."""
        return np.sort(self.values.reshape(len(self.values), -1), axis=1)

    @cached_property
    def energy(self) -> Array:
        """(n,) float64: sums."""
        return np.asarray(self.values.sum(axis=(1, 2), dtype=np.float64))

    @cached_property
    def flat(self) -> Array:
        """(n,) bool: maps that are the same everywhere."""
        return flat(self.values)

    def quantile(self, share: float) -> Array:
        """(n,) float64, between two values where it falls between them, as numpy's."""
        place = share * (self.ordered.shape[1] - 1)
        below = int(place)
        low, high = (
            self.ordered[:, min(at, self.ordered.shape[1] - 1)].astype(np.float64) for at in (below, below + 1)
        )
        return np.asarray(low + (high - low) * (place - below))
