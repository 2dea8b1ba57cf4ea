"""Space Invaders: cannon, aliens, shields, shots of both sides, the saucer.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens: byte 28 is the cannon's x;
bytes 18 to 23 are the rows of aliens, the lowest first, a bit each from the left; 26 is the x of the leftmost column
that has any, 16 the rows' height; 43 to 69 are the shields, nine rows each, a bit a pixel; 81 to 84 the aliens' two
shots, 85 and 87 the player's. Shots of the two sides are drawn in turn, every other frame: at a frame skip of 4 the
newest screen shows the aliens' never or always.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import bit, box, decimal, within
from policyscope.evaluation.objects.look import Look, painted
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

ROWS, COLUMNS = 6, 6
FIELD = (0, 20, 160, 195)
NO_SHOT = 246

_GREEN, _GREY = (50, 132, 50), (142, 142, 142)
LOOKS = {
    "player": Look(painted(_GREEN), (0, 180, 160, 195)),
    "aliens": Look(painted((134, 134, 29)), (0, 25, 160, 185)),
    "shields": Look(painted((181, 83, 40)), (0, 150, 160, 180)),
    "missile": Look(painted(_GREY), FIELD),
    "enemy missile": Look(painted(_GREY), FIELD),
    "saucer": Look(painted((151, 25, 122)), (0, 10, 160, 22)),
}


def space_invaders(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Space Invaders.

    Args:
        ram: (N, 128) integers.
        screens: Not needed.
    """
    hit = (ram[:, 42] & 1 > 0) & (ram[:, 72] & 0x30 == 0x30)
    things = [Thing("player", "player", box(ram[:, 28] - 1, 185, 7, 10, ~hit)), *_aliens(ram)]
    things += [Thing("shields", f"shield {n + 1}", _shield(ram, n)) for n in range(3)]
    for kind, slot, x, y in (
        ("missile", "missile", 87, 85),
        ("enemy missile", "enemy missile 1", 83, 81),
        ("enemy missile", "enemy missile 2", 84, 82),
    ):
        shot = box(ram[:, x] - 2, 2 * ram[:, y] + 4, 1, 8, ram[:, y] != NO_SHOT)
        things.append(Thing(kind, slot, within(shot, *FIELD)))
    things.append(Thing("saucer", "saucer", box(ram[:, 30] - 1, 12, 7, 8, bit(ram[:, 76], 2))))
    facts = {
        "score": decimal(ram[:, 102], ram[:, 104]),
        "lives": ram[:, 73],
        "aliens": ram[:, 17],
    }
    return Scene(things, facts)


def _aliens(ram: Array) -> list[Thing]:
    rows = ram[:, 18:24]
    columns = bit(np.bitwise_or.reduce(rows, axis=1)[:, None], np.arange(COLUMNS))
    first = columns.argmax(axis=1)
    things = []
    for row in range(ROWS):
        for column in range(COLUMNS):
            x = ram[:, 26] - 1 + 16 * (column - first)
            y = 31 + 2 * ram[:, 16] + 18 * (ROWS - 1 - row)
            alive = bit(rows[:, row], column)
            things.append(Thing("aliens", f"alien {ROWS - row}.{column + 1}", within(box(x, y, 8, 10, alive), *FIELD)))
    return things


def _shield(ram: Array, number: int) -> Array:
    """The box around what is left of a shield."""
    shape = bit(ram[:, 43 + 9 * number : 52 + 9 * number, None], 7 - np.arange(8))
    across = np.asarray(shape.any(axis=1))
    down = np.asarray(shape.any(axis=2))
    left, right = across.argmax(axis=1), 8 - across[:, ::-1].argmax(axis=1)
    top, bottom = down.argmax(axis=1), 9 - down[:, ::-1].argmax(axis=1)
    there = shape.any(axis=(1, 2)) & bit(ram[:, 24], 6)
    return box(42 + 32 * number + left, 157 + 2 * top, right - left, 2 * (bottom - top), there)
