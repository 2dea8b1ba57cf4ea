"""Any Gymnasium environment whose observation is an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

from policyscope.agents.environments import actions_of, name_of
from policyscope.agents.observations import canonical, image_space
from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import Outcome
from policyscope.episodes.picture import arranged, first_stack, picture, pushed
from policyscope.errors import ProtocolError
from policyscope.storage import Array


class ImageEnvironment:
    """A Gymnasium environment behind the face of :class:`~policyscope.episodes.atari.AtariGame`.

    The environment runs as it is: of the protocol, only what becomes of its pictures counts. Screens are what it
    renders, or else its own observation.
    """

    def __init__(self, env: gymnasium.Env, protocol: Protocol) -> None:
        self._env = env
        self._key, self._space = image_space(env.observation_space, name_of(env))
        self._ale: Any = getattr(env.unwrapped, "ale", None)
        self.protocol = self._resolved(protocol)
        actions = actions_of(env)
        self.actions, self.continuous, self._first_action = actions.names, actions.bounds, actions.first
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


def _lives(info: dict[str, Any]) -> int:
    lives = info.get("lives", 0)
    return int(lives) if isinstance(lives, (int, np.integer)) else 0
