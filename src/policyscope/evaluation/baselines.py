"""Maps that know nothing of the agent, to judge others beside: edges, what has changed, noise."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.rendering.sources import frames, value_range
from policyscope.storage import Array

_SAMPLE = 64
_CELL = 4
"""Pixels: the stride of the first convolution of the documents' networks, which is as fine as their maps are."""


class Pictures:
    """The frames of an episode as the agent saw them, grey, in [0, 1]."""

    def __init__(self, agent: Agent, episode: Episode) -> None:
        self._protocol, self._episode = agent.protocol, episode
        sample = np.asarray(episode.observations[: min(len(episode), _SAMPLE)])
        self._low, self._high = value_range(frames(sample, self._protocol))

    def __call__(self, rows: Array, lag: int = 0) -> Array:
        """(n, H, W) float32 of some rows.

        Args:
            rows: (n,) of the episode.
            lag: Frames before the newest; as old as the stack has, at most.
        """
        seen = frames(np.asarray(self._episode.observations[rows]), self._protocol)
        picture = seen[:, min(lag, seen.shape[1] - 1)].astype(np.float32).mean(axis=-1)
        return np.asarray((picture - self._low) / (self._high - self._low), np.float32)

    def before(self, rows: Array) -> Array:
        """(n, H, W): the frames before the newest ones, from the stack or, without one, from the episode."""
        if self._protocol.stack > 1:
            return self(rows, 1)
        begins = np.asarray(self._episode.starts)[rows] | (rows == 0)
        return self(np.where(begins, rows, rows - 1))


def edges(pictures: Pictures, rows: Array) -> Array:
    """Sobel's gradient magnitude of the newest frame: what needs neither a model nor data (Adebayo et al., 2018)."""
    found = [np.hypot(cv2.Sobel(p, cv2.CV_32F, 1, 0), cv2.Sobel(p, cv2.CV_32F, 0, 1)) for p in pictures(rows)]
    return np.stack(found)


def frame_difference(pictures: Pictures, rows: Array) -> Array:
    """What has changed since the frame before: moving things, without a model."""
    changed: Array = np.abs(pictures(rows) - pictures.before(rows))
    return changed


def random(pictures: Pictures, rows: Array) -> Array:
    """Noise, other in each row and the same in each evaluation, in cells of a first convolution's stride."""
    height, width = pictures(rows[:1]).shape[1:]
    cells = (-(-height // _CELL), -(-width // _CELL))
    drawn = [np.random.default_rng([7, row]).random(cells, np.float32) for row in rows]
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in drawn])


BASELINES: dict[str, Callable[[Pictures, Array], Array]] = {
    "edges": edges,
    "frame_difference": frame_difference,
    "random": random,
}
"""Name -> from the pictures and rows (n,) of an episode to maps (n, H, W)."""
