"""Maps that do not depend on what was learnt: those of the same network with its weights redrawn look the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import nn

from policyscope.diagnosis.comparing import agreement
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import beside, over_row
from policyscope.storage import Array

DRAWS, STATES = 3, 8
ALIKE = 0.8
"""Two maps share two thirds of their ranks' variance (0.8 squared), which leaves little that learning has put in."""
FEWEST = 6
METHODS = {"guided_backprop": "guided backpropagation", "grad_cam": "Grad-CAM", "g1_grad_cam": "G1 Grad-CAM"}


def weight_independent(examination: Examination) -> Iterator[Finding]:
    """Guided backpropagation, Grad-CAM and G1 Grad-CAM of the agent against those of networks with redrawn weights.

    The test is that of Adebayo et al. (2018): every weight is drawn anew from a normal distribution with its tensor's
    spread, three times, and the maps are compared by Spearman's rank correlation on patches. A warning where it lies
    above 0.8, with its 95 % interval over states, for every draw: the map is one of the picture and the architecture
    then, as an edge detector's is, whose correlation is told as well.
    """
    stream = examination.acting
    if stream not in examination.streams or not np.isfinite(examination.streams[stream]).all():
        return
    if len(examination.rows) < FEWEST:
        return
    layers = examination.trace.layer_names()
    chosen = np.linspace(0, len(examination.rows) - 1, min(STATES, len(examination.rows))).round().astype(int)
    rows = examination.rows[chosen]
    others = [_redrawn(examination, rows, seed) for seed in range(DRAWS)]
    frames = examination.frames(rows)
    for method, name in METHODS.items():
        for layer in [None] if method == "guided_backprop" else layers:
            own = np.abs(examination.map(method, stream, layer or 1))[chosen]
            drawn = [np.abs(other.map(method, stream, layer or 1)) for other in others]
            found = [_mean(agreement(own, maps)) for maps in drawn]
            if not all(measured is not None and measured[1] > ALIKE for measured in found):
                continue
            means = [measured[0] for measured in found if measured is not None]
            edges, moved = (np.nanmean(agreement(own, plain)) for plain in (_edges(frames), _differences(frames)))
            middle = len(rows) // 2
            row = int(rows[middle])
            yield Finding(
                "weight_independent",
                "warning",
                Where("maps", stream=stream, layer=layer),
                f"{name} hardly depends on the weights: with redrawn ones its rank correlation is {min(means):.2f} to "
                f"{max(means):.2f} over {DRAWS} draws (healthy: below {ALIKE}); with the picture's edges it is "
                f"{edges:.2f}, with what changed {moved:.2f}",
                f"do not read {name} as what the agent has learnt: use the gradient, Grad-CAM of a later layer, or "
                "noise saliency. An agent that has hardly learnt has weights like redrawn ones",
                "likely",
                {"redrawn": float(np.mean(means)), "edges": float(edges), "changes": float(moved)},
                beside(
                    [
                        over_row(examination.episode, row, own[middle], False, f"{name}: the agent"),
                        over_row(examination.episode, row, drawn[0][middle], False, "the same with redrawn weights"),
                    ],
                    f"Step {row}",
                ),
            )


def _redrawn(examination: Examination, rows: Array, seed: int) -> Examination:
    """Some states, seen by the same network with other weights."""
    network = copy.deepcopy(examination.agent.network)
    _redraw(network, seed)
    found = Examination(replace(examination.agent, network=network), examination.episode, following=False)
    found.rows = rows
    return found


def _redraw(network: nn.Module, seed: int) -> None:
    """Draws all weights anew, each tensor with its own spread; gains and biases keep their mean."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() < 2 or not parameter.is_floating_point():
                continue
            drawn = torch.randn(parameter.shape, generator=generator).to(parameter) * parameter.std(correction=0)
            parameter.copy_(drawn if parameter.ndim > 1 else drawn + parameter.mean())


def _mean(found: Array) -> tuple[float, float] | None:
    """The mean over states in which there is a correlation, and the lower end of its interval."""
    known = found[np.isfinite(found)]
    if len(known) < FEWEST:
        return None
    return float(known.mean()), interval(lambda rows: float(known[rows].mean()), len(known))[0]


def _edges(frames: Array) -> Array:
    """The size of the newest frame's gradient in space (Sobel), (n, H, W)."""
    grey = frames[:, -1].astype(np.float32).mean(axis=-1)
    return np.stack([np.hypot(cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)) for g in grey])


def _differences(frames: Array) -> Array:
    """What changed between the oldest and the newest frame of the stack, (n, H, W)."""
    return np.asarray(np.abs(frames[:, -1].astype(np.float32) - frames[:, 0]).mean(axis=-1))
