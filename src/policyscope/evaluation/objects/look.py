"""What the things of a game look like: with this, boxes from RAM are checked against the screen."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from policyscope.storage import Array

Mask = Callable[[Array], Array]
"""Screens (n, H, W, 3) uint8 -> (n, H, W) bool."""


class Look(NamedTuple):
    """How a kind shows on the screen.

    Attributes:
        mask: Which pixels have its colours.
        area: (x0, y0, x1, y1): where such pixels can be nothing else.
    """

    mask: Mask
    area: tuple[int, int, int, int]


def painted(*colours: tuple[int, int, int]) -> Mask:
    """Pixels of any of some colours."""
    codes = [_code(np.array(colour, np.uint8)) for colour in colours]

    def mask(screens: Array) -> Array:
        return np.isin(_code(screens), codes)

    return mask


def moving(mask: Mask) -> Mask:
    """Pixels of some colours in places that most of the given screens show otherwise."""

    def moved(screens: Array) -> Array:
        seen = mask(screens)
        fresh: Array = seen & ~(seen.mean(axis=0) > 0.5)
        return fresh

    return moved


def colourful(screens: Array) -> Array:
    """Pixels that are not grey and differ from what most of their row is, (n, H, W)."""
    wide = screens.astype(np.int16)
    hued = wide.max(axis=-1) - wide.min(axis=-1) > 25
    differs: Array = hued & unlike_row(screens)
    return differs


def unlike_row(screens: Array) -> Array:
    """Pixels that differ from the commonest colour of their row, (n, H, W)."""
    codes = _code(screens)
    ordered = np.sort(codes, axis=-1)
    # The middle one of a sorted row is its commonest wherever that fills half of it, which ground, road and sky do.
    middle = ordered[..., ordered.shape[-1] // 2]
    unlike: Array = codes != middle[..., None]
    return unlike


def _code(colours: Array) -> Array:
    parts = colours.astype(np.int32)
    code: Array = parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2]
    return code
