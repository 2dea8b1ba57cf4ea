"""Targets: the scalar per state that is explained, a stream and a selection in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from policyscope.errors import TargetError

Selection = int | str | Tensor | Callable[[Any], Tensor]
"""An index, an index per state (B,), ``greedy``, ``sum``, ``contrast`` (the greedy action), ``contrast:INDEX``, one
entry against another (``2-3``), or a function from the network's output to (B,)."""

PROBABILITY = "probability"
_PAIR = re.compile(r"(\d+)-(\d+)")


def stream_of(outputs: Any, stream: str | int | None) -> Tensor:
    """Picks a stream out of what a network returns.

    Args:
        outputs: A tensor, or a tuple, list or mapping of them.
        stream: Index or key; None takes the only tensor, or the first.

    Raises:
        TargetError: If there is no such stream (the line lists what there is).
    """
    if isinstance(outputs, Tensor):
        if stream in (None, 0):
            return outputs
        raise TargetError(f"no stream {stream!r}: the network returns a single tensor")
    if isinstance(outputs, Mapping):
        keys: list[Any] = list(outputs)
        key = keys[0] if stream is None else stream
        if key == PROBABILITY and key not in outputs and "policy" in outputs:
            return torch.as_tensor(outputs["policy"]).softmax(dim=-1)
        if key not in outputs:
            raise TargetError(f"no stream {stream!r}; the network has: {', '.join(map(str, keys))}")
        value = outputs[key]
    elif isinstance(outputs, Sequence):
        names = getattr(outputs, "_fields", None)
        index = 0 if stream is None else names.index(stream) if names and stream in names else stream
        if not isinstance(index, int) or not -len(outputs) <= index < len(outputs):
            known = ", ".join(names) if names else f"0 to {len(outputs) - 1}"
            raise TargetError(f"no stream {stream!r}; the network has: {known}")
        value = outputs[index]
    else:
        raise TargetError(
            f"the network returns {type(outputs).__name__}; pass forward=, a function that returns tensors"
        )
    if not isinstance(value, Tensor):
        raise TargetError(f"stream {stream!r} is {type(value).__name__}, not a tensor; pass forward= to unpack it")
    return value


def select(values: Tensor, selection: Selection, states: int, name: str = "output") -> Tensor:
    """One scalar per state.

    Args:
        values: A stream: (B,), (B, k), or (B, …, k), whose inner axes (a stream's steps) are summed; of a layer's
            output (B, k, h, w) an entry is a channel, summed over space.
        selection: What is explained in it.
        states: B.
        name: The stream's name, for errors.

    Returns:
        (B,). ``contrast`` is the chosen entry minus the mean of the others, ``2-3`` entry 2 minus entry 3.

    Raises:
        TargetError: If the stream lacks the selection, or its choice would explain a constant.
    """
    wide = entries(values, states, name)
    count = wide.shape[1]
    if isinstance(selection, str):
        word, _, index = selection.partition(":")
        if word == "sum":
            if name == PROBABILITY:
                raise TargetError(
                    "the sum of probabilities is constant: its gradient is rounding noise; explain one action"
                )
            return wide.sum(dim=1)
        if count == 1 and word in ("greedy", "taken"):
            return wide[:, 0]
        if word == "greedy":
            return wide.max(dim=1).values
        two = pair(word)
        if (word == "contrast" or two) and count < 2:
            raise TargetError(f"stream {name!r} has one entry: there is nothing to contrast it with")
        if two:
            first, second = (wide.gather(1, _indices(i, states, count, name, wide)[:, None])[:, 0] for i in two)
            return first - second
        if word == "contrast":
            chosen = _indices(int(index), states, count, name, wide) if index else wide.detach().argmax(dim=1)
            return contrast(wide, chosen)
        if word.lstrip("-").isdigit():
            selection = int(word)
        else:
            known = f"greedy, sum, contrast[:INDEX], 0 to {count - 1}, or two against each other (0-1)"
            raise TargetError(f"no selection {selection!r}; there are: {known}")
    if callable(selection) and not isinstance(selection, Tensor):
        raise TargetError("a function as target takes the network's whole output; it cannot be combined with a stream")
    if count == 1 and isinstance(selection, Tensor):
        return wide[:, 0]
    return wide.gather(1, _indices(selection, states, count, name, wide)[:, None]).squeeze(1)


def entries(values: Tensor, states: int, name: str = "output") -> Tensor:
    """A stream as (B, k): what can be selected in each state.

    Raises:
        TargetError: If its rows are not the states.
    """
    rows = values.reshape(1, -1) if states == 1 and values.ndim < 2 else values
    if rows.ndim == 0 or len(rows) != states:
        raise TargetError(f"stream {name!r} has shape {tuple(values.shape)}, which is not one row per state ({states})")
    if rows.ndim == 4:
        return rows.sum(dim=(2, 3))
    return rows.reshape(states, -1, rows.shape[-1]).sum(dim=1) if rows.ndim > 1 else rows.reshape(states, 1)


def contrast(values: Tensor, chosen: Tensor) -> Tensor:
    """The chosen entry of each row minus the mean of the others: (B, k), (B,) -> (B,)."""
    own = values.gather(1, chosen[:, None]).squeeze(1)
    return own - (values.sum(dim=1) - own) / (values.shape[1] - 1)


def pair(selection: str) -> tuple[int, int] | None:
    """The two entries that ``2-3`` sets against each other; None where a selection is none of that kind.

    Raises:
        TargetError: If they are the same.
    """
    found = _PAIR.fullmatch(selection)
    if found is None:
        return None
    first, second = int(found[1]), int(found[2])
    if first == second:
        raise TargetError(f"action {first} against itself is nothing: {selection!r} needs two actions")
    return first, second


def chosen(selection: int | str | Tensor | None, values: Tensor) -> Tensor:
    """The entry (B,) of values (B, k) that a selection names (the first of two), for who must have one; else the
    greedy one.
    """
    if isinstance(selection, str):
        index = selection.rpartition(":")[2].partition("-")[0]
        selection = int(index) if index.isdigit() else None
    if selection is None:
        return values.argmax(dim=1)
    return _indices(selection, len(values), values.shape[1], "output", values)


def _indices(selection: int | Tensor, states: int, count: int, name: str, like: Tensor) -> Tensor:
    indices = torch.as_tensor(selection, device=like.device).long().reshape(-1)
    if indices.numel() == 1:
        indices = indices.expand(states)
    if len(indices) != states:
        raise TargetError(f"{len(indices)} targets for {states} states")
    if bool((indices < 0).any()) or bool((indices >= count).any()):
        bad = int(indices[(indices < 0) | (indices >= count)][0])
        raise TargetError(f"no action {bad} in stream {name!r}: it has {count}, 0 to {count - 1}")
    return indices


def resolve(outputs: Any, stream: str | int | None, selection: Selection | None, states: int) -> Tensor:
    """The target (B,) of a network's output; see ``stream_of`` and ``select``."""
    if callable(selection) and not isinstance(selection, (Tensor, str)):
        target = selection(outputs if stream is None else stream_of(outputs, stream))
        if not isinstance(target, Tensor) or target.numel() != states:
            raise TargetError(f"the target function must return one scalar per state ({states})")
        return target.reshape(states)
    values = stream_of(outputs, stream)
    if selection is None:
        if values.numel() != states:
            raise TargetError(f"the output has shape {tuple(values.shape)}: say which entry is explained with target=")
        selection = "greedy"
    return select(values, selection, states, str(stream) if stream is not None else "output")
