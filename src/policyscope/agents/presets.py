"""The protocols that people use, by name; a new one is one entry in ``PRESETS``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError

_MODERN = Protocol()
_PAPER = Protocol(name="paper", frame_skip=(2, 4), max_pool="none", pad="repeat")
_SB3 = Protocol(name="sb3", sticky=0.0, noops=30, fire_reset=True, life_ends_episode=True, max_pool="screens")

PRESETS: dict[str, Protocol] = {
    preset.name: preset
    for preset in (
        _MODERN,
        replace(_MODERN, name="classic", sticky=0.0, noops=(0, 29)),
        _PAPER,
        replace(_PAPER, name="paper-a3c", stack=3),
        replace(_PAPER, name="paper-recurrent", stack=10, layout="time"),
        _SB3,
        replace(_SB3, name="cleanrl", colour_first=False, pad="repeat"),
        Protocol(name="v5", noops=30, max_pool="greys", pad="repeat"),
        Protocol(name="ale-vector", noops=(0, 29), max_pool="greys"),
        Protocol(
            name="baby-a3c",
            frame_skip=(2, 4),
            sticky=0.0,
            max_pool="none",
            crop=(35, 0, 160, 160),
            colour="mean",
            stretch=True,
            size=(80, 80),
            resize="pillow",
            stack=1,
        ),
    )
}

# These cartridges have no game for one player, and ale-py ends the process when it is asked to load them.
_TWO_PLAYERS = frozenset({"combat", "joust", "maze_craze", "warlords"})


@cache
def games() -> tuple[str, ...]:
    """ale-py's names of the games that one player can play, sorted."""
    from ale_py import roms

    return tuple(sorted(set(roms.get_all_rom_ids()) - _TWO_PLAYERS))


def game_name(text: str) -> str:
    """ale-py's name of a game, from any of the ways to write it.

    Args:
        text: ``ms_pacman``, ``MsPacman``, ``MsPacmanNoFrameskip-v4``, ``ALE/MsPacman-v5`` …

    Raises:
        ProtocolError: ale-py has no such game.
    """
    bare = re.sub(r"(-ram)?(NoFrameskip|Deterministic)?(-v\d+)?$", "", text.removeprefix("ALE/"))
    squeezed = re.sub(r"[^a-z0-9]", "", bare.lower())
    by_squeezed = {name.replace("_", ""): name for name in games()}
    if squeezed in by_squeezed:
        return by_squeezed[squeezed]
    if squeezed in {name.replace("_", "") for name in _TWO_PLAYERS}:
        raise ProtocolError(f"{text!r} has no game for one player")
    close = [by_squeezed[match] for match in get_close_matches(squeezed, by_squeezed, n=3, cutoff=0.5)]
    hint = f"did you mean {', '.join(close)}?" if close else "see policyscope.agents.presets.games()"
    raise ProtocolError(f"ale-py has no game {text!r}; {hint}")


def preset(value: Protocol | str | Path | None, game: str | None = None) -> Protocol:
    """A protocol by name, from a JSON file, or as it is; for ``game`` where one is given.

    Args:
        value: A name in ``PRESETS``, a JSON file as :meth:`Protocol.to_dict` makes it, a Protocol, or None for
            ``modern``.
        game: Any way to write one of ale-py's games; None keeps the protocol's own.

    Raises:
        ProtocolError: No such preset, file, field or game.
    """
    protocol = _protocol(value)
    return protocol if game is None else protocol.on(game_name(game))


def _protocol(value: Protocol | str | Path | None) -> Protocol:
    if isinstance(value, Protocol):
        return value
    if value is None:
        return PRESETS["modern"]
    if isinstance(value, str) and value in PRESETS:
        return PRESETS[value]
    path = Path(value)
    if path.suffix == ".json" or path.is_file():
        return _read(path)
    close = get_close_matches(str(value), PRESETS, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise ProtocolError(f"no protocol {str(value)!r}; {hint}Known are {', '.join(PRESETS)}, or name a JSON file")


def _read(path: Path) -> Protocol:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProtocolError(f"no protocol file {path}") from None
    except OSError as error:
        raise ProtocolError(f"cannot read the protocol file {path}: {error.strerror}") from error
    except ValueError as error:
        raise ProtocolError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ProtocolError(f"{path} holds no protocol: a JSON object of its fields is expected")
    protocol = Protocol.from_dict({"name": path.stem, **values})
    return protocol if protocol.game is None else protocol.on(game_name(protocol.game))
