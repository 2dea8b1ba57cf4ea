"""Environments of somebody else's: found by name, and what they tell about themselves before they are played."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import EnumType

import gymnasium
from gymnasium import spaces

from policyscope.agents.agent import ContinuousActions
from policyscope.agents.imports import made_by
from policyscope.agents.observations import protocol_of_space
from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError

GivenEnv = gymnasium.Env | str | Callable[[], gymnasium.Env]
"""A Gymnasium environment, its id, ``MODULE:FACTORY``, or a callable that makes it."""


@dataclass(frozen=True)
class Actions:
    """An environment's actions.

    Attributes:
        names: One for each action, or for each dimension of a continuous one.
        bounds: Of continuous actions; None for discrete ones.
        first: What the environment calls the first of discrete actions.
    """

    names: tuple[str, ...]
    bounds: ContinuousActions | None = None
    first: int = 0


@dataclass(frozen=True)
class Description:
    """What an environment tells about itself.

    Attributes:
        name: What the user called it, or its id, or its class.
        observations: The space of its observations.
        actions: Its actions.
    """

    name: str
    observations: spaces.Space
    actions: Actions

    @property
    def protocol(self) -> Protocol:
        """The protocol that takes its observations as they are; a ProtocolError where there is not one image."""
        return protocol_of_space(self.observations, self.name)


def describe(env: GivenEnv) -> Description:
    """What an environment tells about itself; it is closed again unless it was given open."""
    made = open_environment(env)
    try:
        return Description(env if isinstance(env, str) else name_of(made), made.observation_space, actions_of(made))
    finally:
        if not isinstance(env, gymnasium.Env):
            made.close()


def protocol_of(env: GivenEnv) -> Protocol:
    """The protocol of an environment that gives ready observations, derived from its observation space."""
    return describe(env).protocol


def name_of(env: gymnasium.Env) -> str:
    """An environment's id, or its class."""
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__


def open_environment(env: GivenEnv) -> gymnasium.Env:
    """A Gymnasium environment, which renders where it can.

    Raises:
        ProtocolError: There is none of that name, or the factory makes none.
    """
    if isinstance(env, gymnasium.Env):
        return env
    # Gymnasium has a colon of its own: MODULE:ID-v0 imports the module that registers the id.
    if isinstance(env, str) and (":" not in env or re.search(r"-v\d+$", env)):
        return _registered(env)
    made = made_by(env, "--env")
    if not isinstance(made, gymnasium.Env):
        what = env if isinstance(env, str) else getattr(env, "__name__", env)
        raise ProtocolError(f"{what} made a {type(made).__name__}, not a Gymnasium environment")
    return made


def actions_of(env: gymnasium.Env) -> Actions:
    """The actions of an environment.

    Raises:
        ProtocolError: They are neither discrete nor a flat Box.
    """
    space = env.action_space
    if isinstance(space, spaces.Discrete):
        count = int(space.n)
        named = getattr(env.unwrapped, "get_action_meanings", None)
        names = tuple(str(name) for name in named()) if callable(named) else ()
        enumeration = getattr(env.unwrapped, "actions", None)
        if isinstance(enumeration, EnumType) and len(enumeration) == count:
            names = tuple(enumeration.__members__)
        return Actions(names if len(names) == count else tuple(map(str, range(count))), first=int(space.start))
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = (tuple(float(v) for v in bound) for bound in (space.low, space.high))
        return Actions(tuple(map(str, range(len(low)))), ContinuousActions(low, high))
    raise ProtocolError(f"actions of {space} cannot be played; Discrete or a flat Box are expected")


def _registered(name: str) -> gymnasium.Env:
    importlib.import_module("ale_py")
    try:
        try:
            return gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True)
        except (TypeError, AssertionError, ValueError):  # it does not render
            return gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError, TypeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ProtocolError(f"the environment {name!r} cannot be made: {reason}") from error
