"""What a loop gives, tensors, arrays and plain numbers, as arrays with a row for each game."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

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


def outputs_of(values: Any, games: int, single: bool = False) -> Array:
    """(N, A), or (N,) of a ``single`` column."""
    found = numpy_of(values).reshape(games, -1)
    return found[:, 0] if single else found
