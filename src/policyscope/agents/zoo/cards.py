"""What is known about an agent of the zoo: who it is, how it was trained, how it plays, and which file it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from math import isclose
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

from policyscope.agents.zoo.consoles import PROTOCOLS
from policyscope.errors import CheckpointError

TYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Measured:
    """How an agent plays under one protocol.

    Attributes:
        protocol: Its values in words.
        policy: ``greedy``, ``sample`` or ``epsilon=0.01``.
        seed: Of the first game; the others have those that follow.
        limit: Actions after which a game was cut off.
        returns: One a game, unclipped.
        mean: Of them.
        interval: The 95 % bootstrap interval of the mean.
    """

    protocol: str
    policy: str
    seed: int
    limit: int
    returns: tuple[float, ...]
    mean: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Weights:
    """The file of an agent.

    Attributes:
        dtype: What its matrices are stored as; they are computed with as float32, which all else is stored as.
        size: Of the file, in bytes.
        sha256: Of the file, in hexadecimal digits.
        map_correlation: Method -> the least rank correlation, over some states, of the maps of the stored weights with
            those of the trained ones.
    """

    dtype: str
    size: int
    sha256: str
    map_correlation: dict[str, float]


@dataclass(frozen=True)
class Card:
    """What is known about an agent of the zoo.

    Attributes:
        name: As in ``zoo:NAME``.
        game: ale-py's name of the game.
        architecture: The network's name in ``NETWORKS``.
        options: What it was built with.
        summary: One line.
        how: How it was trained, in plain words: asynchronous, batched, distilled from what.
        recipe: The recipe's name.
        values: The recipe's values.
        command: The command line that trained it.
        steps: Actions it learned from.
        frames: Of the game, that these lasted.
        seeds: Of the training runs it comes from.
        hardware: What it was trained on.
        seconds: How long that took; None where nobody measured it.
        weights: Its file.
        curve: The name of its learning curve, beside the card.
        returns: Name in ``PROTOCOLS`` -> how it plays.
    """

    name: str
    game: str
    architecture: str
    options: dict[str, Any]
    summary: str
    how: str
    recipe: str
    values: dict[str, Any]
    command: str
    steps: int
    frames: int
    seeds: tuple[int, ...]
    hardware: str
    seconds: float | None
    weights: Weights
    curve: str
    returns: dict[str, Measured]

    def __post_init__(self) -> None:
        rules = [
            (bool(re.fullmatch(r"[a-z0-9][a-z0-9-]*", self.name)), "name", "small letters, digits and hyphens"),
            (self.weights.dtype in TYPES, "weights.dtype", f"one of {', '.join(TYPES)}"),
            (self.weights.size > 0, "weights.size", "the file's bytes"),
            (bool(re.fullmatch("[0-9a-f]{64}", self.weights.sha256)), "weights.sha256", "64 hexadecimal digits"),
            (self.steps >= 0, "steps", "0 or more"),
            ("own" in self.returns, "returns", "those under 'own' at least"),
            (set(self.returns) <= set(PROTOCOLS), "returns", f"under {', '.join(PROTOCOLS)} alone"),
        ]
        for protocol, measured in self.returns.items():
            where, mean = f"returns.{protocol}", sum(measured.returns) / max(1, len(measured.returns))
            rules += [
                (len(measured.returns) > 0, f"{where}.returns", "one return at least"),
                (
                    isclose(measured.mean, mean, rel_tol=1e-6, abs_tol=1e-6),
                    f"{where}.mean",
                    f"that of its returns, {mean}",
                ),
                (measured.interval[0] <= measured.interval[1], f"{where}.interval", "from low to high"),
            ]
        for fits, field, right in rules:
            if not fits:
                raise CheckpointError(f"the card of zoo:{self.name} is wrong: {field} must be {right}")

    @property
    def own(self) -> Measured:
        """How it plays under the protocol it was trained for."""
        return self.returns["own"]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any, file: str) -> Card:
        """A card from plain values, as :meth:`to_dict` makes them.

        Args:
            values: What a JSON file holds.
            file: What to call it in an error.

        Raises:
            CheckpointError: A field is missing, unknown or of the wrong kind, or fields contradict each other.
        """
        card: Card = _typed(values, cls, "", file)
        return card


def _typed(value: Any, kind: Any, where: str, file: str) -> Any:
    """A plain value as a type, or an error that names the field."""
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__"):
        return _record(value, kind, where, file)
    if origin is dict and isinstance(value, Mapping):
        return {str(key): _typed(held, arguments[1], f"{where}.{key}", file) for key, held in value.items()}
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else list(arguments)
        if len(kinds) == len(value):
            return tuple(_typed(held, kinds[i], f"{where}[{i}]", file) for i, held in enumerate(value))
    if kind is Any or (NoneType in arguments and value is None):
        return value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and (kind is float or float in arguments):
        return float(value)
    if kind in (int, str) and isinstance(value, kind) and not isinstance(value, bool):
        return value
    wanted = getattr(kind, "__name__", str(kind)) if origin is None else str(kind)
    raise CheckpointError(f"the card {file} is wrong: {where} is {value!r}; it must be {wanted}")


def _record(value: Any, kind: Any, where: str, file: str) -> Any:
    """A JSON object as a dataclass, whose fields it has all and no others."""
    if not isinstance(value, Mapping):
        raise CheckpointError(
            f"the card {file} is wrong: {where or 'it'} is no JSON object of {kind.__name__}'s fields"
        )
    hints, names, inside = get_type_hints(kind), [field.name for field in fields(kind)], f"{where}." if where else ""
    for name in names:
        if name not in value:
            raise CheckpointError(f"the card {file} lacks {inside}{name}; training/publish.py writes whole cards")
    for key in value:
        if key not in names:
            close = get_close_matches(str(key), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(names)}"
            raise CheckpointError(f"the card {file} has a field {inside}{key} that no card has; {hint}")
    return kind(**{name: _typed(value[name], hints[name], f"{inside}{name}", file) for name in names})
