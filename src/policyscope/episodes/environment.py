"""The environment that a protocol asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import gymnasium

from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import AtariGame
from policyscope.episodes.gymnasium_env import ImageEnvironment, open_environment
from policyscope.episodes.gymnasium_env import protocol_of as protocol_of_env

GivenEnv = gymnasium.Env | str | Callable[[], gymnasium.Env]


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
    named = chosen if isinstance(chosen, str) else None
    opened = open_environment(chosen)
    named = named or (opened.spec.id if opened.spec is not None else type(opened.unwrapped).__name__)
    return ImageEnvironment(opened, replace(protocol, env=named, game=None))


def protocol_of(env: GivenEnv) -> Protocol:
    """The protocol of an environment that gives ready observations, derived from its observation space."""
    protocol = protocol_of_env(open_environment(env))
    return replace(protocol, env=env) if isinstance(env, str) else protocol
