"""Gradients that explode or vanish in a layer."""

from __future__ import annotations

from collections.abc import Iterator

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.pictures import bars

LARGEST, SMALLEST = 30.0, 0.01
"""The usual initialisations change a gradient's norm by 0.6 (PyTorch's own) to 1.4 (orthogonal, for rectifiers), a
gated recurrent layer by 0.1 to 0.5, and training by a few times. What is beyond these was not made by either."""


def gain(examination: Examination) -> Iterator[Finding]:
    """The norm of a random gradient at a layer's input over its norm at the output, through this layer alone.

    It should be of the order of one. Grave above 30 and below 0.01. Last layers are let off the lower bound: policies
    begin with a gain of 0.01 on purpose.
    """
    found = examination.wiring
    gains = {name: found.gain(name) for name in found.layers}
    last = {_last(examination, stream) for stream in found.streams}
    for name, ratio in gains.items():
        if ratio is None or SMALLEST <= ratio <= LARGEST or (ratio < SMALLEST and (name in last or ratio == 0)):
            continue
        told = {n: g for n, g in gains.items() if g is not None}
        yield Finding(
            "gain",
            "grave",
            Where("network", stream=examination.stream_of(name), layer=name),
            f"going back through {name} a gradient {'grows' if ratio > 1 else 'shrinks'} "
            f"{ratio if ratio > 1 else 1 / ratio:,.0f} times (healthy: it keeps its size within a few times)",
            "look at the scale of this layer's weights: how they were initialised or loaded, their learning rate, a "
            "normalisation that is missing or doubled before it",
            "likely",
            {"gain": ratio},
            bars(
                list(told),
                list(told.values()),
                "how much a gradient grows in each layer",
                mark=[list(told).index(name)],
                log=True,
            ),
        )


def _last(examination: Examination, stream: str) -> str | None:
    flow = examination.wiring.flow(stream)
    return next((name for name in reversed(flow.output) if flow.output[name] is not None), None)
