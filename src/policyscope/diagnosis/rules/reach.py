"""A stream through which no gradient reaches the input, and the layer at which it stops."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Certainty, Finding, Severity, Where
from policyscope.diagnosis.flows import flow_picture
from policyscope.diagnosis.wiring import Flow
from policyscope.saliency import targets

NEARLY_ALL = 0.95
MANY = 0.25
"""Share of states without a gradient. A network of living units has none; a stream that is dead in every fourth state
says the same whatever it sees there."""


def reach(examination: Examination) -> Iterator[Finding]:
    """Each stream's gradient must reach the input, layer by layer, as the paper looked for where an LSTM learns.

    The norm of the stream's gradient (a fixed random sum of its entries) is taken at the output and the input of each
    layer on its way. Grave where nothing arrives in at least 95 % of the states, a warning from a quarter on.
    """
    wiring = examination.wiring
    for stream in wiring.streams:
        values = wiring.streams[stream]
        if not np.isfinite(values.detach().float().cpu().numpy()).all():
            continue  # said by ``finite``
        share = _without(examination, stream)
        if share < MANY:
            continue
        flow = wiring.flow(stream)
        layer, how = _stop(flow, wiring.cuts)
        severity: Severity = "grave" if share >= NEARLY_ALL else "warning"
        sure: Certainty = "certain" if share == 1 else "likely"
        sizes = {name: size for name, size in flow.output.items() if size is not None} | {"input": flow.leaf or 0.0}
        yield Finding(
            "reach",
            severity,
            Where("network", stream=stream, layer=layer),
            f"in {share:.0%} of the states no gradient of {stream} reaches the input{how} (healthy: 0 %)",
            "this stream cannot learn from what is on the screen: look for detach(), no_grad(), a rectifier that is "
            "never positive, zero weights or a saturated activation at that layer",
            sure,
            {"share": share, **{f"gradient at {name}": size for name, size in sizes.items()}},
            flow_picture(wiring, stream, ["input", *([layer] if layer else [])]),
        )


def _without(examination: Examination, stream: str) -> float:
    """Share of the states in which the stream has no gradient at the input."""
    values = targets.stream_of(examination.trace.outputs, stream)
    if not values.requires_grad:
        return 1.0
    gradient = examination.gradient(stream, "sum" if values.numel() == examination.trace.states else "greedy")
    return float(_zero(gradient).float().mean())


def _zero(gradient: Tensor) -> Tensor:
    return gradient.flatten(1).abs().amax(dim=1) == 0


def _stop(flow: Flow, cuts: list[str]) -> tuple[str | None, str]:
    """The layer at which a gradient stops on its way back, and in words how."""
    on_way = [name for name, size in flow.output.items() if size is not None]
    if not on_way:
        where = f": it is cut by {cuts[0]}" if cuts else ": it does not depend on any layer"
        return None, where
    for name in reversed(on_way):
        if not flow.output[name]:
            return name, f": it stops at the output of {name}, whose units are dead or saturated in those states"
        given = flow.input[name]
        if given is None and name != on_way[0]:
            cut = f" by {cuts[0]}" if cuts else ""
            return name, f": what {name} is given is cut off{cut}"
        if given is not None and given == 0:
            return name, f": it stops in {name}, whose weights pass nothing on"
    if flow.leaf is None:
        return on_way[0], f": what {on_way[0]} is given is cut off{f' by {cuts[0]}' if cuts else ''}"
    return on_way[0], ""
