"""Pictures that are scaled twice, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

SMALLEST, LARGEST = 0.02, 50.0
"""A game's brightest colour is at least a third of white. Bytes divided by 255 twice end below 0.004, bytes as they are
above 80; pictures scaled to 1, or normalised to a spread of 1 and clipped at 10, lie well between."""


def input_scale(examination: Examination) -> Iterator[Finding]:
    """The largest absolute value that the first convolution is given. Grave outside 0.02 to 50."""
    found = examination.wiring
    seen = next(iter(found.seen.values()), found.leaf)
    largest, given = _largest(seen), _largest(found.leaf)
    if largest == 0 or SMALLEST <= largest <= LARGEST:
        return
    part = "observation" if given and not SMALLEST <= given <= LARGEST else "network"
    layer = next(iter(found.seen), None)
    scale = examination.agent.protocol.scale
    small = largest < SMALLEST
    said = "divided by 255 twice" if small else "bytes that were not divided by 255"
    yield Finding(
        "input_scale",
        "grave",
        Where(part, layer=layer),
        f"the first layer is given values up to {largest:.3g}: {said}? (healthy: about 1)",
        f"the protocol divides by {scale:g}; look whether the environment or the network's forward() does so as well"
        if small
        else f"divide by 255 once: in the network's forward(), or with the protocol's scale, which is {scale:g}",
        "likely",
        {"largest": largest},
    )


def _largest(values: Tensor) -> float:
    return float(values.abs().max())
