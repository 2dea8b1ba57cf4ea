"""Which pixels are a kind's, worked out once for all the maps of the same frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from policyscope.storage import Array

_COVERED = 0.25
"""Of a pixel's area, for it to count as the object's; objects smaller than that count where they cover most."""
NEAR = 1
"""Pixels around an object where a highlight on it may be."""


def marked(coverage: Array) -> Array:
    """Pixels (n, K, H, W) bool that count as a kind's."""
    most = coverage.max(axis=(2, 3), keepdims=True)
    return np.asarray((coverage >= np.minimum(_COVERED, most)) & (coverage > 0))


def grown(there: Array, pixels: int) -> Array:
    """Masks (n, K, H, W) bool, and what is at most some pixels from them, in rows and columns."""
    near = np.ones((2 * pixels + 1,) * 2, np.uint8)
    flat = np.ascontiguousarray(there).view(np.uint8).reshape(-1, *there.shape[2:])
    wide = [cv2.dilate(one, near) for one in flat]
    return np.asarray(wide, np.uint8).reshape(there.shape).astype(bool)


@dataclass(frozen=True)
class Marks:
    """Where kinds of objects are in some frames.

    Attributes:
        coverage: (n, K, H, W), the share of each pixel that a kind covers.
    """

    coverage: Array

    @classmethod
    def of(cls, coverage: Array | Marks) -> Marks:
        """As it is, or made from an array."""
        return coverage if isinstance(coverage, Marks) else cls(coverage)

    @cached_property
    def there(self) -> Array:
        """(n, K, H, W) bool: pixels that count as a kind's."""
        return marked(self.coverage)

    @cached_property
    def present(self) -> Array:
        """(n, K) bool: kinds that are there."""
        return np.asarray(self.own.counts > 0)

    @cached_property
    def area(self) -> Array:
        """(n, K) float64: shares of the picture that the kinds cover."""
        return np.asarray(self.coverage.mean(axis=(2, 3), dtype=np.float64))

    @cached_property
    def own(self) -> Pixels:
        """The pixels that count as a kind's."""
        return Pixels(self.there)

    @cached_property
    def near(self) -> Pixels:
        """Those, and the ones around them."""
        return Pixels(self._near)

    @cached_property
    def elsewhere(self) -> Array:
        """(n, H, W) float64, 1 where no object is near, else 0."""
        return np.asarray(~self._near.any(axis=1), np.float64)

    @cached_property
    def _near(self) -> Array:
        return grown(self.there, NEAR)


class Pixels:
    """The pixels of masks, listed, because objects are a small part of the picture.

    Attributes:
        counts: (n, K) how many each mask has.
    """

    def __init__(self, masks: Array) -> None:
        """Lists them.

        Args:
            masks: (n, K, H, W) bool.
        """
        n, kinds, *size = masks.shape
        mask, pixel = np.nonzero(masks.reshape(n * kinds, -1))
        self.counts = np.bincount(mask, minlength=n * kinds).reshape(n, kinds)
        self._at = mask // max(kinds, 1) * int(np.prod(size)) + pixel
        self._masks = np.flatnonzero(self.counts)
        self._firsts = np.cumsum(self.counts)[self._masks] - self.counts.flat[self._masks]

    def sums(self, maps: Array) -> Array:
        """(n, K) float64: sums of maps (n, H, W) over each mask."""
        return self._reduced(np.add, maps)

    def peaks(self, maps: Array) -> Array:
        """(n, K) float64: greatest values of maps (n, H, W), 0 of an empty mask."""
        return self._reduced(np.maximum, maps)

    def values(self, maps: Array) -> Iterator[tuple[int, int, Array]]:
        """Frame, kind, and the map's values there, for each mask that is not empty."""
        parts = np.split(maps.reshape(-1)[self._at], self._firsts[1:])
        for mask, part in zip(self._masks.tolist(), parts, strict=False):
            yield *divmod(mask, self.counts.shape[1]), part

    def _reduced(self, how: Any, maps: Array) -> Array:
        found = np.zeros(self.counts.shape)
        if len(self._masks):
            found.flat[self._masks] = how.reduceat(maps.reshape(-1)[self._at].astype(np.float64), self._firsts)
        return found
