"""FullGrad, its completeness, and the blog's FullGrad++: maps from every layer of the network.

``z`` runs over the outputs of convolutions and normalisations and ``b`` over their biases (a batch norm's effective
one); ``A`` is the rectified activation that ``z`` leads to. Maps are (B, H, W), or (B, lags, H, W) for
time-distributed networks, where every frame is rescaled by itself.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from policyscope.errors import TargetError
from policyscope.saliency.grad_cam import plus_plus_weights, weighted_sum
from policyscope.saliency.resize import to_size
from policyscope.saliency.trace import Gradients, Trace
from policyscope.saliency.watch import Call

LayerWeight = Literal["mean", "sum"]
# Which layer weight a variant of FullGrad++ takes.
WEIGHT_OF_VARIANT: dict[str, LayerWeight] = {"default": "mean", "blog_text": "mean", "blog_code": "sum"}


def full_grad(trace: Trace, target: Tensor) -> Tensor:
    """FullGrad (Srinivas & Fleuret, 2019): ``psi(x * dx)`` plus ``psi(b * dz)`` of every layer, summed over channels.

    ``psi`` takes absolute values and rescales each image to [0, 1] over channels and space; layers are then upsampled
    bilinearly and added. The published code pairs biases with gradients by position, which is right on sequential
    networks only; here each bias meets its own layer's gradient.
    """
    gradients = trace.gradients(target, "standard")
    total = _rescaled_sum((trace.leaf.detach() * gradients.input).abs_())
    for calls in spatial_layers(trace):
        magnitude, bias = _bias_term(trace, calls, gradients)
        if magnitude is not None and bias is not None:
            total = total + to_size(_over_calls(trace, _rescaled_bias_sum(magnitude, bias)), trace.image_size)
    return total


def full_grad_blog(trace: Trace, target: Tensor) -> Tensor:
    """FullGrad as the blog prints it: the sum over layers and channels of ``A * dA + b * dz``, signed."""
    gradients = trace.gradients(target, "standard")
    total = trace.leaf.new_zeros(())
    for calls in spatial_layers(trace):
        activation, gradient = _arranged(trace, calls, gradients, of_output=False)
        term = to_size((activation * gradient).sum(dim=-3), trace.image_size)
        bias = calls[0].bias
        if bias is not None:
            _, gradient = _arranged(trace, calls, gradients, of_output=True)
            term = term + to_size((bias.detach() * gradient).sum(dim=-3), trace.image_size)
        total = total + _over_calls(trace, term)
    return total


def full_grad_pp(trace: Trace, target: Tensor, eps: float = 1e-7, layer_weight: LayerWeight = "mean") -> Tensor:
    """FullGrad++ as the blog's code has it: the weighted average over layers of rescaled Grad-CAM++ maps.

    Channel weights are ``sum over space of g^2 / (2 g^2 + S g^3 + eps) * ReLU(g)`` with ``g`` the gradient at ``z``
    and ``S`` the channel's summed activation; each layer's map is rescaled to [0, 1] at its own size, resized and
    averaged with ``layer_weights``.
    """
    gradients = trace.gradients(target, "standard")
    maps = []
    for calls in leading_layers(trace, target):
        activation, _ = _arranged(trace, calls, gradients, of_output=False)
        _, gradient = _arranged(trace, calls, gradients, of_output=True)
        raw = _over_calls(trace, weighted_sum(activation, plus_plus_weights(activation, gradient, eps)))
        maps.append(to_size(rescaled(raw, 2), trace.image_size))
    return _average(maps, layer_weights(trace, target, layer_weight))


def full_grad_pp_blog(trace: Trace, target: Tensor, eps: float = 1e-7) -> Tensor:
    """FullGrad++ as the blog prints it: ``ReLU(sum alpha A)`` with ``alpha = g^2 / (2 g^2 + A g^3 + eps)``."""
    gradients = trace.gradients(target, "standard")
    maps = []
    for calls in leading_layers(trace, target):
        activation, gradient = _arranged(trace, calls, gradients, of_output=False)
        square = gradient.square()
        alpha = square / (2 * square + activation * square * gradient + eps)
        maps.append(to_size(_over_calls(trace, (alpha * activation).sum(dim=-3).clamp(min=0)), trace.image_size))
    return _average(maps, layer_weights(trace, target))


def layer_weights(trace: Trace, target: Tensor, layer_weight: LayerWeight = "mean") -> dict[str, Tensor]:
    """Each layer's share in FullGrad++, adding up to 1 in every state; those that do not lead to the target have none.

    Args:
        trace: The pass.
        target: (B,), the explained scalars.
        layer_weight: ``mean``: the mean magnitude of the layer's activation; ``sum``: its sum over space, as in the
            blog's code, where large early layers count more.

    Returns:
        Layer name -> (B,), or (B, lags).

    Raises:
        TargetError: If no layer leads to the target.
    """
    weights = {}
    for calls in leading_layers(trace, target):
        activation = trace.by_state([call.activation.value for call in calls]).abs()
        weight = activation.mean(dim=(-3, -2, -1))
        if layer_weight == "sum":
            weight = weight * activation.shape[-2] * activation.shape[-1]
        weight = trace.per_lag(weight).mean(dim=2)
        weights[calls[0].name] = weight if trace.lags else weight[:, 0]
    total = torch.stack(list(weights.values())).sum(dim=0)
    total = torch.where(total > 0, total, torch.ones_like(total))
    return {name: weight / total for name, weight in weights.items()}


def spatial_layers(trace: Trace) -> list[list[Call]]:
    """The calls of each convolution and normalisation that has height and width, a list a layer."""
    groups: dict[tuple[str, str], list[Call]] = {}
    for call in trace.calls:
        if call.spatial:
            groups.setdefault((call.kind, call.name), []).append(call)
    return list(groups.values())


def leading_layers(trace: Trace, target: Tensor) -> list[list[Call]]:
    """The spatial layers that the target depends on.

    Raises:
        TargetError: If there is none.
    """
    gradients = trace.gradients(target, "standard")
    layers = [c for c in spatial_layers(trace) if any(gradients.at(call.output) is not None for call in c)]
    if not layers:
        raise TargetError("no convolution leads to the target: FullGrad++ has nothing to average")
    return layers


def rescaled(values: Tensor, dims: int) -> Tensor:
    """Each map brought to [0, 1] over its last ``dims`` axes; a constant one becomes zero."""
    flat = values.flatten(-dims)
    low, high = flat.aminmax(dim=-1, keepdim=True)
    return ((flat - low) / _nonzero(high - low)).view(values.shape)


@dataclass(frozen=True)
class Completeness:
    """FullGrad's decomposition of the target, each term (B,): input + biases + remainder = target."""

    target: Tensor
    input: Tensor
    biases: dict[str, Tensor]

    @property
    def remainder(self) -> Tensor:
        """What the terms leave over: rounding for piecewise-linear networks, more for others."""
        return self.target - self.input - sum(self.biases.values(), torch.zeros_like(self.input))


def completeness(trace: Trace, target: Tensor) -> Completeness:
    """The terms of FullGrad before absolute values and rescaling, linear layers' biases included."""
    calls = [call for call in trace.calls if call.bias is not None]
    gradients = trace.gradients(target, "standard", [call.output for call in calls], keep=False)
    terms: dict[str, list[Tensor]] = {}
    for call in calls:
        gradient = gradients.at(call.output)
        if gradient is not None and call.bias is not None:
            term = call.bias * gradient
            term = term.flatten(1).sum(dim=1) if term.ndim > 1 else term.sum(dim=0, keepdim=True)
            terms.setdefault(call.name, []).append(term)
    biases: dict[str, Tensor] = {}
    for name, rows in terms.items():
        with suppress(TargetError):  # rows that are of no state in particular: their bias is part of the remainder
            biases[name] = trace.by_state(rows).sum(dim=1)
    return Completeness(target.detach(), (trace.leaf.detach() * gradients.input).flatten(1).sum(dim=1), biases)


def _arranged(trace: Trace, calls: list[Call], gradients: Gradients, *, of_output: bool) -> tuple[Tensor, Tensor]:
    """Activation, and the gradient at it or at z, by state: (B, calls or lags, C, h, w)."""
    points = [call.output if of_output else call.activation for call in calls]
    shapes = [call.shape if of_output else call.activation.value.shape for call in calls]
    found = [gradients.at(point) for point in points]
    filled = [trace.leaf.new_zeros(s) if g is None else g for g, s in zip(found, shapes, strict=True)]
    return trace.by_state([call.activation.value for call in calls]), trace.by_state(filled)


def _bias_term(trace: Trace, calls: list[Call], gradients: Gradients) -> tuple[Tensor | None, Tensor | None]:
    """|dz| by state (B, calls or lags, C, h, w), and |b| (C,); None where there is no bias or no gradient."""
    bias = calls[0].bias
    found = [gradients.at(call.output) for call in calls]
    if bias is None or all(g is None for g in found):
        return None, None
    filled = [trace.leaf.new_zeros(c.shape) if g is None else g for g, c in zip(found, calls, strict=True)]
    arranged = trace.by_state(filled)
    channels = arranged.shape[-3]
    if bias.numel() != channels:  # a layer norm has a bias for each place
        return (arranged * bias).abs(), torch.ones(channels, dtype=arranged.dtype, device=arranged.device)
    return arranged.abs(), bias.flatten().abs().to(arranged.dtype)


def _rescaled_sum(values: Tensor) -> Tensor:
    """``rescaled(values, 3).sum(-3)`` without the rescaled copy."""
    low, high = values.amin(dim=(-3, -2, -1)), values.amax(dim=(-3, -2, -1))
    return _shift_and_scale(values.sum(dim=-3), values.shape[-3] * low, high - low)


def _rescaled_bias_sum(magnitude: Tensor, bias: Tensor) -> Tensor:
    """``rescaled(|b| |dz|, 3).sum(-3)`` without the product: (…, C, h, w), (C,) -> (…, h, w)."""
    flat = magnitude.flatten(-2)
    low, high = flat.amin(dim=-1), flat.amax(dim=-1)
    low, high = (low * bias).amin(dim=-1), (high * bias).amax(dim=-1)
    total = torch.matmul(bias, flat).view(*magnitude.shape[:-3], *magnitude.shape[-2:])
    return _shift_and_scale(total, len(bias) * low, high - low)


def _shift_and_scale(total: Tensor, shift: Tensor, span: Tensor) -> Tensor:
    return (total - shift[..., None, None]) / _nonzero(span)[..., None, None]


def _nonzero(span: Tensor) -> Tensor:
    return torch.where(span > 0, span, torch.ones_like(span))


def _over_calls(trace: Trace, maps: Tensor) -> Tensor:
    """(B, calls or lags, h, w) to (B, h, w) or (B, lags, h, w): the calls of a module used several times are added."""
    total = trace.per_lag(maps).sum(dim=2)
    return total if trace.lags else total[:, 0]


def _average(maps: list[Tensor], weights: dict[str, Tensor]) -> Tensor:
    terms = [weight[..., None, None] * layer for weight, layer in zip(weights.values(), maps, strict=True)]
    return torch.stack(terms).sum(dim=0)
