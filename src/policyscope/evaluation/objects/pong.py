"""Pong: ball and both paddles.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens: 49 and 54 are the ball's x
and y, 50 the opponent's paddle, 51 the player's, 13 and 14 the scores. The player's paddle is drawn on even lines,
and the ball a line higher where its byte is odd and the beam has passed the middle of the right half.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import box, within
from policyscope.evaluation.objects.look import Look, painted
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

FIELD = (0, 34, 160, 194)
PADDLE = (4, 16)
_LATE = 182
"""The ball's byte from which the console draws it a line higher when its line is odd."""

_GREEN, _ORANGE = (92, 186, 92), (213, 130, 74)
LOOKS = {
    "ball": Look(painted((236, 236, 236)), FIELD),
    "player": Look(painted(_GREEN), FIELD),
    "opponent": Look(painted(_ORANGE), FIELD),
    "score": Look(painted(_GREEN, _ORANGE), (0, 0, 160, 24)),
}


def pong(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Pong.

    Args:
        ram: (N, 128) integers.
        screens: Not needed.
    """
    x, y = ram[:, 49], ram[:, 54]
    higher = (y & 1) & (x >= _LATE)
    ball = within(box(x - 49, y - 14 - higher, 2, 4, y > 0), *FIELD)
    player = within(box(140, (ram[:, 51] - 13) & ~1, *PADDLE), *FIELD)
    opponent = within(box(16, ram[:, 50] - 15, *PADDLE, ram[:, 50] > 0), *FIELD)
    tens = ram[:, 13:15] >= 10
    things = [
        Thing("ball", "ball", ball),
        Thing("player", "player", player),
        Thing("opponent", "opponent", opponent),
        Thing("score", "opponent's score", box(np.where(tens[:, 0], 20, 36), 1, np.where(tens[:, 0], 28, 12), 20)),
        Thing("score", "player's score", box(np.where(tens[:, 1], 100, 116), 1, np.where(tens[:, 1], 28, 12), 20)),
    ]
    return Scene(things, {"opponent's score": ram[:, 13], "score": ram[:, 14]})
