"""How alive a network is in each state: units that are active, and how large the gradients are that pass them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from policyscope.errors import TargetError
from policyscope.saliency.rectifiers import Point
from policyscope.saliency.trace import Trace
from policyscope.saliency.watch import Call
from policyscope.storage import Array


@dataclass(frozen=True)
class Health:
    """What became of activations and gradients on their way, over the states of an episode.

    Attributes:
        layers: The convolutions, in the order they run.
        alive: (N, layers) float32: share of the layer's channels that are positive anywhere in the newest frame.
        flow: (N, layers + 1) float32: mean absolute gradient of the target at each layer's activation and, last, at
            the input; None where no method took the standard gradient. NaN where it cannot be told.
    """

    layers: tuple[str, ...]
    alive: Array
    flow: Array | None


def alive(trace: Trace, layers: Sequence[str]) -> Tensor:
    """The share of each layer's channels with a positive activation anywhere in the newest frame: (B, layers).

    A layer that runs twice on a frame has its channels twice.
    """

    def share(calls: list[Call]) -> Tensor:
        rows = trace.by_state([call.activation.value.flatten(2).amax(dim=2) for call in calls])
        return (trace.per_lag(rows)[:, -1] > 0).flatten(1).float().mean(dim=1)

    return torch.stack([_told(trace, layer, share) for layer in layers], dim=1)


def flow(trace: Trace, target: Tensor, layers: Sequence[str]) -> Tensor:
    """The mean absolute gradient at each layer's activation and, last, at the input: (B, layers + 1).

    The mean is over all that a state has of a layer: channels, places and frames. Zero where the target does not
    depend on the layer.
    """
    gradients = trace.gradients(target, "standard")

    def mean(calls: list[Call]) -> Tensor:
        found = [(gradients.at(call.activation), call.activation.value) for call in calls]
        rows = [value.new_zeros(len(value)) if g is None else magnitude(g) for g, value in found]
        return trace.by_state(rows).mean(dim=1)

    return torch.stack([*(_told(trace, layer, mean) for layer in layers), magnitude(gradients.input)], dim=1)


def points(trace: Trace, layers: Sequence[str]) -> list[Point]:
    """Where gradients must be asked for, so that ``flow`` finds them."""
    return [call.activation for layer in layers for call in _calls(trace, layer)]


def magnitude(values: Tensor) -> Tensor:
    """The mean absolute value of each row, (B, …) -> (B,) float32."""
    # Not vector_norm, which is five times slower on a processor.
    return torch.cat([part.float().abs().mean(dim=tuple(range(1, part.ndim))) for part in values.split(8)])


def _calls(trace: Trace, layer: str) -> list[Call]:
    return [call for call in trace.calls if call.kind == "conv" and call.name == layer]


def _told(trace: Trace, layer: str, measure: Callable[[list[Call]], Tensor]) -> Tensor:
    """A layer's measure (B,) float32; NaN where it did not run, or has rows that are of no state in particular."""
    calls = _calls(trace, layer)
    try:
        if calls and all(call.spatial for call in calls):
            return measure(calls).float()
    except TargetError:
        pass
    return torch.full((trace.states,), torch.nan, device=trace.leaf.device)
