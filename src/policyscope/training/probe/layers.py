"""What the layers of a watched pass do: which of their units never fire, and how far gradients come back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import Node

from policyscope.saliency.rectifiers import Point
from policyscope.saliency.trace import Trace
from policyscope.saliency.watch import Call
from policyscope.training.probe import measures

Scalars = dict[str, Tensor]


def layers_of(trace: Trace) -> dict[str, list[Call]]:
    """The calls of each convolution and linear layer, by name, in the order they ran."""
    found: dict[str, list[Call]] = {}
    for call in trace.calls:
        if call.kind != "norm":
            found.setdefault(call.name, []).append(call)
    return found


def activity(trace: Trace, outputs: Iterable[Tensor]) -> Scalars:
    """``dead_units`` and ``active`` of each layer that a rectifier follows, and the ``rank`` of linear ones.

    Args:
        trace: The watched pass.
        outputs: What it led to.
    """
    rectified = _after_linear(trace, outputs)
    scalars: Scalars = {}
    for name, calls in layers_of(trace).items():
        linear = calls[0].kind == "linear"
        values = [v for call in calls for v in (rectified.get(call, []) if linear else _after_convolution(call))]
        if not values:
            continue
        # units last, rows of all calls below each other
        rows = torch.cat([(v if linear else v.movedim(1, -1)).flatten(0, -2) for v in values])
        scalars[f"layers/{name}/dead_units"] = (rows.abs().amax(dim=0) == 0).float().mean()
        scalars[f"layers/{name}/active"] = (rows > 0).float().mean()
        if linear:
            scalars[f"layers/{name}/rank"] = measures.rank_of(rows)
    return scalars


def output_points(trace: Trace) -> list[Point]:
    """Where the gradients of ``gradient_norms`` are asked for."""
    return [call.output for calls in layers_of(trace).values() for call in calls]


def gradient_norms(trace: Trace, stream: str, gradients: list[Tensor | None]) -> Scalars:
    """The norm of a stream's gradient at each layer's raw output; 0 where none arrives.

    Args:
        trace: The watched pass.
        stream: The stream's name.
        gradients: One for each of ``output_points``.
    """
    left = iter(gradients)
    scalars: Scalars = {}
    for name, calls in layers_of(trace).items():
        arrived = [g for _, g in zip(calls, left, strict=False) if g is not None]
        size = measures.norm(arrived, trace.states) if arrived else trace.leaf.new_zeros(())
        scalars[f"layers/{name}/gradient_norm/{stream}"] = size
    return scalars


def _after_convolution(call: Call) -> list[Tensor]:
    return [call.activation.value] if len(call.rectified) == 1 else []


def _after_linear(trace: Trace, outputs: Iterable[Tensor]) -> dict[Call, list[Tensor]]:
    """What rectifiers make of what linear layers made, with or without a normalisation between the two.

    A trace follows convolutions alone to their rectifiers; here the rectifiers in the graph are followed back.
    """
    makers = {call.output.edge.node: call for call in trace.calls}
    found: dict[Call, list[Tensor]] = {}
    seen: set[Node] = set()
    waiting: list[Node] = [o.grad_fn for o in outputs if o.grad_fn is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        following = [n for n, _ in node.next_functions if n is not None]
        waiting += following
        kept = getattr(node, "kept", None)
        if kept is None or not following:
            continue
        maker = makers.get(following[0])
        if maker is not None and maker.kind == "norm" and maker.fed is not None:
            maker = makers.get(maker.fed.edge.node)
        if maker is not None and maker.kind == "linear":
            rectifier: Any = node
            # all but ReLU keep their input
            value = kept.value if rectifier.kind == "relu" else rectifier.function(kept.value.clone())
            found.setdefault(maker, []).append(value.detach())
    return found
