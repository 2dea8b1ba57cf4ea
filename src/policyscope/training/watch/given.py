"""What a loop gives, tensors, arrays and plain numbers, as arrays with a row for each game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from policyscope.errors import PolicyscopeError
from policyscope.storage import Array


def numpy_of(values: Any) -> Array:
    """An array; of numbers in 16 bits that numpy does not know, in 32."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        found: Array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        return found
    return values if isinstance(values, np.ndarray) else np.asarray(values)


def rows_of(values: Any, kind: type = float) -> Array:
    """(N,) of a kind."""
    return numpy_of(values).astype(kind, copy=False).reshape(-1)


def each_of(name: str, values: Any, games: int) -> Array:
    """(N,) bool, one for each game.

    Raises:
        PolicyscopeError: They are not as many.
    """
    found = rows_of(values, bool)
    if len(found) != games:
        raise PolicyscopeError(f"{name} is of {len(found)} games, but rewards of {games}; give one for each game")
    return found


def choices_of(actions: Any, games: int) -> Array | None:
    """(N,) integers, or None where actions are no single choice."""
    values = numpy_of(actions)
    fits = values.size == games and values.dtype.kind in "iu"
    return values.reshape(-1) if fits else None


def pictures_of(observations: Any, games: int) -> Array | None:
    """(N, …, H, W), or None where observations are no pictures."""
    if isinstance(observations, Mapping):
        return None
    values = numpy_of(observations)
    return values if len(values) == games and values.ndim > 2 else None


def outputs_of(name: str, values: Any, games: int) -> Array:
    """(N, A); of ``value`` (N,).

    Raises:
        PolicyscopeError: There is no row for each game.
    """
    found = numpy_of(values)
    if found.size % games or (found.ndim > 1 and len(found) != games):
        raise PolicyscopeError(
            f"{name} has the shape {found.shape}, but there are {games} games; give ({games}, "
            + ("1)" if name == "value" else "actions)")
        )
    found = found.reshape(games, -1)
    return found[:, 0] if name == "value" else found
