"""What a learner did lately: its last states with the network's outputs, the actions, what they brought, the ends."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, fields
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from policyscope.storage import Array
from policyscope.training.watch.draws import Draws, draws_of

ROWS = 16_384
"""States that are kept, over all games."""
_FEWEST, _BLOCKS = 64, 16
_APART = 3
_MARKS = 1.1


class Kept:
    """Rows of an array in another order, of which only those that are asked for are copied."""

    def __init__(self, array: Array, order: Array) -> None:
        self._array, self._order = array, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, key: Any) -> Array:
        """Rows, or (rows, games)."""
        rows, *more = key if isinstance(key, tuple) else (key,)
        found: Array = self._array[(self._order[rows], *more)]
        return found


@dataclass(frozen=True)
class Acted:
    """A stretch of T steps of N games, oldest first; what was not told is not a number, or not there.

    Attributes:
        steps: (T,) where the training was.
        q: (T, N, A), or None.
        policy: (T, N, A) logits, or None.
        value: (T, N), or None.
        actions: (T, N) int64, or None where they are continuous.
        rewards: (T, N) float32, as the learner is given them.
        ends: (T, N) bool, no return goes beyond.
        over: (T, N) bool, the next state is another game's first.
        frames: (T, N, h, w), a coarse copy of the newest frame that was acted on, or None.
        epsilon: (T,) the chance of a random action, as it was said.
    """

    steps: Array
    q: Array | None
    policy: Array | None
    value: Array | None
    actions: Array | None
    rewards: Array
    ends: Array
    over: Array
    frames: Kept | None
    epsilon: Array

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def games(self) -> int:
        """Games side by side."""
        return int(self.rewards.shape[1])

    def known(self, stream: str) -> Array:
        """(T, N) bool: where the outputs of ``q`` or ``policy`` were told, finite, together with the action."""
        values = getattr(self, stream)
        if values is None or self.actions is None:
            return np.zeros(self.rewards.shape, bool)
        found: Array = np.isfinite(values).all(axis=2)
        return found


@dataclass
class Tally:
    """Counts over the whole training.

    Attributes:
        sweeps: Steps of all games.
        states: Acted on.
        ends: Of returns.
        rewarded: Steps with a reward.
        largest: Size of the largest reward.
        total: Sum of the rewards' sizes.
        off: Rewards that are neither 0 nor 1 nor -1.
        beyond: Rewards larger than 1.
        epsilon: The largest chance of a random action that was said; not a number where it was not said always.
    """

    sweeps: int = 0
    states: int = 0
    ends: int = 0
    rewarded: int = 0
    largest: float = 0.0
    total: float = 0.0
    off: int = 0
    beyond: int = 0
    epsilon: float = 0.0

    def add(self, rewards: Array, ends: Array, epsilon: Array) -> None:
        """Counts some steps."""
        sizes = np.abs(rewards)
        self.epsilon = float(np.maximum(self.epsilon, epsilon.max(initial=0.0)))
        self.sweeps += len(rewards)
        self.states += rewards.size
        self.ends += int(ends.sum())
        self.rewarded += int((sizes > 0).sum())
        self.largest = max(self.largest, float(sizes.max(initial=0.0)))
        self.total += float(sizes.sum())
        self.off += int(((sizes > 0) & (np.abs(sizes - 1) > 1e-6)).sum())
        self.beyond += int((sizes > 1 + 1e-6).sum())


class Experience:
    """The last steps of N games, in a ring, and counts of all. Adding a step costs a few small copies.

    Attributes:
        tally: Counts over the whole training.
        sweeps: Steps of all games that were added.
    """

    def __init__(self, rows: int = ROWS) -> None:
        self._rows, self._arrays = rows, dict[str, Array]()
        self._length = 0
        self._uncounted = 0
        self._before, self._blocks = Draws(), deque[tuple[int, Draws]]()
        self._marks: list[tuple[int, int]] = [(0, 0)]
        self._ends = 0
        self.tally, self.sweeps = Tally(), 0

    def add(
        self,
        step: int,
        rewards: Array,
        ends: Array,
        over: Array,
        *,
        actions: Array | None = None,
        epsilon: float | None = None,
        observations: Any = None,
        **outputs: Array | None,
    ) -> None:
        """Adds a step of all games.

        Args:
            step: Where the training is.
            rewards: (N,).
            ends: (N,) bool.
            over: (N,) bool.
            actions: (N,) of one choice each.
            epsilon: Chance of a random action.
            observations: (N, …) that was acted on.
            outputs: ``q`` (N, A), ``policy`` (N, A), ``value`` (N,).
        """
        games = len(rewards)
        if not self._length:
            self._length = max(self._rows // games, _FEWEST)
        row = self.sweeps % self._length
        self._put("steps", row, step, np.int64)
        self._put("rewards", row, rewards, np.float32)
        self._put("ends", row, ends, bool)
        self._put("over", row, over, bool)
        self._put("epsilon", row, np.nan if epsilon is None else epsilon, np.float32)
        for name in ("q", "policy", "value"):
            value = outputs.get(name)
            if value is not None:
                self._put(name, row, value, np.float32)
            elif name in self._arrays:
                self._arrays[name][row] = np.nan
        if actions is not None:
            self._put("actions", row, actions, np.int64)
        if observations is not None:
            self._put("frames", row, coarse(observations))
        self.sweeps += 1
        self._uncounted += 1
        self._ends += int(np.count_nonzero(ends))
        if self.sweeps * games >= _MARKS * self._marks[-1][0]:
            self._marks.append((self.sweeps * games, self._ends))
        if self._uncounted == self._length:
            self._count()

    def acted(self) -> Acted:
        """The steps that are kept."""
        self._count()
        kept = min(self.sweeps, self._length)
        order = np.arange(self.sweeps - kept, self.sweeps) % max(self._length, 1)
        found: dict[str, Any] = {f.name: self._arrays.get(f.name) for f in fields(Acted)}
        for name, array in found.items():
            if array is not None:
                found[name] = Kept(array, order) if name == "frames" else array[order]
        return Acted(**found)

    def draws(self) -> tuple[Draws, Draws]:
        """How actions agree with outputs: of late, and since the beginning."""
        self._count()
        lately = reduce(add, (draws for _, draws in self._blocks), Draws())
        return lately, self._before + lately

    @property
    def share_of_ends(self) -> float:
        """Ends that came in the first half of all steps, over all steps; the least that a replay of them all holds.

        Whoever learns from each stretch of steps in turn has had those by now, even if it is a few stretches behind.
        """
        states = self.sweeps * self._arrays["rewards"].shape[1] if self.sweeps else 0
        return self._marks[bisect_right(self._marks, (states // 2, states)) - 1][1] / max(states, 1)

    def _count(self) -> None:
        rows = np.arange(self.sweeps - self._uncounted, self.sweeps) % max(self._length, 1)
        self._uncounted = 0
        if not len(rows):
            return
        self.tally.add(self._arrays["rewards"][rows], self._arrays["ends"][rows], self._arrays["epsilon"][rows])
        told = {name: self._arrays[name][rows] if name in self._arrays else None for name in ("q", "policy", "actions")}
        draws = draws_of(told["q"], told["policy"], told["actions"], self._arrays["epsilon"][rows])
        if self._blocks and self._blocks[-1][0] * _BLOCKS < self._length:  # rounds that follow closely share a block
            sweeps, last = self._blocks.pop()
            self._blocks.append((sweeps + len(rows), last + draws))
        else:
            self._blocks.append((len(rows), draws))
        half = self._length // 2  # of what is kept counts as of late
        while len(self._blocks) > 1 and sum(sweeps for sweeps, _ in self._blocks) - self._blocks[0][0] >= half:
            self._before += self._blocks.popleft()[1]

    def _put(self, name: str, row: int, value: Any, dtype: Any = None) -> None:
        array = self._arrays.get(name)
        if array is None:  # the first of its kind says the shape of all
            shape, kind = np.shape(value), np.dtype(dtype or value.dtype)
            array = np.full((self._length, *shape), np.nan if np.issubdtype(kind, np.floating) else 0, kind)
            self._arrays[name] = array
        array[row] = value


def coarse(observations: Any) -> Array:
    """Every third row and column of the newest frame of observations (N, …, H, W) or (N, H, W, C), a view."""
    seen = np.asarray(observations)
    if seen.ndim < 3:
        return seen
    if seen.ndim == 4 and seen.shape[-1] < min(seen.shape[1:3]):
        return seen[:, ::_APART, ::_APART, -1]
    while seen.ndim > 3:
        seen = seen[:, -1]
    return seen[:, ::_APART, ::_APART]
