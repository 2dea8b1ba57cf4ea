"""Enduro: the own car, the others, the road, the score board.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens: byte 46 is the own car's
place across, 52 along; bytes 27 to 33 are seven distances from near to far, each with a car where it is not zero, and
59 tells how far they have come to the next. RAM gives a car's line and size so, to a line or three; where it is
across the road follows from the road's bends, which we could not read: the other cars, and the road, need the
screens. What fog hides has no box.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import box, within
from policyscope.evaluation.objects.look import Look, colourful, painted, unlike_row
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

ROAD = (8, 53, 160, 155)
_LINES = np.array([156.0, 136.0, 113.5, 97.5, 85.5, 75.0, 68.5, 64.0])
"""First line of a car at the near end of each distance; the last is the far end of the last."""
_WIDTHS, _HEIGHTS = (16, 12, 8, 6, 4, 4, 2), (11, 8, 6, 4, 3, 2, 1)
_MARGINS = (4, 4, 3, 2, 2, 1, 1)
BANDS, BAND = 10, 10
CHUNK = 256

LOOKS = {
    "player": Look(painted((192, 192, 192)), (8, 138, 160, 155)),
    "cars": Look(colourful, ROAD),
    "road": Look(unlike_row, ROAD),
    "board": Look(painted((167, 26, 26), (195, 144, 61)), (40, 155, 120, 195)),
}


def enduro(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Enduro.

    Args:
        ram: (N, 128) integers.
        screens: (N, 210, 160, 3) uint8; without them there are no cars but the own and no road.
    """
    steer = (ram[:, 46] ^ 128) - 128
    across = 77 - np.where(steer < 0, (steer >> 1) - 1, steer >> 1)
    player = within(box(across, 89 + ram[:, 52], 16, 11), *ROAD)
    things = [Thing("player", "player", player)]
    blank = np.full((len(ram), 4), np.nan, np.float32)
    cars, bands = [blank] * 7, [blank] * BANDS
    if screens is not None:
        cars, bands = _seen(ram, screens, player)
    things += [Thing("cars", f"car {n + 1}", boxes) for n, boxes in enumerate(cars)]
    things += [Thing("road", f"road {n + 1}", boxes) for n, boxes in enumerate(bands)]
    things.append(Thing("board", "board", np.repeat(box(48, 161, 64, 30)[None], len(ram), axis=0)))
    return Scene(things, {"day": ram[:, 45]})


def _seen(ram: Array, screens: Array, player: Array) -> tuple[list[Array], list[Array]]:
    """Cars and bands of the road from RAM and screens, some frames at a time."""
    parts = [
        _seen_in(ram[first : first + CHUNK], np.asarray(screens[first : first + CHUNK]), player[first : first + CHUNK])
        for first in range(0, len(ram), CHUNK)
    ]
    cars = [np.concatenate([part[0][n] for part in parts]) for n in range(7)]
    bands = [np.concatenate([part[1][n] for part in parts]) for n in range(BANDS)]
    return cars, bands


def _seen_in(ram: Array, screens: Array, player: Array) -> tuple[list[Array], list[Array]]:
    hued, unlike = colourful(screens), unlike_row(screens)
    hued[:, :, : ROAD[0]] = unlike[:, :, : ROAD[0]] = False
    lines = np.arange(screens.shape[1])
    # The own car is painted like the road's edges.
    clear = unlike & ~hued & ~((lines >= player[:, None, 1]) & (lines < player[:, None, 3]))[..., None]
    cars = []
    for place in range(7):
        top = _LINES[place] - (_LINES[place] - _LINES[place + 1]) * ram[:, 59] / 128
        margin = _MARGINS[place]
        low, high = np.maximum(top - margin, ROAD[1]), np.minimum(top + _HEIGHTS[place] + margin, ROAD[3])
        window = hued & ((lines >= low[:, None]) & (lines < high[:, None]))[..., None]
        cars.append(_around(window, ram[:, 27 + place] > 0))
    bands = []
    for band in range(BANDS):
        first = ROAD[1] + BAND * band
        window = clear & ((lines >= first) & (lines < min(first + BAND, ROAD[3])))[None, :, None]
        found = _around(window, np.ones(len(ram), bool))
        found[:, 1], found[:, 3] = first, min(first + BAND, ROAD[3])
        bands.append(np.where(np.isnan(found[:, :1]), np.nan, found).astype(np.float32))
    return cars, bands


def _around(window: Array, wanted: Array) -> Array:
    """The box around the pixels of each frame's mask, NaN where there are none or none are wanted."""
    across = np.asarray(window.any(axis=1))
    down = np.asarray(window.any(axis=2))
    left, right = across.argmax(axis=1), across.shape[1] - across[:, ::-1].argmax(axis=1)
    top, bottom = down.argmax(axis=1), down.shape[1] - down[:, ::-1].argmax(axis=1)
    return box(left, top, right - left, bottom - top, wanted & down.any(axis=1))
