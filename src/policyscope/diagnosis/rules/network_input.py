"""What a network does to its pictures before its first layer: frames in another order, repeated, blank or turned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

SAME = 0.999
"""Correlation of what moves in two frames that are one frame: only rounding is between them."""
TURNS: dict[str, Callable[[Tensor], Tensor]] = {
    "mirrored": lambda frames: frames.flip(-1),
    "upside down": lambda frames: frames.flip(-2),
    "with rows and columns exchanged": lambda frames: frames.transpose(-1, -2),
    "turned by 180 degrees": lambda frames: frames.flip(-1).flip(-2),
}


def network_input(examination: Examination) -> Iterator[Finding]:
    """Which frame of the observation arrives in each place of the first convolution, told by what moves in it.

    The background is the same in all frames, so each pixel's mean over states is taken away first. Grave
    where a place has another frame than its own, none at all, or one that was turned.
    """
    found = examination.wiring
    name, seen = next(iter(found.seen.items()), (None, None))
    if name is None or seen is None:
        return
    given = found.leaf.flatten(1, -3)
    arrived = _arranged(seen, given)
    if arrived is None or len(given) < 2:
        return
    lags = examination.agent.protocol.stack if not examination.agent.memory_size else 1
    colours = max(given.shape[1] // lags, 1)

    def lag(place: int) -> int:
        return lags - 1 - place // colours

    table = _correlations(arrived, given)
    moves = _spread(given) > 0
    if not bool(moves.any()):
        return
    blank = [p for p in range(len(table)) if float(_spread(arrived)[p]) == 0 and bool(moves[p])]
    if blank:
        yield _finding(name, f"nothing of lag {_listed(blank, lag)} arrives in {name}", [lag(p) for p in blank])
        return
    best = table.argmax(dim=1).tolist()
    if float(table.amax(dim=1).min()) > SAME:
        # Frames between which nothing has moved are alike: the right one wins if it is among the best.
        wrong = [p for p, at in enumerate(best) if float(table[p, p]) < float(table[p, at]) - (1 - SAME)]
        if not wrong:
            return
        if len(set(best)) == 1:
            yield _finding(
                name, f"{name} is given lag {lag(best[0])} in every place of its {lags} frames", [lag(p) for p in wrong]
            )
            return
        order = ", ".join(str(lag(p)) for p in dict.fromkeys(best))
        wanted = ", ".join(map(str, range(lags - 1, -1, -1)))
        yield _finding(name, f"{name} is given the lags in the order {order}, not {wanted}", [lag(p) for p in wrong])
        return
    for words, turn in TURNS.items():
        turned = turn(given)
        if turned.shape == arrived.shape and float(_correlations(arrived, turned).amax(dim=1).min()) > SAME:
            yield _finding(name, f"{name} is given its pictures {words}", [])
            return


def _finding(name: str, evidence: str, lags: Sequence[int]) -> Finding:
    return Finding(
        "network_input",
        "grave",
        Where("network", layer=name, lag=tuple(dict.fromkeys(lags)) or None),
        f"{evidence} (healthy: each frame in its own place)",
        "look at what forward() does to its input before the first layer: cat, stack, flip, view or an index",
        "certain",
        {"lags": float(len(lags))},
    )


def _listed(places: Sequence[int], lag: Callable[[int], int]) -> str:
    return ", ".join(map(str, dict.fromkeys(lag(p) for p in places)))


def _arranged(seen: Tensor, given: Tensor) -> Tensor | None:
    """What the convolution was given as (states, places, H, W); None where the network resizes or regroups it."""
    if seen.ndim != 4 or seen.shape[-2:] not in (given.shape[-2:], given.shape[-2:][::-1]):
        return None
    states, places = given.shape[:2]
    if seen.shape[:2] == (states, places):
        return seen
    if seen.numel() != given.numel() or len(seen) % states:
        return None
    candidates = [seen.reshape(states, places, *seen.shape[-2:])]
    if seen.shape[1] == 1:
        candidates.append(seen.reshape(places, states, *seen.shape[-2:]).transpose(0, 1))
    return max(
        candidates, key=lambda c: float(_correlations(c, given).diagonal().sum()) if c.shape == given.shape else 0
    )


def _moving(frames: Tensor) -> Tensor:
    """What changes, (places, states x H x W)."""
    moving = frames.double() - frames.double().mean(dim=0, keepdim=True)
    return moving.transpose(0, 1).flatten(1)


def _spread(frames: Tensor) -> Tensor:
    return frames.double().transpose(0, 1).flatten(1).std(dim=1)


def _correlations(one: Tensor, other: Tensor) -> Tensor:
    """Of what moves in the places of one with what moves in those of the other."""
    a, b = (torch.nn.functional.normalize(_moving(frames), dim=1) for frames in (one, other))
    return a @ b.T
