"""An episode's states with something changed in what the agent saw, and what it would have done then."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np
import torch
from torch import Tensor

from policyscope.diagnosis.examination import Examination
from policyscope.episodes.picture import arranged
from policyscope.episodes.policy import bounded, policy_of
from policyscope.rendering.sources import frames as apart
from policyscope.rendering.sources import value_range
from policyscope.saliency.record import evaluating
from policyscope.storage import Array

STATES, STATES_IN_TIME = 96, 24
"""States that are altered; fewer of recurrent networks that look at a stack frame by frame, which are slow."""
WINDOW = 8
"""Frames that are altered with a state where an agent has a memory: at four screens a frame half a second, in which
whoever looks has seen what is there."""
AROUND = 8
"""Steps before and after a state in which something must move to count as moving."""
CHANGED, NEAR, MOST = 0.02, 2, 0.5
"""Of the range between black and white; pixels around; and the share of a picture beyond which it is a new scene."""


class Altered:
    """States of an episode, spread over it, in each of which the agent's decision can be taken again.

    Attributes:
        rows: (n,) of the episode, each at least a window after its episode's start where the agent has a memory.
        size: Frames of a window: 1 for agents without a memory.
        others: (n,) rows of other moments of the episode, drawn by chance.
    """

    def __init__(self, examination: Examination, seed: int = 0) -> None:
        self._examination = examination
        episode = examination.episode
        self.size = WINDOW if examination.agent.memory_size else 1
        starts = np.maximum.accumulate(np.where(episode.starts, np.arange(len(episode)), 0))
        old = np.flatnonzero(np.arange(len(episode)) - starts >= self.size - 1)
        most = STATES_IN_TIME if self.size > 1 and examination.agent.protocol.layout == "time" else STATES
        self.rows: Array = old[_spread(len(old), most)]
        self._random = np.random.default_rng(seed)
        self.others: Array = self._random.permutation(self.rows)

    # -- decisions ----------------------------------------------------------------------------------------------

    @cached_property
    def all(self) -> Array:
        """(N, k): the decision in every state of the episode, as ``decisions`` has it."""
        return decisions(self._examination, self._examination.streams)

    @cached_property
    def taken(self) -> Array:
        """(n, k): the decisions in ``rows``."""
        return self.all[self.rows]

    @cached_property
    def chance(self) -> Array:
        """(n,): the mean distance of each decision from those of the whole episode: what unrelated ones would have."""
        some = self.all[_spread(len(self.all), 256)]
        return np.array([distance(own[None], some).mean() for own in self.taken])

    @cached_property
    def replaced(self) -> Array:
        """(n, k): with the observations of ``others`` in place of what was seen, and the memory as it was."""
        return self.decided(self.rows, self._windows(self.others))

    @cached_property
    def removed(self) -> Array:
        """(n, k): with what moves painted over by the background."""
        return self.decided(self.rows, np.stack([self._without(row, None) for row in self.rows]))

    @cached_property
    def moved(self) -> Array:
        """(n, k): with what moves put somewhere else, a sixth of the picture away or more in both directions."""
        return self.decided(self.rows, np.stack([self._without(row, self._shift()) for row in self.rows]))

    @cached_property
    def moving(self) -> Array:
        """(n,) bool: something moves around the state, and it is not the whole picture."""
        shares = np.array([self._mask(row).mean() for row in self.rows])
        return (shares > 0) & (shares <= MOST)

    def decided(self, rows: Array, observations: Array) -> Array:
        """Decisions at some rows after other observations (n, window, …), with the memory as it was before them."""
        examination = self._examination
        agent, passes = examination.agent, examination.passes
        parts: list[Array] = []
        with torch.inference_mode(), evaluating(agent.network):
            for first in range(0, len(rows), 32):
                chosen, seen = rows[first : first + 32], observations[first : first + 32]
                if not agent.memory_size:
                    said = agent(agent.prepare(seen[:, 0]))[0]
                else:
                    _, memory, alive = passes.window(chosen, self.size)
                    inputs = agent.prepare(seen.reshape(-1, *seen.shape[2:]))
                    said = passes.unrolled(_channels_first(inputs, agent.protocol.layout, seen), memory, alive)
                streams = {n: v.float().reshape(len(chosen), -1).cpu().numpy() for n, v in said.items()}
                parts.append(decisions(examination, streams))
        return np.concatenate(parts)

    # -- pictures -----------------------------------------------------------------------------------------------

    def seen(self, row: int, kind: str = "") -> Array:
        """The newest frame of a state, (H, W, colours): as it was, or ``removed``."""
        observation = self._without(row, None)[-1] if kind else self._examination.episode.observations[row]
        return np.asarray(apart(np.asarray(observation)[None], self._examination.agent.protocol)[0, 0])

    def _windows(self, rows: Array) -> Array:
        """Observations that led to some rows, (n, window, …)."""
        return np.asarray(self._examination.episode.window(rows, self.size)[0])

    @cached_property
    def background(self) -> Array:
        """(H, W, colours): the temporal median of the newest frames of the whole episode."""
        examination = self._examination
        rows = _spread(len(examination.episode), 128)
        newest = apart(np.asarray(examination.episode.observations[rows]), examination.agent.protocol)[:, 0]
        return np.asarray(np.median(newest, axis=0)).astype(newest.dtype)

    def _mask(self, row: int) -> Array:
        """(H, W) bool: where anything moves within a few steps of a row, and a little around it."""
        if row not in self._masks:
            episode, protocol = self._examination.episode, self._examination.agent.protocol
            starts = np.flatnonzero(episode.starts)
            begin = int(starts[starts <= row].max(initial=0))
            after = starts[starts > row]
            end = int(after[0]) if len(after) else len(episode)
            first, last = max(row - AROUND - self.size, begin), min(row + AROUND, end - 1)
            newest = apart(np.asarray(episode.observations[first : last + 1]), protocol)[:, 0].astype(np.float32)
            changed = (np.abs(np.diff(newest, axis=0)) > CHANGED * self._range).any(axis=(0, 3))
            self._masks[row] = _grown(np.asarray(changed))
        return self._masks[row]

    @cached_property
    def _masks(self) -> dict[int, Array]:
        return {}

    @cached_property
    def _range(self) -> float:
        low, high = value_range(self.background)
        return high - low

    def _shift(self) -> tuple[int, int]:
        """Rows and columns by which things are moved, a sixth of the picture to the half of it, either way."""
        found = []
        for length in self.background.shape[:2]:
            size = int(self._random.integers(max(length // 6, 1), max(length // 2, 2)))
            found.append(size * int(self._random.choice((-1, 1))))
        return found[0], found[1]

    def _without(self, row: int, shift: tuple[int, int] | None) -> Array:
        """The window of a row, (window, …), without what moves, or with it moved by some rows and columns."""
        protocol = self._examination.agent.protocol
        window = self._windows(np.array([row]))[0]
        stacks = apart(window, protocol)[:, ::-1]
        mask = self._mask(row)[None, None, :, :, None]
        changed = np.where(mask, self.background, stacks)
        if shift is not None:
            # What differs from the background where something moves is the thing itself.
            differs = np.abs(stacks.astype(np.float32) - self.background).max(axis=-1, keepdims=True)
            things = mask & (differs > CHANGED * self._range)
            changed = np.where(np.roll(things, shift, (2, 3)), np.roll(stacks, shift, (2, 3)), changed)
        return np.stack([arranged(np.ascontiguousarray(stack), protocol.layout) for stack in changed])


def decisions(examination: Examination, streams: dict[str, Array]) -> Array:
    """What an agent would do in some states, (n, k): probabilities of its actions, or its continuous action.

    A greedy agent's (or an epsilon-greedy one's) best action has all the probability.
    """
    agent = examination.agent
    values = streams[examination.acting].astype(np.float64)
    if agent.continuous is not None:
        low, high = (np.asarray(limits, np.float64) for limits in (agent.continuous.low, agent.continuous.high))
        wide = np.where(np.isfinite(high - low), high - low, 1)
        return np.stack([bounded(row.astype(np.float32), agent.continuous) for row in values]) / wide
    policy = policy_of(str(examination.episode.meta.get("policy") or agent.policy), agent)
    if policy.kind == "sample":
        exp = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(exp / exp.sum(axis=1, keepdims=True))
    return np.asarray(np.eye(values.shape[1])[values.argmax(axis=1)])


def distance(one: Array, other: Array) -> Array:
    """Total variation of two decisions, 0 (the same) to 1: half the sum of absolute differences; (n, k) -> (n,)."""
    return np.asarray(0.5 * np.abs(one - other).sum(axis=1))


def _spread(count: int, most: int) -> Array:
    """At most ``most`` of ``count`` rows, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)) if count else np.zeros(0, int)


def _grown(mask: Array) -> Array:
    side = 2 * NEAR + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8))).astype(bool)


def _channels_first(inputs: Tensor, layout: str, seen: Array) -> Tensor:
    """Prepared observations as a window's frames, channels before height and width."""
    placed = inputs.movedim(-1, -3).contiguous() if layout == "channels_last" else inputs
    return placed.view(seen.shape[0], seen.shape[1], *placed.shape[1:])
