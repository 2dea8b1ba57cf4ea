"""Bringing maps of a layer's size to the input's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def to_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear (``align_corners=False``) resize of (…, h, w) maps to ``size``.

    The resize is linear and separable, so it is two products with small matrices, which for many single-channel
    maps is several times faster than ``interpolate`` and equal to it.
    """
    height, width = maps.shape[-2:]
    if (height, width) == size:
        return maps
    rows = _matrix(height, size[0], maps)
    columns = rows if (width, size[1]) == (height, size[0]) else _matrix(width, size[1], maps)
    with torch.autocast(maps.device.type, enabled=False):  # a caller's would round
        return torch.matmul(torch.matmul(rows, maps), columns.T)


def _matrix(source: int, wanted: int, like: Tensor) -> Tensor:
    """The (wanted, source) matrix of bilinear interpolation along one axis."""
    basis = torch.eye(source, dtype=like.dtype, device=like.device)
    return F.interpolate(basis[None], size=wanted, mode="linear", align_corners=False)[0].T.contiguous()
