"""Maps around things that move: patches cut out at their places, and means over rings and over core and surround."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.evaluation.statistics import Interval, block_length, summary
from policyscope.storage import Array

WIDTH = 3.0
"""Observation pixels that a thing's surround is wide."""
GAP = 1.0
"""Pixels between core and surround, in which a resized edge is both."""


@dataclass(frozen=True)
class Patches:
    """Squares cut out of maps around things.

    Attributes:
        values: (n, S, P, P) float32, NaN beyond the map's edge and where a thing is not there.
        origin: (n, S, 2) int64: row and column of each square's first pixel in the map.
    """

    values: Array
    origin: Array

    @property
    def radius(self) -> int:
        """Pixels from a square's middle to its edge."""
        return int((self.values.shape[-1] - 1) // 2)

    def pixels(self) -> Array:
        """Rows and columns of all pixels in the map, (n, S, P, P, 2)."""
        side = np.arange(self.values.shape[-1])
        offsets = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)
        places: Array = self.origin[:, :, None, None] + offsets
        return places


def patches(maps: Array, centres: Array, radius: int) -> Patches:
    """Cuts squares out of maps, in whole pixels: nothing is interpolated.

    Args:
        maps: (n, H, W).
        centres: (n, S, 2) y, x in pixels of the map, NaN where a thing is not there.
        radius: Pixels from the middle to the edge; a side has 2 radius + 1.
    """
    height, width = maps.shape[1:]
    there = ~np.isnan(centres[..., 0])
    origin = np.rint(np.where(there[..., None], centres, 0)).astype(np.int64) - radius
    side = np.arange(2 * radius + 1)
    y, x = origin[..., 0, None] + side, origin[..., 1, None] + side
    inside = ((y >= 0) & (y < height))[..., :, None] & ((x >= 0) & (x < width))[..., None, :] & there[..., None, None]
    frame = np.arange(len(maps))[:, None, None, None]
    cut = maps[frame, y.clip(0, height - 1)[..., :, None], x.clip(0, width - 1)[..., None, :]]
    return Patches(np.where(inside, cut, np.nan).astype(np.float32), origin)


def ring_means(cut: Patches, centres: Array) -> Array:
    """Means over rings around things' centres.

    Ring r holds the pixels whose middle is r - 1/2 to r + 1/2 pixels away from the centre, which need not be a pixel's.

    Args:
        cut: Squares around the centres.
        centres: (n, S, 2) that they were cut around.

    Returns:
        (n, S, radius + 1) float64; NaN where a ring has no pixel in the map, or a thing is not there.
    """
    away = np.hypot(*np.moveaxis(cut.pixels() - centres[:, :, None, None], -1, 0))
    ring = np.where(np.isnan(away), -1, np.floor(np.nan_to_num(away) + 0.5)).astype(np.int64)
    return np.stack([_mean(cut.values, ring == number) for number in range(cut.radius + 1)], axis=-1)


def core_and_surround(cut: Patches, boxes: Array, width: float = WIDTH, gap: float = GAP) -> tuple[Array, Array]:
    """Means over a thing itself and over a band around it, whatever its shape.

    Args:
        cut: Squares around the thing.
        boxes: (n, S, 4) x0, y0, x1, y1, edges in observation pixels.
        width: Of the band, in pixels.
        gap: Pixels between the two.

    Returns:
        Two (n, S) float64: over the pixels whose middle is in the box (at least the nearest one), and over those whose
        middle is more than ``gap`` and at most ``gap + width`` pixels away from it.
    """
    pixels = cut.pixels() + 0.5
    low, high = boxes[:, :, None, None, [1, 0]], boxes[:, :, None, None, [3, 2]]
    away = np.hypot(*np.moveaxis(np.maximum(np.maximum(low - pixels, pixels - high), 0), -1, 0))
    away = np.where(np.isnan(cut.values), np.inf, away)
    nearest = away.min(axis=(2, 3), keepdims=True)
    return _mean(cut.values, away <= nearest), _mean(cut.values, (away > gap) & (away <= gap + width))


def ring_intervals(rings: Array, block: int | None = None) -> list[Interval]:
    """The mean profile of a kind with its uncertainty: slots are averaged frame by frame.

    Args:
        rings: (n, S, R) as ``ring_means`` has them, in the order of play.
        block: As for ``summary``.
    """
    by_frame = over_slots(rings)
    return [summary(by_frame[:, ring], block=block) for ring in range(rings.shape[-1])]


def over_slots(values: Array) -> Array:
    """Means (n, …) over the slots (n, S, …) that are there; NaN where none is."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def block_draws(like: Array, draws: int, seed: int = 0) -> Array:
    """Rows of bootstrap samples in circular blocks, (draws, n) int64.

    Args:
        like: (n,) a measure whose autocorrelation says how long the blocks are.
        draws: Samples.
        seed: Of the chance.
    """
    count = len(like)
    block = block_length(like)
    starts = np.random.default_rng(seed).integers(0, count, (draws, -(-count // block)))
    rows = (starts[:, :, None] + np.arange(block)).reshape(draws, -1) % count
    return rows[:, :count]


def _mean(values: Array, chosen: Array) -> Array:
    known = chosen & np.isfinite(values)
    count = known.sum(axis=(2, 3))
    total = np.where(known, values, 0.0).sum(axis=(2, 3), dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
