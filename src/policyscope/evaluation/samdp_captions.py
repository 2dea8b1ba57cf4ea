"""Clusters told in words: where things are and how they move, the game's numbers, what the agent does, what follows.

The paper says of bare t-SNE maps that they tell nothing to those without a background in machine learning. A caption
says what sets a cluster apart from the rest of the play, and nothing that holds everywhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.evaluation.objects.scene import Objects
from policyscope.storage import Array

MOSTLY = 0.6
"""Share of a cluster's frames that something must hold in to be said of it."""
APART = 0.5
"""Standard deviations by which a number must differ from that of the whole play to be said."""
ROAMS = 0.12
"""Share of the screen that a thing must roam over for its place to mean anything."""
ACROSS, DOWN = ("on the left", "in the middle", "on the right"), ("at the top", "halfway down", "at the bottom")
_QUIET = frozenset(
    {"score", "lives", "board", "surface", "gap", "bricks", "breakthrough", "collected divers", "oxygen"}
)
_VERBS = {(1, 0): "moves right", (-1, 0): "moves left", (0, 1): "comes down", (0, -1): "goes up"}
_CONDITIONS, _LEVELS = frozenset({"broken through"}), frozenset({"oxygen"})
_SKIPPED_FACTS = frozenset({"score", "day", "opponent's score"})


class Said(NamedTuple):
    """A statement and how much it sets its cluster apart, in standard deviations or comparable."""

    text: str
    weight: float


@dataclass(frozen=True)
class Caption:
    """A cluster in words.

    Attributes:
        title: The most telling statement or two.
        text: Whole sentences: what is to be seen, the value, the action, what follows.
    """

    title: str
    text: str


def captions(labels: Array, chances: Array, values: Array, episode: Episode, objects: Objects | None) -> list[Caption]:
    """A caption for each cluster.

    Args:
        labels: (n,) clusters of the episode's steps.
        chances: (K, K) where a cluster leads.
        values: (K,) the agent's mean values.
        episode: The n steps.
        objects: Theirs, where the game's are known.
    """
    order = np.argsort(np.argsort(-values))
    found = []
    for k in range(len(values)):
        inside = labels == k
        said = [] if objects is None else _scene(objects, inside)
        said += _fortune(episode, inside)
        said.sort(key=lambda one: -one.weight)
        telling = [one.text for one in said[:2]] or ["ordinary play: nothing stands out"]
        sentences = [_sentence(one.text) for one in said[:4]]
        sentences.append(f"The value is {values[k]:.2f}, {_rank(int(order[k]), len(values))}.")
        sentences.append(_deed(episode, inside))
        sentences.append(_next(chances[k]))
        found.append(Caption(_sentence("; ".join(telling)).rstrip("."), " ".join(s for s in sentences if s)))
    return found


def _scene(objects: Objects, inside: Array) -> list[Said]:
    """What is to be seen in a cluster and not everywhere."""
    said: list[Said] = []
    for index, kind in enumerate(objects.kinds):
        slots = np.flatnonzero(objects.kind_of == index)
        if kind in _QUIET:
            continue
        if len(slots) == 1:
            said += _place(kind, objects.boxes[:, slots[0]], inside, objects.screen)
        else:
            said += _number(kind, objects.present[:, slots].sum(axis=1), inside)
    for name, numbers in objects.facts.items():
        if name not in _SKIPPED_FACTS:
            said += _fact(name, numbers, inside)
    return said


def _place(kind: str, boxes: Array, inside: Array, screen: tuple[int, int]) -> list[Said]:
    """Where a thing is, and where it goes."""
    there = ~np.isnan(boxes[:, 0])
    if not (there & inside).any():
        return [Said(f"there is no {kind}", 2.0)] if there.mean() > 0.2 else []
    absent = 1 - there[inside].mean()
    if absent > MOSTLY and there.mean() > 0.5:
        return [Said(f"there is no {kind}", 2.0)]
    x, y = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
    words, weight = [], 0.0
    moves = _motion(x, y, inside & there, screen)
    for line, names, span in ((y, DOWN, screen[0]), (x, ACROSS, screen[1])):
        low, high = np.nanpercentile(line, 5), np.nanpercentile(line, 95)
        if high - low < ROAMS * span:
            continue
        third = np.clip(((line - low) / (high - low) * 3), 0, 2.99)
        counts = np.bincount(third[inside & there].astype(int), minlength=3) / max((inside & there).sum(), 1)
        usual = np.bincount(third[there].astype(int), minlength=3) / there.sum()
        best = int(counts.argmax())
        if counts[best] >= MOSTLY and counts[best] > usual[best] + 0.15:
            words.append(names[best])
            weight = max(weight, 3 * float(counts[best] - usual[best]))
    if not words and moves is None:
        return []
    verb, extra = moves if moves is not None else ("is", 0.0)
    return [Said(" ".join([f"the {kind}", verb, *words]), weight + extra)]


def _motion(x: Array, y: Array, chosen: Array, screen: tuple[int, int]) -> tuple[str, float] | None:
    """How a thing mostly moves, and how much that differs from chance."""
    steps = np.stack([np.append(np.diff(x), np.nan), np.append(np.diff(y), np.nan)], axis=1)
    # What jumps across the screen has begun anew.
    jumped = (np.abs(steps) > 0.25 * np.array(screen[::-1])).any(axis=1)
    known = chosen & np.isfinite(steps).all(axis=1) & ~jumped
    if known.sum() < 10:
        return None
    usual = np.isfinite(steps).all(axis=1) & ~jumped
    for axis in (1, 0):
        for sign in (1, -1):
            share = float((np.sign(steps[known, axis]) == sign).mean())
            before = float((np.sign(steps[usual, axis]) == sign).mean())
            if share >= 0.7 and share > before + 0.15:
                return _VERBS[(0, sign) if axis else (sign, 0)], 2 * (share - before)
    return None


def _number(kind: str, counts: Array, inside: Array) -> list[Said]:
    """Whether there are more or fewer of a kind than usual."""
    usual, spread, here = counts.mean(), counts.std(), counts[inside].mean()
    if spread == 0 or abs(here - usual) < APART * spread:
        return []
    plural = kind if kind.endswith("s") or kind == "fish" else f"{kind}s"
    amount = f"no {plural}" if here < 0.1 else f"{'more' if here > usual else 'fewer'} {plural} than usual"
    return [Said(f"{amount} ({here:.1f}; {usual:.1f} on average)", float(abs(here - usual) / spread))]


def _fact(name: str, numbers: Array, inside: Array) -> list[Said]:
    usual, spread, here = numbers.mean(), numbers.std(), numbers[inside].mean()
    if spread == 0 or abs(here - usual) < APART * spread:
        return []
    weight = float(abs(here - usual) / spread)
    if name in _CONDITIONS:
        return [Said(f"{'' if here > 0.5 else 'not '}{name}", weight)]
    more = here > usual
    text = (
        f"{name} {'high' if more else 'low'}" if name in _LEVELS else f"{'more' if more else 'fewer'} {name} than usual"
    )
    return [Said(f"{text} ({here:.{_digits(usual)}f}; {usual:.{_digits(usual)}f} on average)", weight)]


def _digits(usual: float) -> int:
    return 1 if abs(usual) < 10 else 0


def _fortune(episode: Episode, inside: Array) -> list[Said]:
    """Whether points are made or lives lost more than usual."""
    said = []
    scored, lost = episode.rewards > 0, np.append(np.diff(episode.lives.astype(int)) < 0, False)
    missed = episode.rewards < 0
    for happened, text in ((scored, "points are made"), (lost, "lives are lost"), (missed, "points are lost")):
        usual, here = float(happened.mean()), float(happened[inside].mean())
        if here > 2 * usual and happened[inside].sum() >= 3:
            said.append(
                Said(f"{text} ({100 * here:.1f} % of the steps; {100 * usual:.1f} % on average)", here / usual / 2)
            )
    return said


def _deed(episode: Episode, inside: Array) -> str:
    """The action mostly taken."""
    if episode.actions is None or episode.actions.ndim != 1:
        return ""
    names = episode.meta.get("actions") or []
    action, times = Counter(episode.actions[inside].tolist()).most_common(1)[0]
    share = times / inside.sum()
    name = names[action] if action < len(names) else f"action {action}"
    if share >= 0.4:
        return f"It mostly takes {name} ({100 * share:.0f} %)."
    return f"No action prevails ({name}, the most frequent, {100 * share:.0f} %)."


def _next(chances: Array) -> str:
    order = np.argsort(-chances)
    ends = 1 - chances.sum()
    if chances[order[0]] == 0:
        return "It ends there."
    usually = "usually " if chances[order[0]] >= 0.5 else ""
    text = f"Next it {usually}goes to {order[0] + 1} ({100 * chances[order[0]]:.0f} %)"
    if len(order) > 1 and chances[order[1]] >= 0.2:
        text += f" or {order[1] + 1} ({100 * chances[order[1]]:.0f} %)"
    return text + (f"; {100 * ends:.0f} % end the game." if ends >= 0.05 else ".")


def _rank(place: int, count: int) -> str:
    if place == 0:
        return "the highest of all"
    if place == count - 1:
        return "the lowest of all"
    return "high" if place < count / 3 else "low" if place >= 2 * count / 3 else "medium"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
