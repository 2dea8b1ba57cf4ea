"""One row of an episode, and the network's outputs over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from policyscope.lazy import Lazy
from policyscope.storage import Array


@dataclass(frozen=True)
class Step:
    """One row of an episode: the state before the action, and what the action brought.

    Attributes:
        index: Row in the episode.
        observation: As the network took it, before scaling.
        screen: (H, W, 3) uint8, or None where no screens were kept.
        memory: (memory_size,) float32 that went into the step; None for a feed-forward agent.
        action: An index, (k,) float32 where actions are continuous, None where they were not told.
        reward: Unclipped.
        terminated, truncated: Whether the action ended the episode.
        lives: Before the action.
        start: Whether an episode begins here.
        ram: (128,) uint8, or None.
        streams: name -> (k,) float32.
    """

    index: int
    observation: Array
    screen: Array | None
    memory: Array | None
    action: int | Array | None
    reward: float
    terminated: bool
    truncated: bool
    lives: int
    start: bool
    ram: Array | None
    streams: dict[str, Array]


class Streams(Mapping[str, Array]):
    """The network's outputs by name, each (N, k) float32 and read when asked for."""

    def __init__(self, columns: Mapping[str, Lazy]) -> None:
        self._columns, self._read = columns, dict[str, Array]()

    def __getitem__(self, name: str) -> Array:
        if name not in self._read:
            self._read[name] = np.asarray(self._columns[name])
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        return f"Streams({', '.join(f'{name}: {column.shape}' for name, column in self._columns.items())})"
