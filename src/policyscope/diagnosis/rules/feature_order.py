"""Features that are flattened in another order than the layer behind has learnt."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

LEARNT, NONE = 10.0, 4.0
"""Standard errors. What is on a screen covers neighbouring places, so weights that have learnt go along with their
neighbours' by dozens of them; weights in no order do by none, or by chance up to four."""


def feature_order(examination: Examination) -> Iterator[Finding]:
    """Whether neighbours among a dense layer's weights are neighbours on the picture that they are given.

    The correlation of a layer's weights with those of the places beside them, minus what chance gives (-1 / places), in
    standard errors: once as they are stored (channels first or last), and once as the convolution's output really meets
    them, told by gradients. Grave where they have an order that they do not meet: a view, a permute or a flatten was
    changed since they learnt. Networks that have learnt little have no order, and nothing is said of them.
    """
    found = examination.wiring
    convolutions = [name for name, layer in found.layers.items() if layer.kind == "conv"]
    if not convolutions:
        return
    last = convolutions[-1]
    shape = found.layers[last].values[-1].shape[1:]
    for name, layer in found.layers.items():
        module = examination.agent.network.get_submodule(name) if layer.kind == "linear" else None
        if not isinstance(module, nn.Linear) or module.in_features != shape.numel() or len(shape) != 3:
            continue
        met = found.met(name, last)
        if met is None or min(shape[1:]) < 2:
            continue
        weights = module.weight.detach().float()
        stored = max(_order(weights.unflatten(1, shape)), _order(_channels_last(weights, shape)))
        in_place = _order(met)
        if stored < LEARNT or in_place > NONE:
            continue
        yield Finding(
            "feature_order",
            "grave",
            Where("network", stream=examination.stream_of(name), layer=name),
            f"the weights of {name} go along with their neighbours' by {stored:.0f} standard errors as they are "
            f"stored, but by {in_place:.0f} in the order in which {last} meets them (healthy: the same)",
            f"look at what flattens the output of {last}: channels first and channels last give another order",
            "certain",
            {"stored": stored, "met": in_place},
        )


def _channels_last(weights: Tensor, shape: torch.Size) -> Tensor:
    channels, height, width = shape
    arranged: Tensor = weights.unflatten(1, (height, width, channels)).movedim(3, 1)
    return arranged


def _order(weights: Tensor) -> float:
    """How far weights (units, C, H, W) go along with their neighbours', in standard errors above chance."""
    centred = weights - weights.mean(dim=(2, 3), keepdim=True)
    size = centred.square().mean()
    products = [centred[..., 1:] * centred[..., :-1], centred[..., 1:, :] * centred[..., :-1, :]]
    count = sum(p.numel() for p in products)
    mean = float(sum(p.sum() for p in products) / count / size) if size > 0 else 0.0
    # Taking the mean away leaves any two of n places with a correlation of -1 / (n - 1).
    places = weights.shape[2] * weights.shape[3]
    return float((mean + 1 / (places - 1)) * count**0.5)
