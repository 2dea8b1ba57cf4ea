"""Running a network on many rows that differ from a few states in some channels only.

A convolution is linear, so the first one is worked out once for each state, and for each row on the channels that
differ. The network is given a stand-in of the rows' shape, of which nothing is read but its shape; where it does
anything else with its input than to convolve it, the rows are made after all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from policyscope.saliency.convolution import CONVOLUTIONS, ChannelsLast, named_arguments

# What may be asked of the stand-in: nothing that depends on its values.
_HARMLESS = {
    *(Tensor.shape.__get__, Tensor.ndim.__get__, Tensor.dtype.__get__, Tensor.device.__get__),  # type: ignore[attr-defined]
    *(Tensor.size, Tensor.dim, Tensor.__len__, Tensor.is_floating_point, Tensor.requires_grad.__get__),  # type: ignore[attr-defined]
}


class _Read(BaseException):
    """The stand-in's values were asked for. No network's own ``except Exception`` may catch this."""


class _Differing(TorchFunctionMode):
    def __init__(self, stand_in: Tensor, states: Tensor, difference: Tensor, channels: slice) -> None:
        super().__init__()
        self._stand_in, self._states, self._difference, self._channels = stand_in, states, difference, channels

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not self._holds_stand_in((args, kwargs)):
            return func(*args, **kwargs)  # what is left of the network gains nothing from another layout
        if func in _HARMLESS:
            return func(*args, **kwargs)
        given = named_arguments(args, kwargs) if func in CONVOLUTIONS else {}
        if given.pop("input", None) is not self._stand_in or given.get("groups", 1) != 1:
            raise _Read
        weight = given.pop("weight")
        whole = func(self._states, weight, **given)
        rows = func(self._difference.flatten(0, 1), weight[:, self._channels], **{**given, "bias": None})
        rows.unflatten(0, self._difference.shape[:2]).add_(whole.unsqueeze(1))
        return rows

    def _holds_stand_in(self, value: Any) -> bool:
        if isinstance(value, (tuple, list)):
            return any(map(self._holds_stand_in, value))
        if isinstance(value, dict):
            return any(map(self._holds_stand_in, value.values()))
        return value is self._stand_in


def run_differing(
    run: Callable[[Tensor], Tensor], states: Tensor, difference: Tensor, channels: slice
) -> tuple[Tensor, bool]:
    """Runs a network on rows made of states.

    Args:
        run: Takes (B * n, C, H, W).
        states: (B, C, H, W).
        difference: (B, n, c, H, W): what each row has more than its state in ``channels``.
        channels: The c channels that differ.

    Returns:
        What the network returned, and whether the rows did not have to be made.
    """
    rows = difference.shape[0] * difference.shape[1]
    # Not a number, so that what reads it unseen, as compiled extensions could, shows in the answer.
    stand_in = states.new_full((1, *states.shape[1:]), math.nan).expand(rows, *states.shape[1:])
    try:
        with _Differing(stand_in, states, difference, channels):
            answer = run(stand_in)
        if not torch.isnan(answer).any():
            return answer, True
    except _Read:
        pass
    return run_copies(run, states, difference, (channels,)), False


def run_copies(run: Callable[[Tensor], Tensor], states: Tensor, difference: Tensor, frame: tuple[Any, ...]) -> Tensor:
    """The same with the rows made, for any network and any place of the difference in a state (``frame``)."""
    count = difference.shape[1]
    if states.ndim == 4:  # laid out for the convolution at once
        innermost = states.movedim(1, -1).contiguous()
        rows = (
            innermost.new_empty(len(states), count, *innermost.shape[1:]).copy_(innermost.unsqueeze(1)).movedim(-1, 2)
        )
    else:
        rows = states.unsqueeze(1).expand(-1, count, *states.shape[1:]).clone()
    rows[(slice(None), slice(None), *frame)] += difference
    with ChannelsLast():
        return run(rows.flatten(0, 1))
