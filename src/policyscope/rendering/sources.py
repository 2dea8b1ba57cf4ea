"""What rendering needs of an episode and its maps: rows, names and where the observation lies on the screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from policyscope.agents.protocol import Protocol
from policyscope.episodes.episode import Episode
from policyscope.saliency.maps import Maps

Array = np.ndarray[Any, np.dtype[Any]]


class Pictures:
    """The backgrounds of an episode in colour: its screens, or the newest picture of its observations.

    Attributes:
        shape: (height, width) of a picture.
        placement: The part that the observation covers: (top, left, height, width).
        pixel: The shape of a pixel on a display, width over height.
    """

    def __init__(self, episode: Episode) -> None:
        self._episode = episode
        protocol = episode.protocol
        if episode.screens is not None:
            self.shape = (int(episode.screens.shape[1]), int(episode.screens.shape[2]))
            self.placement = protocol.placement(*self.shape)
            # ale-py's screens: the console stretches its 160 columns over a 4:3 television
            self.pixel = 12 / 7 if self.shape in ((210, 160), (250, 160)) else 1.0
            self._range = (0.0, 255.0)
        else:
            sample = frames(np.asarray(episode.observations[: min(len(episode), 64)]), protocol)[:, 0]
            self.shape = (int(sample.shape[1]), int(sample.shape[2]))
            self.placement = (0, 0, *self.shape)
            self.pixel = 1.0
            self._range = value_range(sample)

    def __getitem__(self, rows: Any) -> Array:
        """(n, H, W, 3) uint8 pictures of the chosen steps."""
        if self._episode.screens is not None:
            return np.ascontiguousarray(as_bytes(np.asarray(self._episode.screens[rows]), self._range))
        newest = frames(np.asarray(self._episode.observations[rows]), self._episode.protocol)[:, 0]
        return as_bytes(newest, self._range)


def explained(episode: Episode, maps: Maps) -> Episode:
    """The part of the episode that has maps: an explanation that was stopped covers only its beginning."""
    rows = min([len(episode), *(len(maps[panel]) for panel in maps.panels)])
    return episode if rows == len(episode) else episode[:rows]


def frames(observations: Array, protocol: Protocol) -> Array:
    """Stacked observations as their frames, (n, lags, H, W, colours), the newest first, in their own values."""
    stack, colours = protocol.stack, protocol.colours
    if protocol.layout == "time":
        apart = observations.transpose(0, 1, 3, 4, 2)
    elif protocol.layout == "channels_last":
        apart = observations.reshape(*observations.shape[:3], stack, colours).transpose(0, 3, 1, 2, 4)
    else:
        apart = observations.reshape(len(observations), stack, colours, *observations.shape[2:]).transpose(
            0, 1, 3, 4, 2
        )
    return np.asarray(apart[:, ::-1])


def as_bytes(pictures: Array, limits: tuple[float, float]) -> Array:
    """Pictures (…, H, W, 1 or 3) in an observation's values as (…, H, W, 3) uint8.

    Args:
        pictures: As :func:`frames` has them.
        limits: The values of black and white, see :func:`value_range`.
    """
    if pictures.dtype != np.uint8:
        low, high = limits
        scaled = (np.nan_to_num(pictures.astype(np.float32)) - low) * (255 / (high - low))
        pictures = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return pictures if pictures.shape[-1] == 3 else np.repeat(pictures[..., :1], 3, axis=-1)


def value_range(sample: Array) -> tuple[float, float]:
    """What black and white are in observations: those of bytes, of 0 to 1, or the values that there are."""
    if sample.dtype == np.uint8:
        return 0.0, 255.0
    finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for nominal in (1.0, 255.0):
        if low >= 0 and high <= nominal:
            return 0.0, nominal
    return low, max(high, low + 1e-6)
