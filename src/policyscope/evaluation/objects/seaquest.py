"""Seaquest: the player's submarine, fish, enemy submarines, divers, missiles, oxygen, what was collected.

RAM facts from OCAtari (Delfosse et al., MIT licence) and from comparing RAM with screens. There are four lanes 24
lines apart, counted here from the lowest. A lane has a formation of three places (bits 2, 1, 0 of byte 36 + lane, 16
pixels apart from the x in byte 30 + lane, wrapping at 256); byte 89 + lane says by its lower three bits (4 to 6) that
it is of submarines, else of fish, which bob by byte 93. Byte 71 + lane is the x of the lane's diver or, in a lane of
submarines, of their missile.
"""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.objects.boxes import bit, box, decimal, within
from policyscope.evaluation.objects.look import Look, painted
from policyscope.evaluation.objects.scene import Scene, Thing
from policyscope.storage import Array

SEA = (8, 46, 160, 167)
LANES, LANE_HEIGHT, LOWEST = 4, 24, 141
FULL_TANK = 63
MOST_DIVERS, MOST_LIVES = 6, 6

_YELLOW, _BLUE = (187, 187, 53), (66, 72, 200)
_FISH = ((92, 186, 92), (198, 108, 58), (213, 130, 74), (160, 171, 79), (111, 210, 111), (82, 126, 45))
LOOKS = {
    "submarine": Look(painted(_YELLOW), (8, 46, 160, 152)),
    "fish": Look(painted(*_FISH), (8, 57, 160, 152)),
    "enemy submarine": Look(painted((170, 170, 170)), (8, 57, 160, 152)),
    "diver": Look(painted(_BLUE), (8, 57, 160, 152)),
    "missile": Look(painted(_YELLOW), (8, 46, 160, 152)),
    "enemy missile": Look(painted(_BLUE), (8, 57, 160, 152)),
    "oxygen": Look(painted((214, 214, 214), (163, 57, 21)), (40, 168, 120, 177)),
    "collected divers": Look(painted((24, 26, 167)), (40, 176, 120, 189)),
    "lives": Look(painted((210, 210, 64)), (40, 20, 120, 32)),
    "score": Look(painted((210, 210, 64)), (40, 7, 120, 19)),
}


def seaquest(ram: Array, screens: Array | None = None) -> Scene:
    """The objects of Seaquest.

    Args:
        ram: (N, 128) integers.
        screens: Not needed.
    """
    count = len(ram)
    whole, height = ram[:, 105] == 0, ram[:, 97] + 33
    # At the surface the hull is under the line that is drawn there.
    tall = np.where(ram[:, 97] <= 13, 7, 11)
    fired = (ram[:, 103] > 0) & (ram[:, 103] < 160)
    things = [
        Thing("submarine", "submarine", within(box(ram[:, 70], height, 16, tall, whole), *SEA)),
        Thing("missile", "missile", within(box(ram[:, 103], height + 7, 8, 1, fired), *SEA)),
    ]
    for lane in range(LANES):
        things += _lane(ram, lane)
    patrols = (ram[:, 60] >= 2) & (ram[:, 118] > 0) & (ram[:, 118] < 160)
    things.append(Thing("enemy submarine", "surface patrol", within(box(ram[:, 118], 46, 8, 7, patrols), *SEA)))
    for number in range(MOST_DIVERS):
        held = box(58 + 8 * number, 178, 8, 9, ram[:, 62] > number)
        things.append(Thing("collected divers", f"collected {number + 1}", held))
    for number in range(MOST_LIVES):
        left = box(58 + 8 * number, 22, 7, 8, ram[:, 59] > number)
        things.append(Thing("lives", f"life {number + 1}", left))
    points = decimal(ram[:, 56], ram[:, 57], ram[:, 58])
    digits = np.maximum(np.ceil(np.log10(np.maximum(points, 1) + 1)), 1)
    things += [
        Thing("oxygen", "oxygen", np.repeat(box(49, 170, FULL_TANK, 5)[None], count, axis=0)),
        Thing("surface", "surface", np.repeat(box(8, 46, 152, 11)[None], count, axis=0)),
        Thing("score", "score", box(107 - 8 * digits, 9, 8 * digits - 2, 8)),
    ]
    facts = {
        "score": points,
        "lives": ram[:, 59],
        "oxygen": np.minimum(ram[:, 102], FULL_TANK),
        "collected divers": ram[:, 62],
    }
    return Scene(things, facts)


def _lane(ram: Array, lane: int) -> list[Thing]:
    """What swims in a lane: three places for fish and three for submarines, a diver and a missile."""
    top, name = LOWEST - LANE_HEIGHT * lane, lane + 1
    of_submarines = (ram[:, 89 + lane] & 7 >= 4) & (ram[:, 89 + lane] & 7 < 7)
    things = []
    for place in range(3):
        there = bit(ram[:, 36 + lane], 2 - place)
        x = (ram[:, 30 + lane] + 16 * place + 8) % 256 - 8
        fish = box(x, top - 4 + ram[:, 93], 8, 7, there & ~of_submarines)
        submarine = box(x, top - 1, 8, 11, there & of_submarines)
        things += [
            Thing("fish", f"fish {name}.{place + 1}", within(fish, *SEA)),
            Thing("enemy submarine", f"enemy submarine {name}.{place + 1}", within(submarine, *SEA)),
        ]
    x = ram[:, 71 + lane]
    there = (x > 0) & (x < 160)
    diver, missile = box(x, top - 4, 8, 14, there & ~of_submarines), box(x + 2, top + 4, 6, 4, there & of_submarines)
    return [
        *things,
        Thing("diver", f"diver {name}", within(diver, *SEA)),
        Thing("enemy missile", f"enemy missile {name}", within(missile, *SEA)),
    ]
