"""Deletion and insertion (Petsiuk et al., 2018): does what a map marks matter to the agent?

Pixels are hidden in the order of the map, the most salient first (*deletion*), or, beginning with everything hidden,
shown in that order (*insertion*). A faithful map changes the agent soon when its pixels go, and leaves little changed
once they are there: a large area under the deletion curve of the change, a small one under the insertion curve. RISE
draws the class's probability instead, which falls where the change (``probability``) grows.

Hiding the least salient share ``s`` is the same observation as showing the most salient ``1 - s``. So the deletion in
the order of least salience has the area of the insertion, and their difference (``Curves.contrast``) compares both
orders with no pass more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.hiding import (
    MEASURES,
    Answers,
    Baseline,
    Hiding,
    Lags,
    States,
    changes,
    chunks,
    explained_actions,
    ranks,
    top,
)
from policyscope.evaluation.magnitude import flat, magnitude
from policyscope.evaluation.method_maps import MapsOf
from policyscope.storage import Array

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7)
"""Of the pixels; nothing and everything come along. Small ones lie close: a ball is one pixel in a thousand."""
ROWS = 16
"""States whose maps are in memory at once."""
RANDOM = "random"

Kind = Literal["deletion", "insertion"]


@dataclass(frozen=True)
class Curves:
    """How an agent changes as parts of its states are hidden.

    Attributes:
        rows: (n,) of the episode.
        shares: (steps,) of the pixels that are hidden (deletion) or shown (insertion), from 0 to 1.
        deletion: Name -> (n, measures, steps) float64; NaN for a flat map, which has no order. ``random`` is an order
            drawn by chance.
        insertion: The same.
        passes: States that went through the network.
        asked: States that would have, had each been asked for by itself.
    """

    rows: Array
    shares: Array
    deletion: dict[str, Array]
    insertion: dict[str, Array]
    passes: int
    asked: int
    measures: tuple[str, ...] = field(default=MEASURES)

    def area(self, kind: Kind, name: str, measure: str) -> Array:
        """The area under a curve of each frame (n,), by the trapezoid rule over shares from 0 to 1."""
        curves = (self.deletion if kind == "deletion" else self.insertion)[name]
        return np.asarray(np.trapezoid(curves[:, self.measures.index(measure)], self.shares, axis=1))

    def gain(self, name: str, measure: str) -> Array:
        """By how much a map's deletion changes more than that of an order drawn by chance, areas, (n,)."""
        return self.area("deletion", name, measure) - self.area("deletion", RANDOM, measure)

    def contrast(self, name: str, measure: str) -> Array:
        """By how much hiding the most salient first changes more than hiding the least salient first, areas, (n,)."""
        return self.area("deletion", name, measure) - self.area("insertion", name, measure)

    def at(self, kind: Kind, name: str, measure: str, share: float) -> Array:
        """The change at one of the shares, (n,)."""
        step = int(np.abs(self.shares - share).argmin())
        curves = (self.deletion if kind == "deletion" else self.insertion)[name]
        return np.asarray(curves[:, self.measures.index(measure), step])


def deletion(
    agent: Agent,
    episode: Episode,
    rows: Array,
    maps: MapsOf,
    *,
    shares: Sequence[float] = SHARES,
    baseline: Baseline = "blur",
    sigma: float = 5.0,
    lags: Lags = "all",
    window: int = 1,
    seed: int = 0,
) -> Curves:
    """Deletion and insertion curves of all of a source's maps, and of a random order.

    Args:
        agent: Who looks.
        episode: What it saw.
        rows: (n,) of the episode.
        maps: From some of the rows to name -> (n, H, W); signed ones count by their absolute value.
        shares: Between 0 and 1, growing.
        baseline: What stands in for hidden pixels.
        sigma: Of the blur, in pixels of the observation.
        lags: Whether all stacked frames are hidden alike, or the newest alone.
        window: See :class:`Hiding`.
        seed: Of the random order, and of the order of ties.
    """
    hiding = Hiding(agent, episode, baseline=baseline, sigma=sigma, lags=lags, window=window)
    asked = 0
    both: tuple[dict[str, list[Array]], dict[str, list[Array]]] = ({}, {})
    for number, chunk in enumerate(chunks(rows, ROWS)):
        found = dict(maps(chunk))
        states = hiding.states(chunk)
        before = states.original
        actions = explained_actions(episode, chunk, before)
        orders = {name: ranks(own, seed=seed + number) for name, own in found.items()}
        chance = np.random.default_rng([seed, number, 1]).random((len(chunk), *states.size), np.float32)
        orders[RANDOM] = ranks(chance)
        known = {name: ~flat(magnitude(own)) for name, own in found.items()}
        known[RANDOM] = np.ones(len(chunk), bool)
        ends = states.answered(np.arange(len(chunk)), np.ones((len(chunk), *states.size), bool))
        full = changes(before, ends, actions)
        asked += 2 * len(orders) * len(chunk) * (len(shares) + 2)
        inner = _inner(states, before, actions, orders, known, shares)
        for kind, store in enumerate(both):
            for name in orders:
                curve = np.full((len(chunk), len(MEASURES), len(shares) + 2), np.nan)
                curve[:, :, 1:-1] = inner[name][:, kind].swapaxes(1, 2)
                first, last = (0.0, full) if kind == 0 else (full, 0.0)
                curve[:, :, 0], curve[:, :, -1] = first, last
                none = np.isnan(full)  # a measure that does not apply is not zero at the other end either
                curve[none] = np.nan
                curve[~known[name]] = np.nan
                store.setdefault(name, []).append(curve)
    grid = np.array([0.0, *shares, 1.0])
    deleted, inserted = ({name: np.concatenate(parts) for name, parts in store.items()} for store in both)
    return Curves(rows, grid, deleted, inserted, hiding.passes_made, asked)


def _inner(
    states: States,
    before: Answers,
    actions: Array,
    orders: dict[str, Array],
    known: dict[str, Array],
    shares: Sequence[float],
) -> dict[str, Array]:
    """Changes between the ends, name -> (n, deletion or insertion, steps, measures); equal masks are asked for once."""
    place: dict[tuple[int, bytes], int] = {}
    index: list[int] = []
    masks: list[Array] = []
    where: dict[str, Array] = {}
    for name, order in orders.items():
        hidden = np.stack([top(order, share) for share in shares], axis=1)
        hidden = np.stack([hidden, ~hidden], axis=1)
        where[name] = np.full(hidden.shape[:3], -1)
        packed = np.packbits(hidden.reshape(*hidden.shape[:3], -1), axis=-1)
        for state in np.flatnonzero(known[name]):
            for kind in range(2):
                for step in range(len(shares)):
                    key = (int(state), packed[state, kind, step].tobytes())
                    if key not in place:
                        place[key] = len(index)
                        index.append(int(state))
                        masks.append(hidden[state, kind, step])
                    where[name][state, kind, step] = place[key]
    which = np.array(index)
    after = states.answered(which, np.stack(masks))
    found = changes(before[which], after, actions[which])
    return {name: np.where(places[..., None] >= 0, found[places], np.nan) for name, places in where.items()}
