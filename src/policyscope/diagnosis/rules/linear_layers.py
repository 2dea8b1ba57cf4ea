"""Layers with nothing between them: a missing rectifier makes two layers one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where

TOLERANCE = 1e-4
"""Of the spread of a layer's values; rounding leaves some 1e-6."""


def linear_layers(examination: Examination) -> Iterator[Finding]:
    """Whether a layer after the first still answers to the mean of two pictures with the mean of its answers.

    Only a linear function does. Grave where it holds of two layers or more: several rectifiers are missing, and the
    network is a shallower one than it looks. A warning for one.
    """
    states = _midpoint(examination)
    if states is None:
        return
    names = list(states)
    linear = [name for name in names[1:] if _is_linear(*states[name])]
    if not linear:
        return
    severity: Severity = "grave" if len(linear) > 1 else "warning"
    yield Finding(
        "linear_layers",
        severity,
        Where("network", layer=linear[0]),
        f"{', '.join(linear)}: a linear function of the input, though {len(linear)} layer"
        f"{'s' if len(linear) > 1 else ''} behind the first (healthy: a rectifier stands between layers)",
        f"put a rectifier between {names[names.index(linear[0]) - 1]} and {linear[0]}",
        "certain",
        {"layers": float(len(linear))},
    )


def _midpoint(examination: Examination) -> dict[str, tuple[Tensor, Tensor, Tensor]] | None:
    """Layer -> what it makes of two states and of the mean of them, for convolutions and linear layers."""
    wiring = examination.wiring
    leaf = wiring.leaf
    if len(leaf) < 2 or torch.equal(leaf[0], leaf[-1]):
        return None
    inputs = torch.stack([leaf[0], leaf[-1], (leaf[0] + leaf[-1]) / 2])
    found = wiring.values(inputs)
    kinds = {name: layer.kind for name, layer in wiring.layers.items()}
    return {
        name: tuple(values.unflatten(0, (3, -1)).unbind(0))  # type: ignore[misc]
        for name, values in found.items()
        if kinds.get(name) in ("conv", "linear") and len(values) % 3 == 0
    }


def _is_linear(one: Tensor, other: Tensor, mean: Tensor) -> bool:
    spread = float((one - other).abs().max())
    # What is the same for all states (behind a dead layer) differs by rounding alone.
    varies = spread > TOLERANCE * float(one.abs().max())
    return varies and float(((one + other) / 2 - mean).abs().max()) < TOLERANCE * spread
