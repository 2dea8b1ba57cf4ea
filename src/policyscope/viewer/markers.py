"""Steps that stand out: where the agent was surprised, undecided or rewarded, and where the methods disagree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering.facts import Facts, actions_of, facts, probabilities, signed_number
from policyscope.rendering.words import number
from policyscope.saliency.maps import Maps
from policyscope.storage import Array
from policyscope.viewer.series import discrete, entry_names

GAMMA = 0.99
CLOSE = 0.1
"""What counts as a close call: the two best actions differ by less than this share."""


@dataclass(frozen=True)
class Marker:
    """A step that stands out.

    Attributes:
        step: Which.
        kind: ``reward``, ``loss``, ``advantage``, ``surprise``, ``value``, ``tie`` or ``disagreement``.
        text: What is there.
    """

    step: int
    kind: str
    text: str


def markers(episode: Episode, maps: Maps | None = None, per_kind: int = 3) -> list[Marker]:
    """The steps that stand out, kind by kind and the strongest first.

    Args:
        episode: What was played.
        maps: What was explained of it.
        per_kind: Steps of a kind at most; of advantages and surprises as many of either sign. Steps of one kind are
            at least a twentieth of the episode apart.
    """
    if not len(episode):
        return []
    known = facts(episode)
    found = (
        *_rewards(known, per_kind),
        *_losses(known, per_kind),
        *_advantages(episode, known, per_kind),
        *_surprises(episode, per_kind),
        *_jumps(episode, per_kind),
        *_ties(episode, per_kind),
        *_disagreements(maps, len(episode), per_kind),
    )
    return list(found)


def state_value(episode: Episode) -> Array | None:
    """What the agent expects from each state on, (N,) float64: the value stream, else the best action's Q."""
    value, q = episode.streams.get("value"), episode.streams.get("q")
    if value is not None and value.shape[1] == 1:
        return value[:, 0].astype(np.float64)
    return None if q is None else q.max(axis=1).astype(np.float64)


def surprise(episode: Episode, gamma: float = GAMMA) -> Array | None:
    """The temporal-difference error of each step, ``r + gamma V(next) - V``, (N,) float64.

    Rewards are as the game gives them, whatever the agent learned from. Nothing is expected after a step that
    terminated; where what came next is not known (cut off, the last step, a start without an end), it is NaN.
    """
    value = state_value(episode)
    if value is None:
        return None
    following = np.append(value[1:], np.nan)
    following[:-1][episode.starts[1:]] = np.nan
    following[episode.truncated] = np.nan
    following[episode.terminated] = 0
    return np.asarray(episode.rewards.astype(np.float64) + gamma * following - value)


def advantage(episode: Episode) -> Array | None:
    """How much better the action taken is than the mean of all, (N,) float64.

    From the advantage stream, whose level means nothing by itself, else from Q; None where the agent has neither.
    """
    taken = episode.actions
    for name in ("advantage", "q"):
        values = episode.streams.get(name)
        if values is None or taken is None or taken.ndim != 1 or values.shape[1] < 2 or taken.max() >= values.shape[1]:
            continue
        wide = values.astype(np.float64)
        return np.asarray(np.take_along_axis(wide, taken[:, None], axis=1)[:, 0] - wide.mean(axis=1))
    return None


def closeness(episode: Episode) -> tuple[str, Array] | None:
    """How far the best action is ahead of the second: the stream it is told from, and (N,) float64.

    By Q it is relative to the spread of all actions in that state, of two actions to the median spread; by a policy
    it is the difference of probabilities.
    """
    q, policy = episode.streams.get("q"), episode.streams.get("policy")
    if not discrete(episode):
        return None
    if q is not None and q.shape[1] > 1:
        wide = np.sort(q.astype(np.float64), axis=1)
        spread = wide[:, -1] - wide[:, 0]
        if q.shape[1] == 2:
            spread = np.full_like(spread, np.median(spread))
        return "q", (wide[:, -1] - wide[:, -2]) / np.where(spread > 0, spread, np.nan)
    if policy is not None and policy.shape[1] > 1:
        wide = np.sort(probabilities(policy), axis=1)
        return "probability", wide[:, -1] - wide[:, -2]
    return None


def peaks(strength: Array, count: int, apart: float, taken: Sequence[int] = ()) -> list[int]:
    """The rows of the largest finite values, the largest first and none nearer to another than ``apart``."""
    free = np.where(np.isfinite(strength), strength.astype(np.float64), -np.inf)
    near = max(int(np.ceil(apart)), 1)
    found: list[int] = []
    for step in taken:
        free[max(step - near + 1, 0) : step + near] = -np.inf
    while len(found) < count and np.isfinite(free.max()):
        step = int(free.argmax())
        free[max(step - near + 1, 0) : step + near] = -np.inf
        found.append(step)
    return found


def _rewards(known: Facts, count: int) -> Iterator[Marker]:
    size = np.abs(known.rewards)
    for step in peaks(np.where(size > 0, size, np.nan), count, len(size) / 20):
        yield Marker(step, "reward", f"reward {signed_number(float(known.rewards[step]))}")


def _losses(known: Facts, count: int) -> Iterator[Marker]:
    if known.lives is None:
        return
    for step in peaks(np.where(known.lost, 1.0, np.nan), count, len(known) / 20):
        over = step + 1 == len(known) or known.starts[step + 1]
        yield Marker(step, "loss", "the last life is lost" if over else f"a life is lost, {known.lives[step + 1]} left")


def _advantages(episode: Episode, known: Facts, count: int) -> Iterator[Marker]:
    values = advantage(episode)
    if values is None or known.actions is None or len(np.unique(values[np.isfinite(values)])) < 2:
        return
    for step in _both_ends(values, values, count):
        better = "better" if values[step] >= 0 else "worse"
        text = f"{known.actions[step]} is {number(abs(float(values[step])))} {better} than the mean action"
        yield Marker(step, "advantage", text)


def _surprises(episode: Episode, count: int) -> Iterator[Marker]:
    values = surprise(episode)
    if values is None:
        return
    for step in _both_ends(np.where(values > 0, values, np.nan), np.where(values < 0, values, np.nan), count):
        better = "better" if values[step] > 0 else "worse"
        yield Marker(step, "surprise", f"{number(abs(float(values[step])))} {better} than expected")


def _jumps(episode: Episode, count: int) -> Iterator[Marker]:
    value = state_value(episode)
    if value is None:
        return
    change = np.diff(value, prepend=np.nan)
    change[episode.starts] = np.nan
    name = "the value" if "value" in episode.streams else "the best Q"
    for step in peaks(np.where(change != 0, np.abs(change), np.nan), count, len(value) / 20):
        moves = "rises" if change[step] > 0 else "falls"
        yield Marker(step, "value", f"{name} {moves} by {number(abs(float(change[step])))}")


def _ties(episode: Episode, count: int) -> Iterator[Marker]:
    found = closeness(episode)
    if found is None:
        return
    name, gap = found
    shown: Callable[[float], str] = number if name == "q" else lambda share: f"{100 * share:.0f} %"
    values = episode.streams["q"] if name == "q" else probabilities(episode.streams["policy"])
    actions = entry_names(name, values.shape[1], actions_of(episode))
    for step in peaks(np.where(gap < CLOSE, -gap, np.nan), count, len(gap) / 20):
        first, second = (int(i) for i in np.argsort(-values[step], kind="stable")[:2])
        told = (f"{actions[i]} {shown(float(values[step, i]))}" for i in (first, second))
        yield Marker(step, "tie", " or ".join(told))


def _disagreements(maps: Maps | None, steps: int, count: int) -> Iterator[Marker]:
    values = None if maps is None else maps.disagreement()
    if values is None:
        return
    for step in peaks(values[:steps], count, steps / 20):
        yield Marker(step, "disagreement", f"the methods disagree by {float(values[step]):.2f}")


def _both_ends(high: Array, low: Array, count: int) -> list[int]:
    """The largest of the one and the smallest of the other, by turns; neither is near another."""
    apart, ups, downs = len(high) / 20, list[int](), list[int]()
    for _ in range(count):
        ups += peaks(high, 1, apart, [*ups, *downs])
        downs += peaks(-low, 1, apart, [*ups, *downs])
    return [step for step in chain(*zip_longest(ups, downs)) if step is not None]
