"""Outputs that depend on chance, or on which other states are in the batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where
from policyscope.diagnosis.wiring import Wiring
from policyscope.storage import Array

TOLERANCE = 1e-3
"""Of a stream's spread over states. Rounding makes some 1e-6 of it."""
FLIPPED = 0.01
"""Share of states whose best action changes by chance: more than noise that is there on purpose would cost."""


def repeatable(examination: Examination) -> Iterator[Finding]:
    """The same state must give the same outputs, twice in a row, and alone as well as among others.

    Grave where another batch changes a state's outputs, or where chance changes the best action; noise that changes no
    action is a warning (noisy networks have it on purpose).
    """
    rows = examination.rows
    again = (examination.said(rows), examination.said(rows))
    for stream in examination.outputs:
        if (by := _difference(*(a[stream] for a in again))) > TOLERANCE:
            yield _by_chance(examination, stream, by, again)
            return
    alone = [examination.said(rows[[i]]) for i in range(min(len(rows), 8))]
    for stream in examination.outputs:
        single = np.concatenate([a[stream] for a in alone])
        among = again[0][stream][: len(single)]
        if (by := _difference(single, among, again[0][stream])) > TOLERANCE:
            yield Finding(
                "repeatable",
                "grave",
                Where("network", stream=stream),
                f"{stream} of a state alone differs from what it is among others by {by:.2g} of its spread over states "
                "(healthy: 0)",
                "look for a mean, a maximum or a normalisation over the wrong axis (dim=0 is the batch): in a dueling "
                "merge the mean is over actions, dim=1; batch statistics belong to training",
                "certain",
                {"difference": by},
            )


def _difference(one: Array, other: Array, over: Array | None = None) -> float:
    """The largest difference, relative to the spread over states."""
    states = other if over is None else over
    # States that are all alike have no spread, but their values round all the same.
    spread = max(float(np.std(states, axis=0).max()), 0.01 * float(np.abs(states).max()), 1e-6)
    difference = float(np.abs(one - other).max())
    return difference / spread if np.isfinite(difference) else 0.0


def _by_chance(
    examination: Examination, stream: str, by: float, again: tuple[dict[str, Array], dict[str, Array]]
) -> Finding:
    acting = examination.acting
    flipped = float((again[0][acting].argmax(axis=1) != again[1][acting].argmax(axis=1)).mean())
    severity: Severity = "grave" if flipped > FLIPPED else "warning"
    return Finding(
        "repeatable",
        severity,
        Where("network", stream=stream, layer=_first_random(examination)),
        f"the same state gives another {stream} each time, by {by:.2g} of its spread over states, and another best "
        f"action in {flipped:.0%} of the states (healthy: 0)",
        "look for dropout or noise that is applied in evaluation as well (F.dropout needs training=self.training), or "
        "a module that is never put into evaluation mode",
        "certain",
        {"difference": by, "flipped": flipped},
    )


def _first_random(examination: Examination) -> str | None:
    """The first layer whose output differs between two passes."""
    one, other = (
        Wiring(examination.agent, examination.episode, examination.rows, examination.agent.streams) for _ in range(2)
    )
    for name, layer in one.layers.items():
        pairs = zip(layer.values, other.layers[name].values, strict=True)
        if any(not torch.equal(a, b) for a, b in pairs):
            before = [n for n in one.layers if n != name]
            place = list(one.layers).index(name)
            # What a layer is given may be random already: the noise is then behind the layer before it.
            return name if place == 0 else before[place - 1]
    return None
