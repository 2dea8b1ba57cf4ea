"""Layers that are as they were initialised, in a network of which the rest was trained."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from torch import nn

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

FEWEST = 2_000
"""Weights below which a sample says little."""
UNLIKELY = 1e-3
"""A fresh layer is missed once in a thousand; a trained one is told from a fresh one by many orders more."""


def fresh_layers(examination: Examination) -> Iterator[Finding]:
    """Whether a layer's weights are still a sample of PyTorch's own initialisation.

    That is uniform within 1/sqrt(fan in), for recurrent layers within 1/sqrt(hidden). A trained layer has weights
    beyond the bound, and fails a Kolmogorov-Smirnov test against it. Grave where some layers are fresh and others are
    not: they were not loaded, or never learnt (the paper's bidirectional layers). A note where all are.
    """
    network = examination.agent.network
    fresh: list[str] = []
    trained: list[str] = []
    for path, module in network.named_modules():
        bound = _bound(module)
        weights = [p.detach().float().cpu().numpy().ravel() for p in module.parameters(recurse=False) if p.ndim > 1]
        if bound is None or not weights or sum(map(len, weights)) < FEWEST:
            continue
        (fresh if _is_sample(np.concatenate(weights), bound) else trained).append(path)
    for path in fresh if trained else ():
        yield Finding(
            "fresh_layers",
            "grave",
            Where("network", stream=examination.stream_of(path), layer=path),
            f"the weights of {path} are those of a fresh initialisation, to the last of them, while "
            f"{len(trained)} other layers have learnt (healthy: all have)",
            "was this layer loaded from the checkpoint, given to the optimiser, and does a gradient reach it? Compare "
            "its weights before and after some updates",
            "certain",
            {"trained": float(len(trained))},
        )
    if fresh and not trained:
        yield Finding(
            "fresh_layers",
            "note",
            Where("network"),
            f"all {len(fresh)} layers have the weights of a fresh initialisation: this network has learnt nothing yet",
            "train it, or check that its checkpoint was loaded",
            "certain",
            {"trained": 0.0},
        )


def _bound(module: nn.Module) -> float | None:
    """The largest weight that PyTorch's initialisation draws."""
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        return 1 / math.sqrt(module.hidden_size)
    if isinstance(module, nn.Linear | nn.Conv2d):
        return 1 / math.sqrt(module.weight[0].numel())
    return None


def _is_sample(weights: np.ndarray, bound: float) -> bool:
    from scipy import stats  # a second to import, more than a quarter of the programs' start

    # Half-precision files round a weight at the bound upwards.
    if np.abs(weights).max() > bound * 1.001:
        return False
    chosen = weights[:: -(-len(weights) // 20_000)]
    return float(stats.kstest(chosen, stats.uniform(-bound, 2 * bound).cdf).pvalue) > UNLIKELY
