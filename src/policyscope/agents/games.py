"""What a text tells about a game or an environment, and what a game's actions are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import gymnasium
from ale_py import ALEInterface, LoggerMode, roms

from policyscope.agents.presets import games

_ENVIRONMENT = re.compile(r"(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9_]*?)(?:NoFrameskip|Deterministic)?(?:-ram)?-v\d+")


def find_game(texts: Iterable[str]) -> str | None:
    """The game whose environment is named in one of the texts (``dqn-BreakoutNoFrameskip-v4`` -> ``breakout``)."""
    for text in texts:
        for found in _ENVIRONMENT.finditer(text):
            game = exact_game(found[1])
            if game:
                return game
    return None


def exact_game(text: str) -> str | None:
    """The game that a text is the name of, however it is spelled; None if it is not one."""
    letters = re.sub(r"[^a-z0-9]", "", text.lower())
    return next((game for game in games() if game.replace("_", "") == letters), None)


def find_environment(texts: Iterable[str]) -> str | None:
    """The longest id of an installed Gymnasium environment that is named in one of the texts."""
    for text in texts:
        named = [key for key in gymnasium.registry if key in text or key.replace("/", "-") in text]
        if named:
            return max(named, key=len)
    return None


@cache
def action_names(game: str, full: bool = False) -> tuple[str, ...]:
    """Names of a game's actions, its own or all 18.

    Args:
        game: ale-py's name of it.
        full: All 18.
    """
    ALEInterface.setLoggerMode(LoggerMode.Error)
    console = ALEInterface()
    console.loadROM(str(roms.get_rom_path(game)))
    return tuple(action.name for action in (console.getLegalActionSet() if full else console.getMinimalActionSet()))
