"""Maps against maps: rank correlations on coarse patches, and the perturbation map that needs no gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Streams
from policyscope.diagnosis.examination import Examination
from policyscope.saliency import perturbation
from policyscope.saliency.perturbation import Regions
from policyscope.saliency.record import evaluating
from policyscope.saliency.targets import stream_of
from policyscope.storage import Array
from policyscope.training.probe.measures import ranks

PERTURBED, PERTURBED_IN_TIME = 8, 5
"""States that are perturbed; each takes a pass for each of a hundred regions or so."""
_REGIONS, _REGIONS_IN_TIME = Regions(step=7), Regions(step=12)


def agreement(one: Array, other: Array) -> Array:
    """Spearman's rank correlation of two sets of maps on at most 21 x 21 patches, (n, H, W) -> (n,).

    Sizes are compared: of signed maps the absolute values. NaN where one of the two maps is flat.
    """
    first, second = (ranks(torch.from_numpy(np.abs(np.asarray(maps, np.float32)))) for maps in (one, other))
    found = (first * second).sum(dim=1).double().numpy()
    flat = ((first == 0).all(dim=1) | (second == 0).all(dim=1)).numpy()
    return np.where(flat, np.nan, found)


def perturbed(examination: Examination) -> tuple[Array, Array]:
    """The acting stream's ``noise_saliency`` (the paper's Eq. 1) of the newest frame in some of the sampled states.

    Returns:
        Which of ``examination.rows`` (k,), and their maps (k, H, W).
    """
    in_time = examination.agent.protocol.layout == "time"
    count, regions = (PERTURBED_IN_TIME, _REGIONS_IN_TIME) if in_time else (PERTURBED, _REGIONS)
    chosen = np.linspace(0, len(examination.rows) - 1, min(count, len(examination.rows))).round().astype(int)
    inputs, call, frame = _newest(examination, examination.rows[chosen])
    with evaluating(examination.agent.network):
        base, changed = perturbation.perturbed_outputs(
            call, inputs, lambda outputs: stream_of(outputs, examination.acting), frame, regions
        )
    size = (inputs.shape[-2], inputs.shape[-1])
    maps = perturbation.noise_saliency(base, changed, regions, size)
    return chosen, np.asarray(maps.float().cpu().numpy())


def _newest(
    examination: Examination, rows: Array
) -> tuple[Tensor, Callable[[Tensor, Tensor], Streams], tuple[Any, ...]]:
    """Inputs, how the network runs on rows of them, and where the newest frame is in one of them."""
    passes, protocol = examination.passes, examination.agent.protocol
    if examination.agent.memory_size:
        inputs, memory, alive = passes.window(rows, 1)

        def unroll(given: Tensor, states: Tensor) -> Streams:
            return passes.unrolled(given, memory[states], alive[states])

        return inputs, unroll, (0, -1) if protocol.layout == "time" else (0, slice(-protocol.colours, None))
    inputs = passes.pictures(rows)
    last = protocol.stack - 1
    newest = (last,) if protocol.layout == "time" else (slice(last * protocol.colours, (last + 1) * protocol.colours),)
    return inputs, lambda given, _: passes.streams(given), newest
