"""Grad-CAM and its family: a layer's activation maps, weighted by the target's gradients at that layer.

Raw maps come back, (B, h, w) at the layer's own size or (B, lags, h, w) for time-distributed networks; ``plan``
brings them to the input's size. ``A`` is the layer's activation and ``g`` the target's gradient at it, both
(B, lags, C, h, w).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from policyscope.errors import TargetError
from policyscope.saliency.rectifiers import Rule
from policyscope.saliency.trace import Trace

Weights = Callable[[Tensor, Tensor], Tensor]


def activation_and_gradient(trace: Trace, target: Tensor, layer: str | int, rule: Rule) -> tuple[Tensor, Tensor]:
    """A layer's activation and the target's gradient at it, each (B, calls or lags, C, h, w).

    Raises:
        TargetError: If the target does not depend on the layer, or the layer has no height and width.
    """
    calls = trace.layer(layer)
    if not calls[0].spatial:
        raise TargetError(
            f"layer {calls[0].name!r} has an output of shape {tuple(calls[0].shape)}: Grad-CAM needs one of "
            "(rows, channels, height, width)"
        )
    gradients = trace.gradients(target, rule)
    points = [call.activation for call in calls]
    found = [gradients.at(p) for p in points]
    if all(g is None for g in found):
        raise TargetError(f"layer {calls[0].name!r} does not lead to the target: no gradient passes through it")
    values = [p.value for p in points]
    filled = [torch.zeros_like(v) if g is None else g for g, v in zip(found, values, strict=True)]
    return trace.by_state(values), trace.by_state(filled)


def weighted_sum(activation: Tensor, weights: Tensor) -> Tensor:
    """ReLU of the sum over channels of weights (…, C) times activation (…, C, h, w): (…, h, w)."""
    flat = activation.flatten(-2)
    maps = torch.matmul(weights.unsqueeze(-2), flat).squeeze(-2)
    return maps.view(*activation.shape[:-3], *activation.shape[-2:]).clamp(min=0)


def mean_weights(activation: Tensor, gradient: Tensor) -> Tensor:
    """Grad-CAM's channel weights: means over space of the gradient, (…, C)."""
    return gradient.mean(dim=(-2, -1))


def cam(trace: Trace, target: Tensor, layer: str | int, rule: Rule, weights: Weights) -> Tensor:
    """A weighted activation map.

    Where a layer ran several times on one state (a module used twice), each call has weights of its own and the
    weighted sums are added before the ReLU.
    """
    activation, gradient = activation_and_gradient(trace, target, layer, rule)
    # (B, lags or 1, C, calls, …): the calls on a frame are like more channels.
    activation, channel_weights = (
        trace.per_lag(v).transpose(2, 3).flatten(2, 3) for v in (activation, weights(activation, gradient))
    )
    maps = weighted_sum(activation, channel_weights)
    return maps if trace.lags else maps[:, 0]


def grad_cam(trace: Trace, target: Tensor, layer: str | int) -> Tensor:
    """``ReLU(sum_k mean(g_k) A_k)`` (Selvaraju et al., 2017)."""
    return cam(trace, target, layer, "standard", mean_weights)


def g1_grad_cam(trace: Trace, target: Tensor, layer: str | int) -> Tensor:
    """G1Grad-CAM (Rosynski et al., 2020): Grad-CAM with gradients that came back under the guided rule."""
    return cam(trace, target, layer, "guided", mean_weights)


def grad_cam_pp(trace: Trace, target: Tensor, layer: str | int, eps: float | None = None) -> Tensor:
    """Grad-CAM++ (Chattopadhay et al., 2018): weights ``sum over space of alpha * ReLU(g)``.

    ``alpha = g^2 / (2 g^2 + S g^3)`` with ``S`` the sum over space of ReLU(A), here as ``1 / (2 + S g)``, which does
    not change with the target's scale, and zero where g is not positive. With ``eps`` the published form
    ``g^2 / (2 g^2 + S g^3 + eps)`` is taken (pytorch-grad-cam's eps is 1e-6); the two differ where gradients are small.
    """

    def weights(activation: Tensor, gradient: Tensor) -> Tensor:
        return plus_plus_weights(activation, gradient, eps)

    return cam(trace, target, layer, "standard", weights)


def plus_plus_weights(activation: Tensor, gradient: Tensor, eps: float | None) -> Tensor:
    """Grad-CAM++'s channel weights (…, C); ``eps`` None is the scale-free form."""
    positive = gradient.clamp(min=0)
    total = activation.clamp(min=0).sum(dim=(-2, -1), keepdim=True)
    if eps is None:
        return (positive / torch.addcmul(positive.new_tensor(2.0), total, positive)).sum(dim=(-2, -1))
    square = positive.square()
    return (square * positive / (square * (2 + total * positive) + eps)).sum(dim=(-2, -1))


def grad_cam_pp_blog(trace: Trace, target: Tensor, layer: str | int, eps: float = 1e-7) -> Tensor:
    """Grad-CAM++ as the blog prints it: no ReLU on the gradient, ``alpha_k = sum g^2 / (2 g^2 + sum(A g^3))``."""

    def weights(activation: Tensor, gradient: Tensor) -> Tensor:
        square = gradient.square()
        third = (activation * square * gradient).sum(dim=(-2, -1), keepdim=True)
        return (square / (2 * square + third + eps)).sum(dim=(-2, -1))

    return cam(trace, target, layer, "standard", weights)
