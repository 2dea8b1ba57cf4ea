"""Any Gymnasium environment whose observation is an image."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import EnumType
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from policyscope.agents.agent import ContinuousActions
from policyscope.agents.protocol import Protocol
from policyscope.episodes.arrays import protocol_of_pictures
from policyscope.episodes.atari import Outcome
from policyscope.episodes.picture import arranged, first_stack, picture, pushed
from policyscope.errors import ProtocolError
from policyscope.storage import Array

# A number or a bar of numbers is a Box too; a picture has both a height and a width.
SMALLEST_SIDE = 4


class ImageEnvironment:
    """A Gymnasium environment behind the face of :class:`~policyscope.episodes.atari.AtariGame`.

    The environment runs as it is: of the protocol, only what becomes of its pictures counts. Screens are what it
    renders, or else its own observation.
    """

    def __init__(self, env: gymnasium.Env, protocol: Protocol) -> None:
        self._env = env
        self._key, self._space = image_space(env)
        self._ale: Any = getattr(env.unwrapped, "ale", None)
        self.protocol = self._resolved(protocol)
        self.actions, self.continuous, self._first_action = _actions(env)
        self._ram: Array | None = None
        self._renders = env.render_mode == "rgb_array"
        self._lives = 0

    @property
    def screen(self) -> Array:
        """(height, width, 3) uint8."""
        if self._renders:
            rendered = self._env.render()
            if isinstance(rendered, np.ndarray) and rendered.ndim == 3 and rendered.shape[2] == 3:
                return rendered.astype(np.uint8, copy=False)
        if self._ale is not None:
            return np.asarray(self._ale.getScreenRGB())
        image = self._image[-1]
        if image.dtype.kind == "f":
            image = np.rint(image * (255.0 / self._space.high.max() if np.isfinite(self._space.high).all() else 255.0))
        image = image.astype(np.uint8, copy=False)
        return image[:, :, -3:] if image.shape[2] % 3 == 0 else np.repeat(image[:, :, -1:], 3, axis=2)

    @property
    def lives(self) -> int:
        """Lives left, where the environment tells them; else 0."""
        return int(self._ale.lives()) if self._ale is not None else self._lives

    @property
    def ram(self) -> Array | None:
        """(128,) uint8 for a game of ale-py's, else None."""
        return None if self._ale is None else np.asarray(self._ale.getRAM())

    def reset(self, seed: int | None = None) -> None:
        """Begins an episode; the first one with a seed."""
        observation, info = self._env.reset(seed=seed)
        self._image = self._frames(observation)
        self._lives = _lives(info)
        if not self.protocol.ready:
            self._stack = first_stack(picture([self._image[0]], self.protocol), self.protocol)
        self._observe()

    def step(self, action: Any) -> Outcome:
        """Takes one action."""
        taken = np.asarray(action, self._env.action_space.dtype) if self.continuous else action + self._first_action
        observation, reward, terminated, truncated, info = self._env.step(taken)
        self._image = self._frames(observation)
        self._lives = _lives(info)
        if not self.protocol.ready:
            self._stack = pushed(self._stack, picture([self._image[0]], self.protocol))
        self._observe()
        return Outcome(float(reward), bool(terminated), bool(truncated), bool(terminated or truncated))

    def close(self) -> None:
        """Closes the environment."""
        self._env.close()

    def _observe(self) -> None:
        if self.protocol.ready:
            frames, height, width, channels = self._image.shape
            if frames == 1:
                colours = self.protocol.colours
                stack = self._image.reshape(height, width, channels // colours, colours).transpose(2, 0, 1, 3)
            else:
                stack = self._image
            self.observation = arranged(stack, self.protocol.layout)
        else:
            self.observation = arranged(self._stack, self.protocol.layout)

    def _frames(self, observation: Any) -> Array:
        """The image of an observation as (frames, H, W, channels), a copy."""
        return np.array(canonical(np.asarray(observation if self._key is None else observation[self._key])))

    def _resolved(self, protocol: Protocol) -> Protocol:
        """The protocol with its size filled in, checked against what the environment shows."""
        frames, height, width, channels = canonical(np.empty(self._space.shape, np.uint8)).shape
        where = protocol.env or "the environment"
        if protocol.ready:
            size = protocol.size or (height, width)
            if (size, protocol.stack * protocol.colours) != ((height, width), frames * channels):
                raise ProtocolError(
                    f"{where} gives observations of shape {self._space.shape}; protocol {protocol.name!r} says "
                    f"{protocol.stack} pictures in {protocol.colours} colours, {size[0]} x {size[1]}"
                )
            return replace(protocol, size=size)
        if frames > 1 or channels not in (1, 3):
            raise ProtocolError(
                f"{where} gives observations of shape {self._space.shape}, which are stacked already; "
                f"describe them by a protocol with 'ready': true"
            )
        if protocol.colour == "rgb" and channels == 1:
            raise ProtocolError(f"{where} is grey; protocol {protocol.name!r} asks for its colours")
        crop = protocol.crop
        if crop and (crop[0] + crop[2] > height or crop[1] + crop[3] > width):
            raise ProtocolError(f"crop {crop} reaches beyond the pictures of {where}, which are {height} x {width}")
        return replace(protocol, size=protocol.size or (crop[2:] if crop else (height, width)))


def protocol_of(env: gymnasium.Env) -> Protocol:
    """The protocol of an environment that gives ready observations, derived from its observation space.

    Channels first or last become channels first, stacked channels are told from colours (a multiple of three is
    taken for colours), and floats up to 1 are left as they are.
    """
    _, space = image_space(env)
    name = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    protocol = protocol_of_pictures(space.shape, space.dtype, name, float(space.high.max()))
    layout = "channels" if protocol.layout == "channels_last" else protocol.layout
    return replace(protocol, env=env.spec.id if env.spec is not None else None, layout=layout)


def image_space(env: gymnasium.Env) -> tuple[Any, spaces.Box]:
    """The key of the image in an environment's observation (None where it is all of it), and its space.

    Raises:
        ProtocolError: There is no image, or more than one.
    """
    space = env.observation_space
    if isinstance(space, spaces.Box) and _is_image(space):
        return None, space
    where = env.spec.id if env.spec is not None else type(env.unwrapped).__name__
    parts: dict[Any, Any] = {}
    if isinstance(space, spaces.Dict):
        parts = dict(space.spaces)
    elif isinstance(space, spaces.Tuple):
        parts = dict(enumerate(space.spaces))
    images = [key for key, part in parts.items() if isinstance(part, spaces.Box) and _is_image(part)]
    if len(images) == 1:
        return images[0], parts[images[0]]
    told = f"; its parts are {', '.join(f'{key}: {part}' for key, part in parts.items())}" if parts else f": {space}"
    raise ProtocolError(f"the observation of {where} must have one image, it has {len(images)}{told}")


def canonical(image: Array) -> Array:
    """An image with any order of axes as (frames, H, W, channels); the shorter of its outer axes is the channels'."""
    if image.ndim == 2:
        return image[None, :, :, None]
    if image.ndim == 3:
        return (image.transpose(1, 2, 0) if image.shape[0] < image.shape[2] else image)[None]
    return image.transpose(0, 2, 3, 1) if image.shape[1] <= image.shape[3] else image


def open_environment(env: gymnasium.Env | str | Callable[[], gymnasium.Env]) -> gymnasium.Env:
    """A Gymnasium environment from its id, from ``MODULE:FACTORY``, or from a callable.

    Raises:
        ProtocolError: There is none of that name, or the factory makes none.
    """
    if isinstance(env, gymnasium.Env):
        return env
    if isinstance(env, str):
        return _named(env)
    made = env()
    if not isinstance(made, gymnasium.Env):
        raise ProtocolError(
            f"{getattr(env, '__name__', env)} made a {type(made).__name__}, not a Gymnasium environment"
        )
    return made


def _named(name: str) -> gymnasium.Env:
    module_name, _, attribute = name.partition(":")
    if attribute:
        with _current_directory():
            try:
                module = importlib.import_module(module_name)
            except ImportError as error:
                raise ProtocolError(f"cannot import {module_name!r} for the environment {name!r}: {error}") from error
        factory = getattr(module, attribute, None)
        if callable(factory):
            return open_environment(factory)
    importlib.import_module("ale_py")
    try:
        try:
            return gymnasium.make(name, render_mode="rgb_array", disable_env_checker=True)
        except (TypeError, AssertionError, ValueError):  # it does not render
            return gymnasium.make(name, disable_env_checker=True)
    except (gymnasium.error.Error, ImportError) as error:
        raise ProtocolError(f"the environment {name!r} cannot be made: {_line(error)}") from error


@contextmanager
def _current_directory() -> Iterator[None]:
    """Lets a module be imported from where the user stands, as ``python -m`` does."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _is_image(space: spaces.Box) -> bool:
    if len(space.shape) not in (2, 3, 4) or np.dtype(space.dtype).kind not in "uif":
        return False
    _, height, width, _ = canonical(np.empty(space.shape, np.uint8)).shape
    return bool(min(height, width) >= SMALLEST_SIDE)


def _lives(info: dict[str, Any]) -> int:
    lives = info.get("lives", 0)
    return int(lives) if isinstance(lives, (int, np.integer)) else 0


def _actions(env: gymnasium.Env) -> tuple[tuple[str, ...], ContinuousActions | None, int]:
    """Names of the actions, their bounds where continuous, and the first index where not."""
    space = env.action_space
    if isinstance(space, spaces.Discrete):
        count = int(space.n)
        named = getattr(env.unwrapped, "get_action_meanings", None)
        names = tuple(str(name) for name in named()) if callable(named) else ()
        enumeration = getattr(env.unwrapped, "actions", None)
        if isinstance(enumeration, EnumType) and len(enumeration) == count:
            names = tuple(enumeration.__members__)
        return names if len(names) == count else tuple(map(str, range(count))), None, int(space.start)
    if isinstance(space, spaces.Box) and len(space.shape) == 1:
        low, high = (tuple(float(v) for v in bound) for bound in (space.low, space.high))
        return tuple(map(str, range(len(low)))), ContinuousActions(low, high), 0
    raise ProtocolError(f"actions of {space} cannot be played; Discrete or a flat Box are expected")
