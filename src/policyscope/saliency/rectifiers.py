"""Rectifiers: which functions they are, and the two rules by which gradients go back through them.

``standard`` is the chain rule. ``guided`` (Springenberg et al., 2015) clips what arrives at a rectifier's output
before it: ``f'(x) * max(g, 0)``, for ReLU the gradient where input and gradient are both positive. For rectifiers
with a slope below zero (LeakyReLU, ELU, SiLU, GELU …) the same formula holds with their own derivative; with
``positive_inputs`` the paper's words are taken literally and nothing passes where the input was not positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.autograd.graph import GradientEdge

Rule = Literal["standard", "guided"]

_RELUS: tuple[Any, ...] = (F.relu, torch.relu, Tensor.relu)
_RELUS_IN_PLACE: tuple[Any, ...] = (torch.relu_, Tensor.relu_)
_SMOOTH: tuple[Any, ...] = (
    *(F.relu6, F.elu, F.selu, F.celu, F.leaky_relu, F.rrelu, F.silu, F.mish, F.hardswish, F.gelu, F.softplus),
    *(F.threshold, F.prelu, torch.prelu, Tensor.prelu, torch.selu, torch.celu, torch.rrelu, torch.threshold),
)
_SMOOTH_IN_PLACE: tuple[Any, ...] = (
    F.elu_,
    F.selu_,
    F.celu_,
    F.leaky_relu_,
    F.rrelu_,
    torch.selu_,
    torch.celu_,
    torch.threshold_,
)
_CLAMPS: tuple[Any, ...] = (torch.clamp, Tensor.clamp, torch.clip, Tensor.clip, torch.clamp_min, Tensor.clamp_min)
_MAXIMA: tuple[Any, ...] = (torch.maximum, Tensor.maximum, torch.max, Tensor.max)

_TABLE: dict[Any, tuple[str, bool]] = {
    **dict.fromkeys(_RELUS, ("relu", False)),
    **dict.fromkeys(_RELUS_IN_PLACE, ("relu", True)),
    **dict.fromkeys(_SMOOTH, ("smooth", False)),
    **dict.fromkeys(_SMOOTH_IN_PLACE, ("smooth", True)),
    **dict.fromkeys(_CLAMPS, ("clamp", False)),
    **dict.fromkeys(_MAXIMA, ("maximum", False)),
    F.hardtanh: ("hardtanh", False),  # what the module ReLU6 calls
    F.hardtanh_: ("hardtanh", True),
}


@dataclass
class Backward:
    """How a trace's rectifiers go back right now; each trace has its own, shared by its rectifiers' contexts."""

    rule: Rule = "standard"
    positive_inputs: bool = False


@dataclass(eq=False)
class Point:
    """A place in the graph whose gradient can be asked for, and the value that was there.

    The edge outlives in-place writes to the tensor; the value is copied before one (``Watch`` sees to it).
    """

    edge: GradientEdge
    value: Tensor | None


@dataclass
class _Kept:
    """What a rectifier remembers for its way back: its output (ReLU) or its input (the others)."""

    value: Tensor


@dataclass(frozen=True)
class RectifierCall:
    """A call that was recognised as a rectifier."""

    kind: Literal["relu", "smooth"]
    in_place: bool


def recognise(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RectifierCall | None:
    """Says whether a torch function, called so, is a rectifier of its first argument."""
    entry = _TABLE.get(function)
    if entry is None:
        return None
    kind, in_place = entry
    if kind == "clamp":
        low = kwargs.get("min", args[1] if len(args) > 1 else None)
        high = kwargs.get("max", args[2] if len(args) > 2 else None)
        return RectifierCall("relu", False) if _is_zero(low) and high is None else None
    if kind == "maximum":
        other = kwargs.get("other", args[1] if len(args) > 1 else None)
        return RectifierCall("relu", False) if isinstance(other, Tensor) and _is_zero(other) else None
    if kind == "hardtanh" and not _is_zero(kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)):
        return None
    in_place = in_place or bool(kwargs.get("inplace", False)) or (not in_place and _positional_inplace(function, args))
    return RectifierCall("relu" if kind == "relu" else "smooth", in_place)


# Where Python-level functionals take ``inplace`` by position.
_INPLACE_POSITION: dict[Any, int] = {
    F.relu: 1,
    F.relu6: 1,
    F.elu: 2,
    F.selu: 1,
    F.celu: 2,
    F.leaky_relu: 2,
    F.rrelu: 4,
    F.silu: 1,
    F.mish: 1,
    F.hardswish: 1,
    F.threshold: 3,
    F.hardtanh: 3,
}


def _positional_inplace(function: Any, args: tuple[Any, ...]) -> bool:
    position = _INPLACE_POSITION.get(function)
    return position is not None and len(args) > position and bool(args[position])


def _is_zero(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.requires_grad and float(value) == 0.0
    return value is not None and value == 0


class _Rectify(torch.autograd.Function):
    """A rectifier whose rule is chosen when the gradient goes back."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, call: RectifierCall, function: Callable[[Tensor], Tensor], back: Backward
    ) -> Tensor:
        ctx.call, ctx.function, ctx.back = call, function, back
        if call.kind == "relu":
            y = function(x)
            if call.in_place:
                ctx.mark_dirty(x)
                y = x
            ctx.kept = _Kept(y.detach())
        else:
            ctx.kept = _Kept(x.clone() if call.in_place else x.detach())
            y = function(x)
            if call.in_place:
                ctx.mark_dirty(x)
                y = x
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        guided = ctx.back.rule == "guided"
        if guided:
            gradient = gradient.clamp(min=0)
        kept = ctx.kept.value
        if ctx.call.kind == "relu":
            return torch.ops.aten.threshold_backward(gradient, kept, 0), None, None, None
        with torch.enable_grad():
            x = kept.detach().requires_grad_()
            # In place on a copy: a leaf cannot be overwritten.
            y = ctx.function(x.clone() if ctx.call.in_place else x)
            (gradient,) = torch.autograd.grad((y * gradient).sum(), x)
        if guided and ctx.back.positive_inputs:
            gradient = gradient * (kept > 0)
        return gradient, None, None, None


def rectify(
    call: RectifierCall, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], back: Backward
) -> tuple[Tensor, _Kept]:
    """Calls a rectifier so that ``back`` decides, later, how its gradient goes back.

    Returns:
        The output, and what the rectifier keeps: guarded against later in-place writes like an activation.
    """

    def apply(x: Tensor) -> Tensor:
        result: Tensor = function(x, *rest, **kwargs)
        return result

    rest = tuple(a.detach() if isinstance(a, Tensor) else a for a in args[1:])
    kwargs = {k: v.detach() if isinstance(v, Tensor) else v for k, v in kwargs.items()}
    source = args[0] if args else kwargs.pop("input")
    output: Tensor = _Rectify.apply(source, call, apply, back)
    node: Any = output.grad_fn
    return output, node.kept
