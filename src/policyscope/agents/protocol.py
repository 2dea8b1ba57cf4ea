"""How the screen becomes an observation: data, not code. Two agents differ in the values below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from policyscope.errors import ProtocolError

Colour = Literal["grey", "rgb", "mean", "rec709"]
Layout = Literal["channels", "time", "channels_last"]
Pool = Literal["screens", "greys", "pictures", "none"]
Resize = Literal["area", "bilinear", "nearest", "pillow"]


@dataclass(frozen=True)
class Protocol:
    """The observation protocol of an agent, and how its game is run.

    The stages of a picture, in order: crop; colour; stretch; resize; bytes; then stack; and scale, which the agent
    does. ``colour_first=False`` resizes before it takes the colour away, and ``max_pool`` says at which stage the
    last two screens of a skip become one.

    Attributes:
        name: What people call it (``modern``, ``classic``, ``paper``, ``sb3`` …).
        game: ale-py's name of the game (``breakout``); None where another environment is given.
        env: A Gymnasium id or ``MODULE:FACTORY``, where the game is not ale-py's.
        frame_skip: Frames an action lasts, or the inclusive range from which it is drawn.
        sticky: Chance that a frame repeats the previous action.
        full_action_space: All 18 actions rather than the game's own.
        noops: A game starts with 1 to this many idle frames, or a number of them from this inclusive range.
        fire_reset: A game starts with FIRE and then the third action, a skip each, as SB3 and CleanRL do.
        life_ends_episode: A lost life ends an episode (terminated), without a reset of the game.
        max_frames: Frames after which a game is truncated; 0 for no limit.
        mode, difficulty: The console's switches; None for the game's defaults.
        max_pool: Maximum over the last two frames of a skip: of coloured ``screens``, of ``greys`` (screens without
            colour, before they are resized), of finished ``pictures``, or ``none``, which keeps the last alone.
        crop: Rows and columns of the screen that are seen: (top, left, height, width); None for all of it.
        colour: ``grey`` (luminance, as OpenCV and the emulator have it), ``rgb``, ``mean`` over the colours, or
            ``rec709`` (the grey of Gymnasium's GrayscaleObservation since 1.0).
        colour_first: Colour before resize (else the coloured screen is resized and then made grey).
        size: (height, width) of the picture; None leaves the screen's size.
        resize: Interpolation: OpenCV's ``area``, ``bilinear``, ``nearest``, or ``pillow`` (Pillow's bilinear, which
            averages where it shrinks).
        stretch: Each picture is stretched so that its values cover 0 to 255, as scipy's old ``imresize`` did.
        stack: Pictures in an observation, newest last.
        pad: What fills the stack when an episode begins: ``repeat`` the first picture, or ``zero``.
        layout: ``channels`` (stack x colours, H, W), ``time`` (stack, colours, H, W) or ``channels_last``.
        ready: The environment's observation is taken as it is, apart from ``layout``; ``colour``, ``size`` and
            ``stack`` then only describe it.
        scale: Bytes are divided by this for the network.
        offset: Subtracted before the division.
    """

    name: str = "modern"
    game: str | None = None
    env: str | None = None
    frame_skip: int | tuple[int, int] = 4
    sticky: float = 0.25
    full_action_space: bool = False
    noops: int | tuple[int, int] = 0
    fire_reset: bool = False
    life_ends_episode: bool = False
    max_frames: int = 108_000
    mode: int | None = None
    difficulty: int | None = None
    max_pool: Pool = "pictures"
    crop: tuple[int, int, int, int] | None = None
    colour: Colour = "grey"
    colour_first: bool = True
    size: tuple[int, int] | None = (84, 84)
    resize: Resize = "area"
    stretch: bool = False
    stack: int = 4
    pad: Literal["repeat", "zero"] = "zero"
    layout: Layout = "channels"
    ready: bool = False
    scale: float = 255.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        low, high = skip_range(self.frame_skip)
        fewest, most = noop_range(self.noops)
        rules = (
            (1 <= low <= high, "frame_skip", "at least 1, a range from low to high"),
            (0 <= self.sticky <= 1, "sticky", "a chance between 0 and 1"),
            (0 <= fewest <= most, "noops", "0 or more, a range from low to high"),
            (self.max_frames >= 0, "max_frames", "0 for no limit, or more"),
            (self.stack >= 1, "stack", "at least 1"),
            (self.scale != 0, "scale", "anything but 0"),
            (self.size is None or min(self.size) >= 1, "size", "a positive height and width"),
            (
                self.crop is None or (min(self.crop[:2]) >= 0 and min(self.crop[2:]) >= 1),
                "crop",
                "(top, left, height, width) within the screen",
            ),
            (self.colour_first or self.max_pool != "greys", "max_pool", "'screens' or 'pictures' if resized in colour"),
            (not (self.stretch and self.colour == "rgb"), "stretch", "false where the colour is 'rgb'"),
        )
        for fits, name, right in rules:
            if not fits:
                raise ProtocolError(f"protocol {self.name!r}: {name} is {getattr(self, name)!r}; it must be {right}")

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

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Protocol:
        """A protocol from plain values, as :meth:`to_dict` writes them; what is left out keeps its default.

        Raises:
            ProtocolError: A key is unknown, or a value is of the wrong kind.
        """
        hints = get_type_hints(cls)
        known = [f.name for f in fields(cls)]
        arguments: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                close = get_close_matches(str(key), known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
                raise ProtocolError(f"a protocol has no field {key!r}; {hint}")
            value = tuple(value) if isinstance(value, list) else value
            if not _fits(value, hints[key]):
                wanted = str(hints[key] if get_origin(hints[key]) is Literal else cls.__annotations__[key])
                raise ProtocolError(f"protocol field {key!r} is {value!r}; it must be {wanted.replace('typing.', '')}")
            arguments[key] = value
        return cls(**arguments)


def skip_range(frame_skip: int | tuple[int, int]) -> tuple[int, int]:
    """Fewest and most frames an action lasts."""
    return frame_skip if isinstance(frame_skip, tuple) else (frame_skip, frame_skip)


def noop_range(noops: int | tuple[int, int]) -> tuple[int, int]:
    """Fewest and most idle frames a game starts with."""
    return noops if isinstance(noops, tuple) else (min(1, noops), noops)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a field's type."""
    kind, arguments = get_origin(hint), get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, option) for option in arguments)
    if kind is Literal:
        return value in arguments
    if kind is tuple:
        return isinstance(value, tuple) and len(value) == len(arguments) and all(map(_fits, value, arguments))
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)
