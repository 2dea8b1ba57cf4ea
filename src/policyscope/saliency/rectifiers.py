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
_CLAMPS_IN_PLACE: tuple[Any, ...] = (
    *(torch.clamp_, Tensor.clamp_, torch.clip_, Tensor.clip_, torch.clamp_min_, Tensor.clamp_min_),
)
_MAXIMA: tuple[Any, ...] = (torch.maximum, Tensor.maximum, torch.max, Tensor.max)

_TABLE: dict[Any, tuple[str, bool]] = {
    **dict.fromkeys(_RELUS, ("relu", False)),
    **dict.fromkeys(_RELUS_IN_PLACE, ("relu", True)),
    **dict.fromkeys(_SMOOTH, ("smooth", False)),
    **dict.fromkeys(_SMOOTH_IN_PLACE, ("smooth", True)),
    **dict.fromkeys(_CLAMPS, ("clamp", False)),
    **dict.fromkeys(_CLAMPS_IN_PLACE, ("clamp", True)),
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
    value: Tensor


@dataclass
class _Kept:
    """What a rectifier remembers for its way back: its output (ReLU) or its input (the others)."""

    value: Tensor


@dataclass(frozen=True)
class RectifierCall:
    """A call that was recognised as a rectifier.

    Attributes:
        kind: ``relu`` has its derivative from its output; the others go back through their own function, of which
            ``clamp`` is a ReLU under the guided rule (its own derivative at exactly zero is not 0).
        in_place: Whether the caller's tensor is to be overwritten.
        subject: What is rectified.
        function: From a tensor that may be overwritten to the rectified one.
    """

    kind: Literal["relu", "smooth", "clamp"]
    in_place: bool
    subject: Tensor
    function: Callable[[Tensor], Tensor]


def recognise(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RectifierCall | None:
    """Says whether a torch function, called so, is a rectifier, and of what."""
    entry = _TABLE.get(function)
    if entry is None:
        return None
    kind, in_place = entry
    subject, rest = (args[0], args[1:]) if args else (kwargs.get("input"), ())
    kwargs = {name: value for name, value in kwargs.items() if name != "input"}
    if kind == "clamp":
        low = kwargs.get("min", rest[0] if rest else None)
        high = kwargs.get("max", rest[1] if len(rest) > 1 else None)
        if not _is_zero(low) or high is not None:
            return None
    if kind == "maximum":
        other = kwargs.pop("other", rest[0] if rest else None)
        if not isinstance(other, Tensor) or not isinstance(subject, Tensor):
            return None
        subject, other = (subject, other) if subject.requires_grad else (other, subject)
        if other.requires_grad or bool(other.any()):
            return None
        kind, rest = "clamp", (other,)
    if kind == "hardtanh":
        if not _is_zero(kwargs.get("min_val", rest[0] if rest else -1.0)):
            return None
        kind = "smooth"
    if not isinstance(subject, Tensor):
        return None
    in_place = in_place or bool(kwargs.get("inplace", False)) or _positional_inplace(function, args)
    rest = tuple(a.detach() if isinstance(a, Tensor) else a for a in rest)
    kwargs = {k: v.detach() if isinstance(v, Tensor) else v for k, v in kwargs.items()}

    def apply(x: Tensor) -> Tensor:
        result: Tensor = function(x, *rest, **kwargs)
        return result

    return RectifierCall(kind, in_place, subject, torch.relu if kind == "relu" else apply)  # type: ignore[arg-type]


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
    def forward(ctx: Any, x: Tensor, call: RectifierCall, back: Backward) -> Tensor:
        ctx.kind, ctx.function, ctx.overwrites, ctx.back = call.kind, call.function, call.in_place, back
        y = call.function(x.clone() if call.in_place and call.kind != "relu" else x)
        ctx.kept = _Kept(y.detach() if call.kind == "relu" else x.detach())
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        guided = ctx.back.rule == "guided"
        if guided:
            gradient = gradient.clamp(min=0)
        kept = ctx.kept.value
        if ctx.kind == "relu":
            return torch.ops.aten.threshold_backward(gradient, kept, 0), None, None
        with torch.enable_grad():
            x = kept.detach().requires_grad_()
            # In place on a copy: a leaf cannot be overwritten.
            y = ctx.function(x.clone() if ctx.overwrites else x)
            (gradient,) = torch.autograd.grad((y * gradient).sum(), x)
        if guided and (ctx.back.positive_inputs or ctx.kind == "clamp"):
            gradient = gradient * (kept > 0)
        return gradient, None, None


def rectify(call: RectifierCall, back: Backward) -> tuple[Tensor, _Kept]:
    """Calls a rectifier so that ``back`` decides, later, how its gradient goes back.

    It is never called in place, which a view's graph would not survive: the caller copies the output.

    Returns:
        The output, and what the rectifier keeps: guarded against later in-place writes like an activation.
    """
    output: Tensor = _Rectify.apply(call.subject, call, back)
    node: Any = output.grad_fn
    return output, node.kept
