"""How the screen becomes an observation: data, not code. Two agents differ in the values below."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

Colour = Literal["grey", "rgb", "mean"]
Layout = Literal["channels", "time", "channels_last"]


@dataclass(frozen=True)
class Protocol:
    """The observation protocol of an agent, and how its game is run.

    The stages of a picture, in order: the last two screens of a skip are pooled; crop; colour; resize; stretch;
    bytes; stack; scale. ``colour_first`` swaps colour and resize.

    Attributes:
        name: What people call it (``modern``, ``classic``, ``paper``, ``sb3`` …).
        game: ale-py's name of the game (``breakout``); None where another environment is given.
        env: A Gymnasium id or ``MODULE:FACTORY``, where the game is not ale-py's.
        frame_skip: Frames an action lasts, or the inclusive range from which it is drawn.
        sticky: Chance that a frame repeats the previous action.
        full_action_space: All 18 actions rather than the game's own.
        noops: An episode starts with 1 to this many idle frames.
        fire_reset: An episode starts with FIRE (and the second action), as SB3 and CleanRL do.
        life_ends_episode: A lost life ends an episode (terminated), without a reset of the game.
        max_frames: Frames after which an episode is truncated; 0 for no limit.
        mode, difficulty: The console's switches; None for the game's defaults.
        max_pool: Maximum over the last two frames of a skip: of ``screens``, of ``pictures`` (grey and resized
            ones), or ``none``.
        crop: Rows and columns of the screen that are seen: (top, left, height, width); None for all of it.
        colour: ``grey`` (luminance), ``rgb``, or ``mean`` over the colours.
        colour_first: Colour before resize (else the coloured screen is resized and then made grey).
        size: (height, width) of the picture; None leaves the screen's size.
        resize: Interpolation.
        stretch: Each picture is stretched so that its values cover 0 to 255.
        stack: Pictures in an observation, newest last.
        pad: What fills the stack when an episode begins: ``repeat`` the first picture, or ``zero``.
        layout: ``channels`` (stack x colours, H, W), ``time`` (stack, colours, H, W) or ``channels_last``.
        scale: Bytes are divided by this for the network.
        offset: Subtracted before the division.
    """

    name: str = "modern"
    game: str | None = None
    env: str | None = None
    frame_skip: int | tuple[int, int] = 4
    sticky: float = 0.25
    full_action_space: bool = False
    noops: int = 0
    fire_reset: bool = False
    life_ends_episode: bool = False
    max_frames: int = 108_000
    mode: int | None = None
    difficulty: int | None = None
    max_pool: Literal["screens", "pictures", "none"] = "screens"
    crop: tuple[int, int, int, int] | None = None
    colour: Colour = "grey"
    colour_first: bool = True
    size: tuple[int, int] | None = (84, 84)
    resize: Literal["area", "bilinear", "nearest"] = "area"
    stretch: bool = False
    stack: int = 4
    pad: Literal["repeat", "zero"] = "repeat"
    layout: Layout = "channels"
    scale: float = 255.0
    offset: float = 0.0

    @property
    def colours(self) -> int:
        """Channels of one picture."""
        return 3 if self.colour == "rgb" else 1

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of one observation as recorded and as the network takes it."""
        height, width = self.size or (self.crop[2:] if self.crop else (210, 160))
        if self.layout == "time":
            return (self.stack, self.colours, height, width)
        if self.layout == "channels_last":
            return (height, width, self.stack * self.colours)
        return (self.stack * self.colours, height, width)

    def scaled(self, observations: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Recorded observations as the network takes them."""
        floats = observations.to(dtype)
        return floats if (self.scale, self.offset) == (1.0, 0.0) else (floats - self.offset) / self.scale

    def on(self, game: str) -> Protocol:
        """The same protocol for another game."""
        return replace(self, game=game)

    def placement(self, height: int, width: int) -> tuple[int, int, int, int]:
        """The part of a (height, width) screen that an observation covers: (top, left, height, width)."""
        return self.crop or (0, 0, height, width)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}
