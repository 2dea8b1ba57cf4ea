"""Video Pinball: ball, flippers, plunger, bumpers, spinners, targets.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens: 67 and 68 are the ball's x
and y, 98 and 102 the flippers' stages (steps of 16), 70 the plunger's, 72 to 77 and 81 to 86 say which targets stand;
bumpers and spinners have their places.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import box, decimal, within
from policyscope.evaluation.objects.look import Look, moving, painted
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

TABLE = (8, 24, 156, 197)
_STAGES = np.array([[184, 192], [184, 190], [181, 190], [177, 190]])
"""First line of a flipper and the line after its last, from down to up."""
_BUMPERS = (
    (40, 112, 16, 32),
    (104, 112, 16, 32),
    (72, 104, 16, 8),
    (40, 48, 16, 32),
    (72, 48, 16, 32),
    (104, 48, 16, 32),
)
_TARGETS = {
    72: (60, 24, 7, 14),
    73: (76, 24, 7, 14),
    74: (92, 24, 7, 14),
    75: (47, 58, 3, 12),
    76: (79, 58, 3, 12),
    77: (109, 58, 7, 12),
    81: (47, 122, 3, 12),
    82: (77, 120, 7, 14),
    83: (111, 122, 3, 12),
    84: (60, 154, 7, 14),
    85: (76, 154, 7, 14),
    86: (92, 154, 7, 14),
}

_WHITE, _PURPLE, _GOLD, _SAND = (236, 236, 236), (104, 72, 198), (210, 164, 74), (187, 159, 71)
LOOKS = {
    "ball": Look(moving(painted(_PURPLE)), (12, 24, 156, 176)),
    "flippers": Look(painted(_WHITE), (60, 174, 100, 194)),
    "plunger": Look(painted(_WHITE, _SAND), (146, 110, 154, 194)),
    "spinners": Look(painted(_WHITE), (24, 84, 138, 106)),
    "bumpers": Look(painted(_PURPLE), (40, 40, 120, 150)),
    "targets": Look(painted(_GOLD), (40, 20, 120, 170)),
    "score": Look(painted(_SAND), (60, 0, 160, 15)),
}


def video_pinball(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Video Pinball.

    Args:
        ram: (N, 128) integers.
        screens: Not needed.
    """
    left, right = _STAGES[(ram[:, 98] >> 4) & 3].T, _STAGES[(ram[:, 102] >> 4) & 3].T
    knob = 2 * ram[:, 70] - 1
    count = len(ram)
    things = [
        Thing("ball", "ball", within(box(ram[:, 67], ram[:, 68] - 3, 2, 4), *TABLE)),
        Thing("flippers", "left flipper", box(64, left[0], 13, left[1] - left[0])),
        Thing("flippers", "right flipper", box(83, right[0], 13, right[1] - right[0])),
        Thing("plunger", "plunger", box(148, knob, 4, 192 - knob)),
        Thing("spinners", "left spinner", _still(30, 90, 6, 12, count)),
        Thing("spinners", "right spinner", _still(126, 90, 6, 12, count)),
    ]
    things += [Thing("bumpers", f"bumper {n + 1}", _still(*place, count)) for n, place in enumerate(_BUMPERS)]
    things += [
        Thing("targets", f"target {n + 1}", box(*place, ram[:, byte] > 0))
        for n, (byte, place) in enumerate(_TARGETS.items())
    ]
    things.append(Thing("score", "score", _still(64, 3, 92, 10, count)))
    facts = {"score": decimal(ram[:, 52], ram[:, 50], ram[:, 48]), "balls played": ram[:, 25]}
    return Scene(things, facts)


def _still(x: int, y: int, width: int, height: int, count: int) -> Array:
    return np.repeat(box(x, y, width, height)[None], count, axis=0)
