"""What the network saw, frame by frame, as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering.sources import as_bytes, frames, value_range
from policyscope.storage import Array


@dataclass(frozen=True)
class Seen:
    """The frames that some states were made of.

    Attributes:
        pictures: (m, H, W, 3) uint8.
        before: Where past frames are what was new some rows ago: the rows before the first that are among the
            pictures. None where they are not (a new game began, or frames are stacked in another way): the pictures
            are then those of every state, one state after the other, each with its newest frame first.
    """

    pictures: Array
    before: int | None


class Inputs:
    """The observations of an episode as pictures.

    Attributes:
        lags: Frames of an observation.
        size: Height and width.
    """

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        kind, shape = episode.observations.dtype, episode.observations.shape[1:]
        _, self.lags, height, width, _ = frames(np.empty((0, *shape), kind), episode.protocol).shape
        self.size: tuple[int, int] = (height, width)
        # Bytes tell by themselves what black and white are; a page that follows a game asks for this at every turn.
        sample = np.zeros(0, kind) if kind == np.uint8 else np.asarray(episode.observations[: min(len(episode), 16)])
        self._range = value_range(sample)

    def seen(self, start: int, stop: int) -> Seen:
        """The frames of rows ``start`` to ``stop``, each sent once if that is exact."""
        before = min(self.lags - 1, start)
        stacked = frames(np.asarray(self._episode.observations[start - before : stop]), self._episode.protocol)
        newest = stacked[:, 0]
        # In the first rows of an episode older frames stand for what was never seen.
        shifted = before == self.lags - 1 and all(
            np.array_equal(stacked[before:, lag], newest[before - lag : len(newest) - lag]) for lag in range(self.lags)
        )
        if shifted:
            return Seen(as_bytes(newest, self._range), before)
        every = stacked[before:]
        return Seen(as_bytes(every.reshape(-1, *every.shape[2:]), self._range), None)
