"""How alike two maps are: Spearman's rank correlation, SSIM and HOG, the three of Adebayo et al. (2018), on batches.

All take maps (n, H, W) and return (n,) float64, NaN where one of the two is flat, of which no likeness can be told.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from policyscope.evaluation.magnitude import magnitude
from policyscope.storage import Array

QUANTILE = 0.995
"""Of a map's size, at which its brightness ends before structures are compared: what a video shows in full colour."""
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
_K1, _K2 = 0.01, 0.03
ORIENTATIONS, CELL, BLOCK = 9, 8, 3
_EPSILON, _CLIPPED = 1e-5, 0.2


@dataclass(frozen=True)
class Seen:
    """Maps made ready to be compared, so that who is compared often is made ready once.

    Attributes:
        ranks: (n, H W) of the signed values, centred and of length 1; zero for a flat map.
        sizes: The same of the absolute values.
        bright: (n, H, W) float32 brightness, as :func:`bright_of` makes it.
        means: (n, h, w) local means of the brightness, and of its square.
        gradients: (n, features) histograms of oriented gradients.
    """

    ranks: Array
    sizes: Array
    bright: Array
    means: tuple[Array, Array]
    gradients: Array

    @classmethod
    def of(cls, maps: Array) -> Seen:
        """From raw maps (n, H, W)."""
        absolute = magnitude(maps)
        sizes = _unit(average_ranks(absolute))
        ranks = sizes if (np.nan_to_num(maps) >= 0).all() else _unit(average_ranks(maps))
        bright = bright_of(absolute)
        return cls(ranks, sizes, bright, (_windowed(bright), _windowed(bright * bright)), hog(bright))

    def like(self, other: Seen) -> Array:
        """All of ``SIMILARITIES``, (n, measures)."""
        known = _known(self.sizes) & _known(other.sizes)
        found = np.stack(
            [
                np.where(_known(self.ranks) & _known(other.ranks), (self.ranks * other.ranks).sum(axis=1), np.nan),
                np.where(known, (self.sizes * other.sizes).sum(axis=1), np.nan),
                np.where(known, _structure(self, other), np.nan),
                correlation(self.gradients, other.gradients),
            ],
            axis=1,
        )
        return found.astype(np.float64)


SIMILARITIES = ("spearman", "spearman_abs", "ssim", "hog")
"""Spearman's rank correlation over all pixels, signed and absolute; SSIM; Pearson's correlation of HOGs."""


def similarities(one: Array, other: Array) -> Array:
    """All measures of maps (n, H, W), (n, measures)."""
    return Seen.of(one).like(Seen.of(other))


def spearman(one: Array, other: Array) -> Array:
    """Spearman's rank correlation over all pixels, signs counted; equal pixels share the mean of their ranks."""
    return correlation(average_ranks(one), average_ranks(other))


def average_ranks(maps: Array) -> Array:
    """Ranks (n, H W) float32 from 1 of each map's pixels; equal ones share their mean."""
    flat = torch.from_numpy(np.ascontiguousarray(np.asarray(maps, np.float32).reshape(len(maps), -1)))
    ordered, places = flat.nan_to_num(nan=0.0).sort(dim=1)
    number = torch.arange(1, flat.shape[1] + 1, dtype=torch.float32).expand_as(flat)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    if bool(begins.all()):
        shared = number
    else:
        first = torch.where(begins, number, 0).cummax(dim=1).values
        ends = torch.cat([begins[:, 1:], torch.ones_like(begins[:, :1])], dim=1)
        last = torch.where(ends, number, torch.inf).flip(1).cummin(dim=1).values.flip(1)
        shared = (first + last) / 2
    ranks: Array = torch.empty_like(flat).scatter_(1, places, shared).numpy()
    return ranks


def correlation(one: Array, other: Array) -> Array:
    """Pearson's correlation of rows (n, k) -> (n,); NaN where a row is constant."""
    one, other = (part - part.mean(axis=1, keepdims=True) for part in (one, other))
    norms = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    known = norms > 1e-12
    return np.where(known, (one * other).sum(axis=1) / np.where(known, norms, 1), np.nan)


def ssim(one: Array, other: Array) -> Array:
    """Structural similarity (Wang et al., 2004) of the maps as a video shows them, see :func:`bright_of`.

    Windows are Gaussians of sigma 1.5, 11 pixels wide; the mean over all that lie within the map. As scikit-image's
    ``structural_similarity(gaussian_weights=True, use_sample_covariance=False, data_range=1)``.
    """
    return similarities(one, other)[:, SIMILARITIES.index("ssim")]


def _structure(one: Seen, other: Seen) -> Array:
    (ux, uxx), (uy, uyy) = one.means, other.means
    vx, vy, vxy = uxx - ux * ux, uyy - uy * uy, _windowed(one.bright * other.bright) - ux * uy
    c1, c2 = _K1**2, _K2**2
    above, below = (2 * ux * uy + c1) * (2 * vxy + c2), (ux * ux + uy * uy + c1) * (vx + vy + c2)
    return np.asarray((above / below).mean(axis=(1, 2), dtype=np.float64))


def bright_of(maps: Array) -> Array:
    """The brightness (n, H, W) in [0, 1]: sizes over their 99.5th percentile (over the largest where that is zero)."""
    sizes = magnitude(maps)
    top = np.quantile(sizes, QUANTILE, axis=(1, 2))
    top = np.where(top > 0, top, sizes.max(axis=(1, 2)))[:, None, None]
    return np.clip(sizes / np.where(top > 0, top, 1), 0, 1).astype(np.float32)


def hog_similarity(one: Array, other: Array) -> Array:
    """Pearson's correlation of the two maps' histograms of oriented gradients (Dalal and Triggs, 2005)."""
    return correlation(hog(bright_of(one)), hog(bright_of(other)))


def hog(pictures: Array, cell: int = CELL, block: int = BLOCK) -> Array:
    """Histograms of oriented gradients of pictures (n, H, W), (n, features).

    Nine orientations without sign, cells of 8 x 8 pixels (half of scikit-image's sixteen, as maps are a third as wide
    as ImageNet's), blocks of 3 x 3 cells normalised by L2-Hys; as scikit-image's ``hog``.
    """
    count, height, width = pictures.shape
    rows, columns = np.zeros_like(pictures), np.zeros_like(pictures)
    rows[:, 1:-1] = pictures[:, 2:] - pictures[:, :-2]
    columns[:, :, 1:-1] = pictures[:, :, 2:] - pictures[:, :, :-2]
    size = np.hypot(columns, rows)
    angle = np.rad2deg(np.arctan2(rows, columns)) % 180
    down, across = height // cell, width // cell
    whole = (slice(None), slice(down * cell), slice(across * cell))
    size, angle = size[whole], angle[whole]
    cells = (np.arange(down * cell) // cell)[:, None] * across + np.arange(across * cell) // cell
    places = (np.arange(count)[:, None, None] * (down * across) + cells) * ORIENTATIONS
    places += np.minimum((angle * (ORIENTATIONS / 180)).astype(np.int64), ORIENTATIONS - 1)
    sums = np.bincount(places.ravel(), weights=size.ravel(), minlength=count * down * across * ORIENTATIONS)
    bins = sums.reshape(count, down, across, ORIENTATIONS) / (cell * cell)
    block = min(block, down, across)
    views = np.lib.stride_tricks.sliding_window_view(bins, (block, block), axis=(1, 2))
    flat = views.transpose(0, 1, 2, 4, 5, 3).reshape(count, -1, block * block * ORIENTATIONS)
    clipped = np.minimum(flat / np.sqrt((flat**2).sum(axis=-1, keepdims=True) + _EPSILON**2), _CLIPPED)
    normal = clipped / np.sqrt((clipped**2).sum(axis=-1, keepdims=True) + _EPSILON**2)
    return np.asarray(normal.reshape(count, -1))


def _windowed(pictures: Array) -> Array:
    """Means under a Gaussian window, of all windows that lie within, (n, H, W) -> (n, H - 10, W - 10)."""
    down, across = (_band(length) for length in pictures.shape[1:])
    return np.asarray(down @ pictures @ across.T)


def _band(length: int) -> Array:
    """(length - 10, length) float32: a window's weights around each place."""
    places = np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1)
    weights = np.exp(-0.5 * (places / SSIM_SIGMA) ** 2)
    rows = np.arange(length - 2 * SSIM_RADIUS)[:, None]
    band = np.zeros((len(rows), length), np.float32)
    band[rows, rows + SSIM_RADIUS + places] = weights / weights.sum()
    return band


def _unit(ranks: Array) -> Array:
    """Rows centred and of length 1; zero where all are equal."""
    centred = ranks - ranks.mean(axis=1, keepdims=True, dtype=np.float64)
    norms = np.sqrt((centred**2).sum(axis=1, keepdims=True))
    return np.asarray(np.where(norms > 0, centred / np.where(norms > 0, norms, 1), 0).astype(np.float32))


def _known(rows: Array) -> Array:
    return np.asarray((rows != 0).any(axis=1))
