"""A stream that does not see the input, or a layer that is silent, by the saliency probe."""

from __future__ import annotations

import re
from collections.abc import Iterable

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "dead-stream"
_UPDATES = 100
"""A head whose weights begin at zero passes no gradient before its first updates."""


def dead_stream(told: Told) -> Iterable[Finding]:
    """No gradient reaches the input from a stream in any state, in the last two measurements."""
    if len(told.probe) < 2 or told.updates < _UPDATES:
        return
    (_, before), (_, now) = told.probe[-2:]
    for name in now:
        stream = re.fullmatch(r"saliency/([^/]+)/zero_share", name)
        if stream and now[name] == 1 == before.get(name):
            yield Finding(
                RULE,
                "grave",
                Where("training", stream=stream[1]),
                "in none of the probe's states does a gradient of this stream reach the input (in all, in a "
                "healthy one)",
                "look for detach(), no_grad(), a stream that is fed from the wrong place, or dead rectifiers; "
                f"layers/…/gradient_norm/{stream[1]} says where it stops",
                "certain",
            )
        layer = re.fullmatch(r"layers/(.+)/dead_units", name)
        if layer and now[name] == 1 == before.get(name):
            yield Finding(
                RULE,
                "warning",
                Where("training", layer=layer[1]),
                "all units of this layer are zero in all of the probe's states",
                "lower the learning rate, and look at how inputs are scaled",
                "certain",
            )
