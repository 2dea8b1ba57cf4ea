"""Air Raid: the player, three enemies, missiles, buildings. Its screen is 250 lines high.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens: byte 19 is the player's x;
20 and 21 the buildings', 27 and 28 their damage; 66 to 68, 29 to 31 and 63 to 65 the enemies' x, height and make; 85
and 86 the player's missile, 83 and 84 the enemies'. The console draws two of three enemies in a frame: byte 87 says
which is left out.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import box, decimal, within
from policyscope.evaluation.objects.look import Look, painted, unlike_row
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

SCREEN = (250, 160)
SKY = (0, 4, 160, 210)
WIDTH = 160
_MAKES = np.array([[0, 16, 18], [0, 14, 16], [2, 14, 16], [0, 14, 14]])
"""Of each make of enemy: how far right of its byte it is drawn, its width and its height."""
_DAMAGE = np.array([[178, 179], [181, 181], [180, 181], [180, 181], [183, 184], [187, 188], [189, 190]])
"""First line of the left and the right building by damage; beyond, they shrink as in the last line."""

LOOKS = {
    "player": Look(unlike_row, (8, 152, 160, 172)),
    "enemies": Look(unlike_row, (8, 24, 160, 148)),
    "missile": Look(painted((236, 236, 236)), (8, 18, 160, 152)),
    "enemy missile": Look(painted((236, 236, 236)), (8, 18, 160, 152)),
    "buildings": Look(painted((150, 113, 26), (114, 114, 114)), (8, 172, 160, 212)),
}


def air_raid(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Air Raid.

    Args:
        ram: (N, 128) integers.
        screens: Not needed.
    """
    things = [Thing("player", "player", within(box(ram[:, 19] - 3, 157, 14, 12), *SKY))]
    things += [Thing("enemies", f"enemy {n + 1}", _enemy(ram, n)) for n in range(3)]
    fired, fallen = (ram[:, 85] > 35) & (ram[:, 85] < 190), (ram[:, 83] > 0) & (ram[:, 83] != 248)
    # A line lower in the left of the screen, where the beam passes before the console has counted.
    lower = 193 + (ram[:, 84] < 72)
    things += [
        Thing("missile", "missile", within(box(ram[:, 86] - 5, 194 - ram[:, 85], 2, 2, fired), *SKY)),
        Thing("enemy missile", "enemy missile", within(box(ram[:, 84] - 5, lower - ram[:, 83], 2, 2, fallen), *SKY)),
    ]
    for number in range(2):
        top = _DAMAGE[np.minimum(ram[:, 27 + number], len(_DAMAGE) - 1), number]
        left = np.where(ram[:, 20 + number] > 3, ram[:, 20 + number] - 3, ram[:, 20 + number] + 156)
        here = box(left, top, 32, 210 - top)
        things += [
            Thing("buildings", f"building {number + 1}", within(here, *SKY)),
            # What leaves on the right comes in on the left.
            Thing("buildings", f"building {number + 1} wrapped", within(here - [WIDTH, 0, WIDTH, 0], *SKY)),
        ]
    return Scene(things, {"score": decimal(ram[:, 40], ram[:, 41], ram[:, 42]), "lives": ram[:, 39]})


def _enemy(ram: Array, number: int) -> Array:
    shift, width, height = _MAKES[(ram[:, 63 + number] >> 1) & 3].T
    top = 195 - ram[:, 29 + number]
    there = (ram[:, 29 + number] != 44) & (ram[:, 78 + number] != 236)
    # They sink behind the skyline.
    return within(box(ram[:, 66 + number] - 3 + shift, top, width, height, there), 0, 4, WIDTH, 151)
