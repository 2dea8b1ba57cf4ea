"""Units to which no stream listens, in any state: dead rectifiers, saturated units, weights of zero."""

from __future__ import annotations

from collections.abc import Iterator

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where

WARNING = 0.5
GRAVE = {"conv": 0.8, "norm": 0.8, "linear": 0.95, "recurrent": 0.8}
"""Shares of a layer's units. Half of the units asleep is common in value networks that have trained for long (Sokar et
al., 2023), and dense units are specialists, most of which a handful of states do not wake. A convolution's channel is
asked at every place of every state: with four fifths gone a layer of 64 has a dozen left for all that is on the screen.
"""
FEW = 8
"""Layers with fewer units are heads, each of which may have its reasons."""


def dead_units(examination: Examination) -> Iterator[Finding]:
    """A unit is dead if no stream's gradient reaches its output in any state and at any place.

    Whatever such a unit does changes nothing, and it learns nothing. Grave from 80 % of a layer (95 % of a dense$
    warning from 50 %.
    """
    wiring = examination.wiring
    for name, heard in reversed(wiring.heard.items()):
        share = float((heard == 0).float().mean())
        # A layer that no stream uses at all is another rule's.
        used = any(wiring.flow(stream).output[name] is not None for stream in examination.outputs)
        if len(heard) < FEW or share < WARNING or not used:
            continue
        severity: Severity = "grave" if share >= GRAVE[wiring.layers[name].kind] else "warning"
        count = int((heard == 0).sum())
        yield Finding(
            "dead_units",
            severity,
            Where("network", stream=examination.stream_of(name), layer=name),
            f"{count} of the {len(heard)} units of {name} change nothing in any of {len(wiring.rows)} states "
            "(healthy: less than half)",
            "look at the layer's biases and at the learning rate (a step that is too large kills rectifiers for good); "
            "a LeakyReLU, normalisation or re-initialising sleeping units brings them back",
            "certain" if share == 1 else "likely",
            {"share": share, "units": float(len(heard))},
        )
        if share == 1:
            return  # what comes before a layer that passes nothing on is not heard either
