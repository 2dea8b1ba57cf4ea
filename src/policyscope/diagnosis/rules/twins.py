"""Units that are copies of each other, and can never become different."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where

GRAVE, WARNING = 0.5, 0.1
"""Shares of a layer's units. Drawn weights are never alike; a few may die in the same way."""
FEW = 8


def twins(examination: Examination) -> Iterator[Finding]:
    """Units of a layer whose weights are all equal to another's: they get the same gradient, and stay alike for ever.

    Weights that were initialised to a constant do that. Units that nobody listens to are left to ``dead_units``.
    """
    network = examination.agent.network
    for path, module in network.named_modules():
        if not isinstance(module, nn.Linear | nn.Conv2d) or module.weight.shape[0] < FEW:
            continue
        rows = module.weight.detach().flatten(1)
        _, counts = torch.unique(rows, dim=0, return_counts=True)
        share = float(counts[counts > 1].sum() / len(rows))
        if share < WARNING:
            continue
        severity: Severity = "grave" if share >= GRAVE else "warning"
        yield Finding(
            "twins",
            severity,
            Where("network", stream=examination.stream_of(path), layer=path),
            f"{share:.0%} of the {len(rows)} units of {path} have the very weights of another one (healthy: none)",
            "initialise weights at random: units that begin alike learn alike; or was one row copied over the others?",
            "certain",
            {"share": share},
        )
