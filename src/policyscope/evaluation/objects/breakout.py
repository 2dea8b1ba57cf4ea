"""Breakout: ball, paddle, bricks, the holes in the wall and the breakthrough.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens: byte 72 is the paddle's x,
108 half its width (it shrinks once the ball has been at the ceiling), 99 and 101 the ball's place, 57 the lives, 76
and 77 the score. The wall is a playfield of cells four pixels wide, two a brick; bytes 0 to 35 hold it, six bytes
(one a row, the lowest row first) for each sixth of it, the rightmost first, with the console's own changing order of
bits.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import bit, box, decimal, within
from policyscope.evaluation.objects.look import Look, painted
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

ROWS, COLUMNS, BRICK = 6, 18, (8, 6)
LEFT, TOP, RIGHT, ABOVE, BELOW = 8, 57, 152, 32, 93
_CELLS = (
    *((5, b) for b in (6, 7)),
    *((4, b) for b in range(7, -1, -1)),
    *((3, b) for b in range(8)),
    *((2, b) for b in range(4, 8)),
    *((1, b) for b in range(7, -1, -1)),
    *((0, b) for b in range(6)),
)
"""(sixth of the wall, bit) of each four pixels from the left; the even ones stand for a brick."""

_RED = (200, 72, 72)
LOOKS = {
    "ball": Look(painted(_RED), (LEFT, BELOW, RIGHT, 189)),
    "paddle": Look(painted(_RED), (LEFT, 189, RIGHT, 193)),
    "bricks": Look(
        painted(_RED, (198, 108, 58), (180, 122, 48), (162, 162, 42), (72, 160, 72), (66, 72, 200)),
        (LEFT, TOP, RIGHT, BELOW),
    ),
    "gap": Look(painted((0, 0, 0)), (LEFT, TOP, RIGHT, BELOW)),
    "score": Look(painted((142, 142, 142)), (36, 4, 96, 16)),
    "lives": Look(painted((142, 142, 142)), (96, 4, 128, 16)),
}


def breakout(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Breakout.

    Args:
        ram: (N, 128) integers.
        screens: Not needed.
    """
    ball = within(box(ram[:, 99] - 49, ram[:, 101] + 9, 2, 4, ram[:, 101] > 0), LEFT, ABOVE, RIGHT, 197)
    paddle = box(ram[:, 72] - 47, 189, 2 * ram[:, 108], 4)
    standing = wall(ram)
    holes, through = openings(standing)
    things = [Thing("ball", "ball", ball), Thing("paddle", "paddle", within(paddle, LEFT, 189, 160, 193))]
    for kind, cells in (("bricks", standing), ("gap", holes), ("breakthrough", through)):
        things += [Thing(kind, f"{kind} {r}.{c}", _cell(r, c, cells)) for r in range(ROWS) for c in range(COLUMNS)]
    space = box(LEFT, ABOVE, RIGHT - LEFT, TOP - ABOVE, through.any(axis=(1, 2)))
    things.append(Thing("breakthrough", "space above", space))
    things.append(Thing("score", "score", np.repeat(box(36, 5, 44, 10)[None], len(ram), axis=0)))
    things.append(Thing("lives", "lives", np.repeat(box(100, 5, 12, 10)[None], len(ram), axis=0)))
    facts = {
        "score": decimal(ram[:, 76] & 15, ram[:, 77]),
        "lives": ram[:, 57],
        "bricks": standing.sum(axis=(1, 2)),
        "broken through": through.any(axis=(1, 2)),
    }
    return Scene(things, facts)


def wall(ram: Array) -> Array:
    """(N, 6, 18) bool: which bricks stand, the uppermost row first."""
    sixth, place = np.array(_CELLS[::2]).T
    byte = (ROWS - 1 - np.arange(ROWS))[:, None] + ROWS * sixth[None]
    return bit(ram[:, byte], place[None, None])


def openings(standing: Array) -> tuple[Array, Array]:
    """The holes that a ball can get into from below, and of these the ones that lead all the way through.

    Args:
        standing: (N, rows, columns) bool.

    Returns:
        Two (N, rows, columns) bool. Holes are connected side by side, not by their corners.
    """
    free = ~standing
    from_below, from_above = np.zeros_like(free), np.zeros_like(free)
    from_below[:, -1], from_above[:, 0] = free[:, -1], free[:, 0]
    reached = _flooded(free, from_below)
    return reached, _flooded(free, from_above) & reached & _joined(free, reached)


def _joined(free: Array, reached: Array) -> Array:
    """Holes that are connected with a hole of the top row which can be reached from below."""
    top = np.zeros_like(free)
    top[:, 0] = reached[:, 0]
    return _flooded(free, top)


def _flooded(free: Array, seeds: Array) -> Array:
    while True:
        grown = seeds.copy()
        grown[:, 1:] |= seeds[:, :-1]
        grown[:, :-1] |= seeds[:, 1:]
        grown[:, :, 1:] |= seeds[:, :, :-1]
        grown[:, :, :-1] |= seeds[:, :, 1:]
        grown &= free
        if (grown == seeds).all():
            return grown
        seeds = grown


def _cell(row: int, column: int, cells: Array) -> Array:
    width, height = BRICK
    return box(LEFT + width * column, TOP + height * row, width, height, cells[:, row, column])
