"""Frames that are stacked in the wrong order, repeated, frozen, or not a stack at all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.pictures import strip
from policyscope.storage import Array

SAME = 0.02
"""Two frames are one if they differ by less than this share of what frames a step apart differ by."""


def stack_order(examination: Examination) -> Iterator[Finding]:
    """Which frame of an observation returns in which place of the next one.

    In a stack, each frame moves one place towards the old end: place i of an observation is place i + 1 of the one
    before. The mean absolute difference between every place of the one and of the other, over pairs of steps, tells the
    order in which frames were really stacked. Grave where it is not the protocol's, where all places hold one frame,
    where nothing ever changes, or where no frame returns.
    """
    episode, lags = examination.episode, examination.agent.protocol.stack
    rows = examination.moving
    if not len(rows):
        return
    before, after = (examination.frames(r).astype(np.float32) for r in (rows, rows + 1))
    still = float((before == after).all(axis=(1, 2, 3, 4)).mean())
    if still > 0.95:
        yield _frozen(examination, before, still, screens=episode.screens is not None)
        return
    if lags == 1:
        return
    # A pair in which nothing moves within the stack tells nothing of its order.
    told = np.abs(before[:, 1:] - before[:, :-1]).mean(axis=(1, 2, 3, 4)) > 0
    if not told.any():
        yield _finding(
            examination,
            f"all {lags} frames of an observation are the same, in each of {len(before)} moments, though the game "
            "moves between them (healthy: each is a step older)",
            before[0],
            tuple(range(lags)),
            "push each new frame into the stack once, and make a copy of the buffer that it is read from",
        )
        return
    moving = before[told]
    # A moment in which all frames differ, rather than an episode's first, shows the order best.
    shown = moving[np.abs(moving[:, 1:] - moving[:, :-1]).mean(axis=(2, 3, 4)).min(axis=1).argmax()]
    table = _differences(moving, after[told])
    if (np.diag(table, k=1)[: lags - 1] < SAME).all():
        return
    order = _order(table)
    if order is None:
        returning = int((np.diag(table, k=1) < SAME).sum())
        yield _finding(
            examination,
            f"{returning} of the {lags} frames of an observation return one place on in the next (healthy: {lags - 1})",
            shown,
            tuple(range(lags)),
            "these are no stacked frames: look for a picture whose axes were reshaped rather than moved (channels last "
            "fed as channels first), noise, or another frame skip between the frames than between the observations",
        )
        return
    held = [lags - 1 - order.index(place) for place in range(lags)]
    wanted = list(range(lags - 1, -1, -1))
    yield _finding(
        examination,
        f"the stack holds the lags {', '.join(map(str, held))}, from its first place to its last (healthy: "
        f"{', '.join(map(str, wanted))})",
        shown,
        tuple(lag for lag, right in zip(held, wanted, strict=True) if lag != right),
        "the protocol's stacks have the newest frame last; look at where new frames are put",
    )


def _differences(before: Array, after: Array) -> Array:
    """(places of the later, places of the earlier) mean absolute differences, over that of frames a step apart."""
    lags = before.shape[1]
    table = np.array([[np.abs(after[:, i] - before[:, j]).mean() for j in range(lags)] for i in range(lags)])
    apart = np.abs(before[:, 1:] - before[:, :-1]).mean()
    scaled: Array = table / max(float(apart), 1e-9)
    return scaled


def _order(table: Array) -> list[int] | None:
    """The places by age, oldest first, if each frame but the newest is the next one's; else None."""
    lags = len(table)
    # The frame at place i of the later observation was at place back[i] of the earlier one.
    back = {i: int(table[i].argmin()) for i in range(lags) if table[i].min() < SAME and table[i].argmin() != i}
    newest = [i for i in range(lags) if i not in back]
    if len(newest) != 1:
        return None
    order, place = newest, None
    while len(order) < lags:
        place = next((i for i, j in back.items() if j == order[0]), None)
        if place is None or place in order:
            return None
        order = [place, *order]
    return order


def _finding(examination: Examination, evidence: str, frames: Array, lags: tuple[int, ...], advice: str) -> Finding:
    count = len(frames)
    captions = [f"lag {count - 1 - place}" for place in range(count)]
    return Finding(
        "stack_order",
        "grave",
        Where("observation", lag=lags or None),
        evidence,
        advice,
        "certain",
        {"frames": float(count)},
        strip(frames, captions, "an observation's frames, in the order of the stack"),
    )


def _frozen(examination: Examination, before: Array, share: float, screens: bool) -> Finding:
    moving = "while the screen changes " if screens else ""
    return Finding(
        "stack_order",
        "grave",
        Where("observation"),
        f"the observation does not change {moving}in {share:.0%} of the moments (healthy: it changes as it does)",
        "look for a buffer that is filled once and handed out for ever, or a reset that is taken for a step",
        "certain" if screens else "likely",
        {"share": share},
        strip(before[0], [f"lag {len(before[0]) - 1 - p}" for p in range(len(before[0]))], "the observation"),
    )
