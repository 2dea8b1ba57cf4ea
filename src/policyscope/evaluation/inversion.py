"""Inverted maps: low exactly where the agent looks, as another method that is known to look there says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from policyscope.evaluation.magnitude import Magnitudes, flat, magnitude
from policyscope.storage import Array

TOP = 0.05
"""Share of the picture where the agent is taken to look: the paper's features (a ball and a paddle, a few fish with the
submarine) cover two to eight per cent of it."""
BLUR = 1.5
"""Pixels: what a reference marks is brought to the precision of a first convolution's cells (a stride of four)."""


@dataclass(frozen=True)
class Reference:
    """What says where the agent looks in some frames, worked out once for all the maps that are judged by it.

    Attributes:
        maps: (n, H, W), a perturbation map, or guided backpropagation.
        top: Share of the pixels.
    """

    maps: Array
    top: float = TOP

    @cached_property
    def _marks(self) -> Array:
        return np.stack([cv2.GaussianBlur(one, (0, 0), BLUR) for one in magnitude(self.maps)])

    @cached_property
    def inside(self) -> Array:
        """(n, H, W) float64, 1 where the agent looks, else 0."""
        return np.asarray(self._marks >= np.quantile(self._marks, 1 - self.top, axis=(1, 2), keepdims=True), np.float64)

    @cached_property
    def count(self) -> Array:
        """(n,) pixels where the agent looks."""
        return np.asarray(self.inside.sum(axis=(1, 2)))

    @cached_property
    def flat(self) -> Array:
        """(n,) bool: maps that do not say it."""
        return flat(self._marks)


def contrast(maps: Array | Magnitudes, reference: Array | Reference, top: float = TOP) -> Array:
    """How much stronger a map is where the agent looks than elsewhere, -1 (only elsewhere) to 1 (only there).

    ``(inside - outside) / (inside + outside)`` of the mean magnitudes inside and outside the ``top`` share of the
    pixels of the reference, blurred.

    Args:
        maps: (n, H, W).
        reference: (n, H, W), what says where the agent looks: a perturbation map, or guided backpropagation.
        top: Share of the pixels, of a reference that is an array.

    Returns:
        (n,); NaN where one of the two is flat.
    """
    sizes = Magnitudes.of(maps)
    looked = reference if isinstance(reference, Reference) else Reference(reference, top)
    inside = np.einsum("nhw,nhw->n", sizes.values, looked.inside)
    within = inside / np.maximum(looked.count, 1)
    without = np.maximum(sizes.energy - inside, 0) / np.maximum(sizes.values[0].size - looked.count, 1)
    total = within + without
    known = (total > 0) & ~sizes.flat & ~looked.flat
    return np.where(known, (within - without) / np.where(total > 0, total, 1), np.nan)


def inverted(maps: Array | Magnitudes, reference: Array | Reference, top: float = TOP) -> Array:
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
