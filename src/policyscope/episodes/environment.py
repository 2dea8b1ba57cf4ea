"""The environment that a protocol asks for."""

from __future__ import annotations

from dataclasses import replace

from policyscope.agents.environments import GivenEnv, name_of, open_environment, protocol_of
from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import AtariGame
from policyscope.episodes.gymnasium_env import ImageEnvironment

__all__ = ["Environment", "GivenEnv", "make_environment", "protocol_of"]

Environment = AtariGame | ImageEnvironment


def make_environment(protocol: Protocol, env: GivenEnv | None = None) -> Environment:
    """The environment of a protocol, or the one given instead.

    Args:
        protocol: Its ``env`` is a Gymnasium id or ``MODULE:FACTORY``, its ``game`` one of ale-py's.
        env: A Gymnasium environment, its id, ``MODULE:FACTORY`` or a callable that makes it.

    Raises:
        ProtocolError: There is no such environment, or its observation is no image that fits the protocol.
    """
    chosen = env if env is not None else protocol.env
    if chosen is None:
        return AtariGame(protocol)
    opened = open_environment(chosen)
    named = chosen if isinstance(chosen, str) else name_of(opened)
    return ImageEnvironment(opened, replace(protocol, env=named, game=None))
