"""From RAM to objects: the games that are known, and the way to add one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from policyscope.agents.presets import game_name
from policyscope.episodes.episode import Episode
from policyscope.errors import ProtocolError, RunError
from policyscope.evaluation.objects import (
    air_raid,
    breakout,
    enduro,
    pong,
    seaquest,
    space_invaders,
    video_pinball,
)
from policyscope.evaluation.objects.look import Look
from policyscope.evaluation.objects.scene import SCREEN, Objects, Scene
from policyscope.storage import Array

Extractor = Callable[[Array, Any], Scene]

GAMES: dict[str, Extractor] = {
    "air_raid": air_raid.air_raid,
    "breakout": breakout.breakout,
    "enduro": enduro.enduro,
    "pong": pong.pong,
    "seaquest": seaquest.seaquest,
    "space_invaders": space_invaders.space_invaders,
    "video_pinball": video_pinball.video_pinball,
}
LOOKS: dict[str, Mapping[str, Look]] = {
    "air_raid": air_raid.LOOKS,
    "breakout": breakout.LOOKS,
    "enduro": enduro.LOOKS,
    "pong": pong.LOOKS,
    "seaquest": seaquest.LOOKS,
    "space_invaders": space_invaders.LOOKS,
    "video_pinball": video_pinball.LOOKS,
}
SCREENS = {"air_raid": air_raid.SCREEN}
"""Games whose screen has another size than most."""
RAM_SIZE = 128


def objects_of(game: str, ram: Any, screens: Any = None) -> Objects:
    """The objects of some frames of a game.

    Args:
        game: Any way to write one of ale-py's games.
        ram: (N, 128) uint8, as ``Episode.ram`` has it.
        screens: (N, H, W, 3) uint8 of the same frames, which Enduro needs for the other cars and the road.

    Raises:
        ProtocolError: Nobody has told yet where this game's objects are; the line lists the games that are known.
        RunError: The RAM is no console's, or the screens are not of the size that the game has.
    """
    name = game_name(game)
    if name not in GAMES:
        raise ProtocolError(f"the objects of {name} are not known; known are {', '.join(GAMES)}")
    size = SCREENS.get(name, SCREEN)
    shape = np.shape(ram)
    if len(shape) != 2 or shape[1] != RAM_SIZE:
        raise RunError(f"objects are found in a console's RAM, (frames, {RAM_SIZE}), not in an array of shape {shape}")
    if screens is not None and tuple(screens.shape[1:3]) != size:
        raise RunError(
            f"objects of {name} are known on screens of {size[0]} x {size[1]}; these are "
            f"{screens.shape[1]} x {screens.shape[2]}: record them without resizing"
        )
    if screens is not None and len(screens) != shape[0]:
        raise RunError(f"{shape[0]} frames of RAM, {len(screens)} screens: they must be of the same frames")
    # Signed and wide: the console's bytes wrap where positions must not.
    scene = GAMES[name](np.asarray(ram).astype(np.int32), screens)
    return Objects.of_scene(name, scene, size)


def objects_of_episode(episode: Episode) -> Objects:
    """The objects of an episode, row by row; a row's RAM and screen are of the same moment.

    Raises:
        RunError: The episode has no RAM, or its screens have another size than the game's.
        ProtocolError: The game's objects are not known.
    """
    game = episode.protocol.game
    if game is None:
        raise ProtocolError("objects are known in ale-py's games; this episode names none (protocol.game)")
    if episode.ram is None:
        raise RunError("the episode was recorded without the console's RAM, in which objects are found: play it again")
    return objects_of(game, episode.ram, episode.screens)
