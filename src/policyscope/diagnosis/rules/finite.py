"""Numbers that are none: weights, activations or outputs that are infinite or not a number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

ADVICE = (
    "load an earlier checkpoint; look for a learning rate that is too large, a division by zero or a logarithm of zero "
    "in the loss, and clip gradients by norm"
)


def finite(examination: Examination) -> Iterator[Finding]:
    """All weights and all outputs must be finite; one that is not spoils what depends on it. Grave."""
    for name, value in examination.agent.network.state_dict().items():
        bad = int((~torch.isfinite(value)).sum()) if value.is_floating_point() else 0
        if bad:
            layer = name.rpartition(".")[0]
            yield Finding(
                "finite",
                "grave",
                Where("network", stream=examination.stream_of(layer), layer=layer or None),
                f"{bad:,} of the {value.numel():,} numbers of {name} are infinite or not a number (healthy: none)",
                ADVICE,
                "certain",
                {"bad": float(bad)},
            )
            examination.hopeless = True
            return
    for stream, values in examination.streams.items():
        share = float((~np.isfinite(values)).any(axis=1).mean())
        if share:
            yield Finding(
                "finite",
                "grave",
                Where("network", stream=stream),
                f"{stream} is infinite or not a number in {share:.0%} of the states, though all weights are finite",
                ADVICE,
                "certain",
                {"share": share},
            )
            examination.hopeless = True
