"""Replay of many games side by side: each frame is kept once; observations and returns are put together when drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from policyscope.storage import Array


@dataclass(frozen=True)
class Batch:
    """Transitions over n steps.

    Attributes:
        places: Where they are in the replay: rows (B,) and games (B,), for :meth:`Replay.update`.
        observations: (B, stack, H, W) uint8; frames of before a game began are zero.
        later: (B, stack, H, W) uint8, n steps later (of another game, where the return ended on the way).
        actions: (B,) int64.
        returns: (B,) float32, the discounted rewards of n steps.
        discounts: (B,) float32, gamma^n, or 0 where a return ended on the way.
        weights: (B,) float32, what prioritised drawing is corrected by; 1 where it is uniform.
        labels: (B, labels) float32, what was said of the states when they were added.
    """

    places: tuple[Array, Array]
    observations: Tensor
    later: Tensor
    actions: Tensor
    returns: Tensor
    discounts: Tensor
    weights: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Stretches:
    """R times K states in a row, for networks that share what neighbours have in common.

    Attributes:
        frames: (R, stack - 1 + K + n, H, W) uint8: those of the first state's observation but its newest, then the
            newest of each of K + n states.
        age: (R, K + n) int64, steps since the game of each state began.
        batch: The R x K transitions, row by row, without observations.
    """

    frames: Tensor
    age: Tensor
    batch: Batch


class Replay:
    """The last states of each game.

    Drawn uniformly, or in proportion to the last error to a power (Schaul et al., 2016, proportional variant).
    """

    def __init__(
        self,
        capacity: int,
        games: int,
        *,
        stack: int = 4,
        n_step: int = 1,
        gamma: float = 0.99,
        priority: float = 0.0,
        correction: float = 0.5,
        labels: int = 0,
        size: tuple[int, int] = (84, 84),
    ) -> None:
        """Takes the memory.

        Args:
            capacity: States kept, over all games.
            games: Games side by side.
            stack: Frames of an observation.
            n_step: Steps of a return.
            gamma: Discount of a step.
            priority: The power; 0 draws uniformly.
            correction: Power of the weights that correct for it.
            labels: Numbers said of each state.
            size: Of a frame.
        """
        self.length = max(capacity // games, stack + n_step + 1)
        self.games, self.stack, self.n_step = games, stack, n_step
        self.priority, self.correction = priority, correction
        shape = (self.length, games)
        self._frames = np.zeros((*shape, *size), np.uint8)
        self._actions = np.zeros(shape, np.int64)
        self._rewards = np.zeros(shape, np.float32)
        self._ends = np.zeros(shape, bool)
        self._age = np.zeros(shape, np.int64)
        self._labels = np.zeros((*shape, labels), np.float32)
        self._priorities = np.zeros(shape, np.float32)
        self._discounts = gamma ** np.arange(n_step, dtype=np.float32)
        self._later_discount = gamma**n_step
        self._highest, self._count = 1.0, 0

    def append(
        self, frames: Array, age: Array, actions: Array, rewards: Array, ends: Array, labels: Array | float = 0.0
    ) -> None:
        """Adds a step of all games.

        Args:
            frames: (games, H, W) uint8, the newest frame of each observation acted on.
            age: (games,), steps since that game began.
            actions: (games,), what was done there.
            rewards: (games,), what it brought.
            ends: (games,) bool, whether the return ended with it.
            labels: (games, labels), what is said of the states.
        """
        row = self._count % self.length
        self._labels[row] = labels
        self._frames[row], self._age[row] = frames, age
        self._actions[row], self._rewards[row], self._ends[row] = actions, rewards, ends
        self._priorities[row] = 0.0  # not drawn before its return is known
        if self._count >= self.n_step:
            self._priorities[(row - self.n_step) % self.length] = self._highest
        # The oldest states lose the older frames of their stacks to the rows that come next.
        self._priorities[[(row + ahead) % self.length for ahead in range(1, self.stack)]] = 0.0
        self._count += 1

    def draw(self, size: int, rng: np.random.Generator) -> Batch:
        """Draws transitions.

        Args:
            size: How many.
            rng: What chance they are drawn by.
        """
        rows, games = self._by_priority(size, rng) if self.priority else self._evenly(size, rng)
        chance = self._priorities[rows, games]
        weights = (chance.min() / chance) ** self.correction
        return self._batch(rows, games, weights, True)

    def _by_priority(self, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
        cumulative = np.cumsum(self._priorities.ravel(), dtype=np.float64)
        flat = np.searchsorted(cumulative, rng.random(size) * cumulative[-1], side="right")
        # Rounding may end a search beyond the last state, or on one that is not drawable.
        flat = np.minimum(flat, np.flatnonzero(self._priorities.ravel())[-1])
        rows, games = np.divmod(flat, self.games)
        return rows, games

    def _evenly(self, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
        found = np.zeros((0, 2), np.int64)
        while len(found) < size:
            drawn = rng.integers(0, (min(self._count, self.length), self.games), (2 * size, 2))
            found = np.concatenate([found, drawn[self._priorities[drawn[:, 0], drawn[:, 1]] > 0]])
        return found[:size, 0], found[:size, 1]

    def draw_stretches(self, count: int, states: int, rng: np.random.Generator) -> Stretches:
        """Draws states in a row, uniformly.

        Args:
            count: Stretches.
            states: In each.
            rng: What chance they are drawn by.
        """
        drawable = self._priorities > 0
        whole = np.logical_and.reduce([np.roll(drawable, -ahead, axis=0) for ahead in range(states)])
        rows, games = np.divmod(rng.choice(np.flatnonzero(whole), count), self.games)
        newest = (rows[:, None] + np.arange(states + self.n_step)) % self.length
        every = (rows[:, None] + np.arange(1 - self.stack, states + self.n_step)) % self.length
        each, of = newest[:, :states].ravel(), np.repeat(games, states)
        return Stretches(
            torch.from_numpy(self._frames[every, games[:, None]]),
            torch.from_numpy(self._age[newest, games[:, None]]),
            self._batch(each, of, np.ones(len(each)), False),
        )

    def _batch(self, rows: Array, games: Array, weights: Array, with_observations: bool) -> Batch:
        size = len(rows)
        ahead = (rows[:, None] + np.arange(self.n_step)) % self.length
        ends = self._ends[ahead, games[:, None]]
        alive = np.concatenate([np.ones((size, 1), bool), ~np.logical_or.accumulate(ends, axis=1)], axis=1)
        returns = (self._rewards[ahead, games[:, None]] * self._discounts * alive[:, :-1]).sum(axis=1)
        return Batch(
            (rows, games),
            self._observations(rows, games) if with_observations else torch.empty(0),
            self._observations((rows + self.n_step) % self.length, games) if with_observations else torch.empty(0),
            torch.from_numpy(self._actions[rows, games]),
            torch.from_numpy(returns.astype(np.float32)),
            torch.from_numpy((self._later_discount * alive[:, -1]).astype(np.float32)),
            torch.from_numpy(weights.astype(np.float32)),
            torch.from_numpy(self._labels[rows, games]),
        )

    def update(self, batch: Batch, errors: Tensor) -> None:
        """Tells how wrong the network was, which is how often a transition will be drawn.

        Args:
            batch: What was drawn.
            errors: (B,).
        """
        if self.priority:
            rows, games = batch.places
            values = (np.abs(errors.detach().cpu().numpy()) + 1e-2) ** self.priority
            drawable = self._priorities[rows, games] > 0
            self._priorities[rows, games] = np.where(drawable, values, 0.0)
            self._highest = max(0.999 * self._highest, float(values.max()))

    def _observations(self, rows: Array, games: Array) -> Tensor:
        back = np.arange(self.stack - 1, -1, -1)
        frames = self._frames[(rows[:, None] - back) % self.length, games[:, None]]
        frames[back[None] > self._age[rows, games][:, None]] = 0  # before the game began, as the environment has it
        return torch.from_numpy(frames)
