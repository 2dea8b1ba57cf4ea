"""Which steps of an episode are worth a look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.rendering.facts import Facts, signed_number
from policyscope.rendering.sources import Array
from policyscope.rendering.words import number


@dataclass(frozen=True)
class Moment:
    """A step, and why it was chosen."""

    step: int
    reason: str


def interesting(facts: Facts, count: int = 6) -> list[Moment]:
    """Chooses steps that tell an episode's story.

    Four kinds take turns until there are enough: the largest reward, a life lost, the largest change of the value
    (or of Q) from one step to the next, and the middle of the longest stretch without a moment. No two moments are
    closer than a quarter of their even distance; of equals, the one farthest from the others is taken.

    Returns:
        At most ``count`` moments, in the order of the steps.
    """
    n = len(facts)
    change = np.zeros(n)
    if facts.curves and n > 1:
        values = np.nan_to_num(np.asarray(facts.curves[0].values, np.float64))
        # where a new game begins the value jumps because the past is gone, not because the agent saw something
        change[1:] = np.where(facts.starts[1:], 0, np.diff(values))
    strengths = (
        ("reward", np.abs(facts.rewards)),
        ("loss", facts.lost.astype(float)),
        ("change", np.abs(change)),
        ("spread", np.ones(n)),
    )
    chosen: dict[int, str] = {}
    apart = n / count / 4
    while len(chosen) < min(count, n):
        before = len(chosen)
        for kind, strength in strengths:
            step = _next(strength, list(chosen), apart)
            if step is not None and len(chosen) < count:
                chosen[step] = _reason(kind, step, facts, change)
        if len(chosen) == before:
            apart /= 2
            if apart < 0.5:
                break
    return [Moment(step, chosen[step]) for step in sorted(chosen)]


def described(facts: Facts, steps: list[int]) -> list[Moment]:
    """Steps that somebody chose, with what happened there."""
    return [Moment(step, _happened(step, facts)) for step in steps]


def _next(strength: Array, chosen: list[int], apart: float) -> int | None:
    steps = np.arange(len(strength))
    # the ends count as moments half as far away, so that the spread does not start at the very first step
    ends = 2 * np.minimum(steps + 1, len(steps) - steps)
    near = np.abs(steps[:, None] - np.array(chosen)[None]).min(axis=1) if chosen else np.full(len(steps), len(steps))
    free = (strength > 0) & (near >= max(apart, 1))
    if not free.any():
        return None
    order = np.lexsort((np.minimum(near, ends), np.where(free, strength, -1)))
    return int(order[-1])


def _reason(kind: str, step: int, facts: Facts, change: Array) -> str:
    if kind == "change":
        name = facts.curves[0].name
        return f"{name} {'rises' if change[step] > 0 else 'falls'} {number(abs(float(change[step])))}"
    return _happened(step, facts)


def _happened(step: int, facts: Facts) -> str:
    if facts.lost[step]:
        return "life lost"
    reward = float(facts.rewards[step])
    return f"reward {signed_number(reward)}" if reward else ""
