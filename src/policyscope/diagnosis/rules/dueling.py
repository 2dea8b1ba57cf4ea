"""A dueling merge that is not one: Q must be V + A - mean A, state by state."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.flows import flow_picture
from policyscope.storage import Array

TOLERANCE = 1e-3
"""Of the gradients that add up to nothing; rounding leaves some 1e-6."""
DEEP = 3
"""How far behind a stream's tensor the merge may take its advantages: before a sum over time, before a reshape."""


def dueling(examination: Examination) -> Iterator[Finding]:
    """In networks with the streams q, value and advantage, how Q is made of the two, by gradients.

    Wang et al. (2016), Eq. 9: dQ_j/dV = 1, and the gradient of Q_j at the advantages of its state adds up to 0 over
    actions, since the mean is taken away; where streams run over time, or a layer follows the merge, the first is that
    Q depends on V at all. Grave: value or advantage of the wrong width, a value that Q does not depend on, advantages
    whose mean is not taken away (they then carry the value, and V means nothing).
    """
    found = examination.wiring
    if not {"q", "value", "advantage"} <= set(found.streams):
        return
    q, value, advantage = (found.streams[name] for name in ("q", "value", "advantage"))
    states = len(q)
    if value.numel() != states or advantage.shape != q.shape:
        widths = f"value has {value.numel() // states} columns, advantage {advantage.numel() // states}, q {q.shape[1]}"
        yield _grave(
            "value", f"{widths} (healthy: 1, {q.shape[1]} and {q.shape[1]}): the streams are swapped", "swap them"
        )
        return
    weights = torch.randn(q.shape, generator=torch.Generator().manual_seed(0)).to(q)
    into_value = _gradient(examination, q, value, weights)
    if into_value is None or float(into_value.abs().max()) <= 1e-6 * float(weights.abs().max()):
        yield _grave(
            "value",
            "Q does not depend on the value stream: it cancels when the streams are merged (healthy: dQ/dV = 1)",
            "look at the merge: the mean that is taken away is that of the advantages, over actions; that of a value, "
            "which has one column, is the value itself",
            picture=flow_picture(found, "q", found.uses("value") - found.uses("advantage")),
        )
    into_advantage = _gradient(examination, q, advantage, weights)
    if into_advantage is None or float(into_advantage.abs().max()) == 0:
        yield _grave("advantage", "Q does not depend on the advantage stream (healthy: it does)", "look at the merge")
        return
    total, size = into_advantage.sum(dim=-1).abs().sum(), into_advantage.abs().sum()
    left = float(total / size)
    if left > TOLERANCE:
        yield _grave(
            "advantage",
            f"adding the same to all advantages of a state changes Q: the gradient of Q adds up to {left:.0%} of its "
            "size over actions (healthy: 0 %), so that the advantages carry the value and V means nothing",
            "merge with Q = V + A - A.mean(dim=1, keepdim=True): the mean over the actions of each state",
            {"left": left},
        )


def _grave(
    stream: str, evidence: str, advice: str, numbers: dict[str, float] | None = None, picture: Array | None = None
) -> Finding:
    where = Where("network", stream=stream)
    return Finding("dueling", "grave", where, evidence, advice, "certain", numbers or {}, picture)


def _gradient(examination: Examination, q: Tensor, stream: Tensor, weights: Tensor) -> Tensor | None:
    """The gradient of Q at a stream, or at what the stream was made of where the merge goes past it."""
    for place in _behind(stream):
        found = examination.wiring.gradient(q, place, weights)
        if found is not None:
            return found
    return None


def _behind(stream: Tensor) -> Iterator[GradientEdge]:
    """The stream's own place in the graph, and those that it was made of by one operation after the other."""
    if not stream.requires_grad:
        return
    place = get_gradient_edge(stream)
    yield place
    for _ in range(DEEP):
        following = [(node, number) for node, number in place.node.next_functions if node is not None]
        # Of a product with attention's weights both factors lead on; past it the sum over actions says nothing.
        if len(following) != 1:
            return
        place = GradientEdge(*following[0])
        yield place
