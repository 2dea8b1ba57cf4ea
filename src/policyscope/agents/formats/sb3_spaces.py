"""What the plain texts in a Stable-Baselines3 zip tell about observation and action spaces."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from math import prod
from typing import Any

from policyscope.errors import CheckpointError

_ENTRY = re.compile(
    r"'(?P<key>\w+)'(?::|,)\s*(?P<kind>Box|Discrete|MultiDiscrete|MultiBinary)"
    r"\((?P<inside>(?:[^()]|\([^()]*\))*)\)"
)


SMALLEST = 36
"""Pixels that an image needs for the three convolutions."""


@dataclass(frozen=True)
class Image:
    """The one image of an observation space.

    Attributes:
        shape: Channels, height, width.
        bytes: Whether its values are bytes.
        key: Its name in a dictionary of observations.
        before: Flattened size of the entries before it in the dictionary.
        after: The same after it.
        others: Names of those entries.
    """

    shape: tuple[int, int, int]
    bytes: bool
    key: str | None = None
    before: int = 0
    after: int = 0
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Actions:
    """Number of discrete actions, or bounds of continuous ones."""

    count: int
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


def plain(entry: Any) -> dict[str, Any]:
    """The readable part of an entry of ``data``; Python literals in it are read as such."""
    if not isinstance(entry, dict):
        return {}
    return {str(k): _literal(v) for k, v in entry.items() if k not in (":serialized:", ":type:")}


def image_of(space: Any, name: str) -> Image:
    """The image in an observation space.

    Args:
        space: The entry ``observation_space`` of ``data``.
        name: What to call the file in an error.
    """
    kind, values = _kind(space), plain(space)
    if kind == "Dict":
        return _image_among(str(values.get("spaces", "")), name)
    shape = values.get("_shape", values.get("shape"))
    if kind != "Box" or not _is_image(shape):
        raise CheckpointError(
            f"{name} does not act from an image: its observation space is {kind or 'not told'} "
            f"{tuple(shape) if isinstance(shape, (list, tuple)) else ''}"
        )
    return Image(_channels_first(shape), "uint8" in str(values.get("dtype")))


def actions_of(space: Any, name: str) -> Actions:
    """The actions of an action space.

    Args:
        space: The entry ``action_space`` of ``data``.
        name: What to call the file in an error.
    """
    kind, values = _kind(space), plain(space)
    try:
        if kind == "Discrete" and int(values["n"]) > 0:
            return Actions(int(values["n"]))
        if kind == "Box":
            low, high = _numbers(values["low"]), _numbers(values["high"])
            if low and len(low) == len(high) == prod(values["_shape"]):
                return Actions(len(low), low, high)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(
            f"{name} does not tell its action space ({error}); was it saved by a very old version?"
        ) from error
    raise CheckpointError(
        f"{name} has actions of kind {kind or 'not told'}; Discrete and flat Box ones can be explained"
    )


def _image_among(text: str, name: str) -> Image:
    sizes: dict[str, int] = {}
    images: dict[str, Image] = {}
    for found in _ENTRY.finditer(text):
        key, kind, inside = found["key"], found["kind"], found["inside"]
        box = re.search(r"\(([\d, ]*)\),\s*(\w+)$", inside)
        shape = tuple(int(number) for number in re.findall(r"\d+", box[1])) if box else ()
        if box and _is_image(shape):
            images[key] = Image(_channels_first(shape), box[2] == "uint8", key)
            sizes[key] = 0
        elif kind == "Box":
            sizes[key] = prod(shape)
        else:
            numbers = [int(number) for number in re.findall(r"\d+", inside)]
            sizes[key] = {"Discrete": numbers[0], "MultiBinary": prod(numbers), "MultiDiscrete": sum(numbers)}[kind]
    if len(images) != 1:
        raise CheckpointError(
            f"{name} observes a dictionary with {len(images)} images ({', '.join(sizes)}); one is needed"
        )
    ((key, image),) = images.items()
    keys = list(sizes)
    before = sum(sizes[other] for other in keys[: keys.index(key)])
    after = sum(sizes[other] for other in keys[keys.index(key) :])
    return Image(image.shape, image.bytes, key, before, after, tuple(other for other in keys if other != key))


def _kind(space: Any) -> str:
    found = re.search(r"(\w+)'>$", str(space.get(":type:", ""))) if isinstance(space, dict) else None
    return found[1] if found else ""


def _literal(value: Any) -> Any:
    if not isinstance(value, str) or len(value) > 10_000:
        return value
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _is_image(shape: Any) -> bool:
    if not isinstance(shape, (list, tuple)) or len(shape) != 3 or not all(isinstance(side, int) for side in shape):
        return False
    return bool(min(shape) > 0 and sorted(shape)[1] >= SMALLEST)


def _channels_first(shape: Any) -> tuple[int, int, int]:
    first, second, third = (int(side) for side in shape)
    return (third, first, second) if third < first else (first, second, third)


def _numbers(value: Any) -> tuple[float, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(float(number) for number in value)
    return tuple(float(number) for number in re.findall(r"[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf)", str(value)))
