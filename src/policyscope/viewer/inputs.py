"""What the network saw, frame by frame, as pictures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.agents.protocol import Protocol
from policyscope.episodes.episode import Episode
from policyscope.rendering.sources import value_range
from policyscope.storage import Array


def frames(observations: Array, protocol: Protocol) -> Array:
    """Stacked observations as their frames, (n, lags, H, W, colours), the newest first, in their own values."""
    if protocol.layout == "time":
        apart = observations.transpose(0, 1, 3, 4, 2)
    elif protocol.layout == "channels_last":
        apart = np.stack(np.split(observations, protocol.stack, axis=-1), axis=1)
    else:
        apart = np.stack(np.split(observations, protocol.stack, axis=1), axis=1).transpose(0, 1, 3, 4, 2)
    return np.asarray(apart[:, ::-1])


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
        protocol = episode.protocol
        sample = frames(np.asarray(episode.observations[: min(len(episode), 16)]), protocol)
        self.lags, self.size = sample.shape[1], (int(sample.shape[2]), int(sample.shape[3]))
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
            return Seen(self._bytes(newest), before)
        every = stacked[before:]
        return Seen(self._bytes(every.reshape(-1, *every.shape[2:])), None)

    def _bytes(self, pictures: Array) -> Array:
        if pictures.dtype != np.uint8:
            low, high = self._range
            scaled = (np.nan_to_num(pictures.astype(np.float32)) - low) * (255 / (high - low))
            pictures = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        return pictures if pictures.shape[-1] == 3 else np.repeat(pictures[..., :1], 3, axis=-1)
