"""Which rows of a layer belong to which state and lag, where a network has turned frames into rows.

Frames may be laid out batch first, time first, one after the other or backwards, and pictures may be copied; nothing
in the rows tells. So gradients do: a weight is put on each row of a layer's input, and by what factor it comes
out at a frame of the network's input tells which row the frame became.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from policyscope.errors import TargetError
from policyscope.saliency.watch import Call, Fed


def order_of_rows(leaf: Tensor, lags: int, calls: Sequence[Call], counts: tuple[int, ...]) -> Tensor:
    """The index (B, k) of the rows that belong to each state.

    Args:
        leaf: The explained input, (B, …) or (B, lags, …).
        lags: Frames on its second axis; 0 where that is not time.
        calls: All layers' calls.
        counts: Rows of each call of the layer whose rows are to be put in order.

    Raises:
        TargetError: If the rows cannot be told apart.
    """
    states, total = len(leaf), sum(counts)
    if total % states:
        raise TargetError(f"a layer ran on {total} rows, which do not divide into {states} states")
    if len(set(counts)) == 1 and counts[0] == states * lags and len(counts) > 1:
        once = order_of_rows(leaf, lags, calls, counts[:1])
        return torch.stack([once + total // len(counts) * i for i in range(len(counts))], dim=2).flatten(1)
    parts = total // states
    frames_first = torch.arange(total).view(parts, states).T
    states_first = torch.arange(total).view(states, parts)
    looped = len(counts) > 1
    if looped and set(counts) == {states} and parts != lags:
        return frames_first
    if states == 1 and parts != lags:
        return states_first
    fed = _fed(calls, counts)
    if parts == lags:
        found = _factors(leaf, fed, torch.arange(total) + 1.0, units=2) if fed else None
        if found is not None and torch.equal(found.flatten().sort().values, torch.arange(total) + 1):
            return found - 1
        return frames_first if looped else states_first
    for candidate in (states_first, frames_first):
        owner = torch.empty(total)
        owner[candidate.flatten()] = torch.arange(states).repeat_interleave(parts).float()
        found = _factors(leaf, fed, owner + 1, units=1) if fed else None
        if found is not None and torch.equal(found, torch.arange(states) + 1):
            return candidate
    raise TargetError(
        f"a layer ran on {total} rows for {states} states, and which belong to which cannot be told: "
        "explain one state at a time"
    )


def _fed(calls: Sequence[Call], counts: tuple[int, ...]) -> list[Fed]:
    """What the first layer was given that ran on as many rows."""
    layers: dict[str, list[Fed]] = {}
    for call in calls:
        if call.fed is not None:
            layers.setdefault(call.name, []).append(call.fed)
    for fed in layers.values():
        if tuple(f.shape[0] for f in fed) == counts:
            return fed
        if len(counts) == 1 and fed[0].shape[0] == counts[0]:
            return fed[:1]
    return []


def _factors(leaf: Tensor, fed: list[Fed], weights: Tensor, units: int) -> Tensor | None:
    """By what whole number each frame's gradient grows where rows are weighted; None where it is none.

    Args:
        leaf: The explained input.
        fed: The layer's inputs, their rows in the order of ``weights``.
        weights: A factor for each row.
        units: Axes of the leaf that count frames: 1 for (B,), 2 for (B, lags).
    """
    like = fed[0].like
    generator = torch.Generator().manual_seed(0)
    pattern = torch.rand(fed[0].shape[1:], generator=generator).to(like)
    ones = [pattern.expand(f.shape) for f in fed]
    shares = weights.to(like).split([f.shape[0] for f in fed])
    weighted = [pattern * w.view(-1, *[1] * pattern.ndim) for w in shares]
    edges = [f.edge for f in fed]
    plain, scaled = (
        torch.autograd.grad(edges, get_gradient_edge(leaf), grads, retain_graph=True, allow_unused=True)[0]
        for grads in (ones, weighted)
    )
    if plain is None or scaled is None:
        return None
    plain, scaled = (g.flatten(units) if g.dtype.itemsize > 2 else g.float().flatten(units) for g in (plain, scaled))
    factors = torch.linalg.vecdot(scaled, plain) / torch.linalg.vecdot(plain, plain)
    whole = factors.round()
    exact = bool(((factors - whole).abs() < 0.1).all())  # false for the NaN of a frame that has no gradient
    return whole.long().cpu() if exact else None
