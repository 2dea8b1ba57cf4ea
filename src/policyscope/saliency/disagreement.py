"""How far the methods disagree on where to look, in each state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from policyscope.saliency.columns import disagreement_column
from policyscope.saliency.maps import Panel
from policyscope.saliency.resize import to_size

GRID = 21
"""Cells a side at most: a shift by a few pixels is no disagreement."""


@dataclass(frozen=True)
class Comparison:
    """Panels that explain the same output and lag, and are compared with each other.

    Attributes:
        stream: The explained stream.
        action: The selection in it.
        lag: The lag of those panels that have one; maps for all lags are compared with each lag's.
        panels: Which panels.
    """

    stream: str
    action: str
    lag: int | str | None
    panels: tuple[Panel, ...]

    @property
    def column(self) -> str:
        """Where the disagreement is kept."""
        return disagreement_column(self.stream, self.action, self.lag)


def comparisons(panels: Sequence[Panel]) -> tuple[Comparison, ...]:
    """The panels of each target and lag, where there are two or more; ``noise_saliency`` is of no one action."""
    found = []
    for stream, action in dict.fromkeys((p.stream, p.action) for p in panels if p.method != "noise_saliency"):
        here = [p for p in panels if (p.stream, p.action) == (stream, action)]
        lags: list[int | str | None] = list(dict.fromkeys(p.lag for p in here if p.lag is not None))
        for lag in lags or [None]:
            group = tuple(p for p in here if p.lag in (lag, None))
            if len(group) > 1:
                found.append(Comparison(stream, action, lag, group))
    return tuple(found)


def coarse(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Absolute maps as area means over a grid of at most 21 x 21 cells.

    Args:
        maps: (B, h, w), at the observation's size, or at a layer's, where they are not negative.
        size: The observation's height and width.

    Returns:
        (B, cells) float32.
    """
    maps, own = maps.detach().float(), (maps.shape[-2], maps.shape[-1])
    cells = (min(size[0], GRID), min(size[1], GRID))
    with torch.autocast(maps.device.type, enabled=False):
        if own == size and size[0] % cells[0] == 0:  # sums of whole rows are twice as fast as a product
            shorter = maps.abs().unflatten(1, (cells[0], -1)).mean(dim=2)
        else:
            shorter = torch.matmul(_area(own[0], size[0], maps.device), maps.abs())
        return torch.matmul(shorter, _area(own[1], size[1], maps.device).T).flatten(1)


def disagreement(grids: Sequence[Tensor]) -> Tensor:
    """One minus the mean over pairs of panels of the correlation (Pearson) of their coarse maps.

    Args:
        grids: A (B, cells) tensor for each panel, see ``coarse``.

    Returns:
        (B,): 0 where all show the same, 1 where they have nothing to do with each other, more where they exclude each
        other. A map that is the same everywhere (zero, as a rule) is left out; NaN where fewer than two are left.
    """
    stacked = torch.stack(list(grids), dim=1)
    mean = stacked.mean(dim=2, keepdim=True)
    # Relative to the mean, for the squares of small gradients would vanish.
    centred = stacked.div_(mean).sub_(1)
    norm = torch.linalg.vector_norm(centred, dim=2, keepdim=True)
    told = norm > 1e-5  # false for the NaN of an empty map, too
    unit = torch.where(told, centred.div_(norm), 0)
    count = told.sum(dim=(1, 2)).float()
    # |sum of unit vectors|^2 holds every pair twice, and each with itself.
    pairs = unit.sum(dim=1).square().sum(dim=1) - count
    return torch.where(count > 1, 1 - pairs / (count * (count - 1)), torch.nan)


@lru_cache(maxsize=64)
def _area(own: int, wanted: int, device: torch.device) -> Tensor:
    """The (cells, own) matrix that brings an axis to the observation's length and takes means of areas there."""
    basis = to_size(torch.eye(own, device=device)[None], (own, wanted))
    return F.adaptive_avg_pool1d(basis, min(wanted, GRID))[0].T.contiguous()
