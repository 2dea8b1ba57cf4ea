"""Where a game was every few steps, so that one can go back to any of them."""

from __future__ import annotations

import pickle
import zlib
from bisect import bisect_right

from policyscope.episodes.atari import AtariGame, GameState

EVERY = 16
MOST = 4096
"""Snapshots that are kept, a few kilobytes each; when there are more, every second one is forgotten."""


class Snapshots:
    """States of one track's game, the oldest first."""

    def __init__(self, every: int = EVERY, most: int = MOST) -> None:
        self._every, self._most = every, most
        self._steps: list[int] = []
        self._packed: list[bytes] = []

    def __len__(self) -> int:
        return len(self._steps)

    def offer(self, step: int, game: AtariGame) -> None:
        """Keeps where the game is before a step, if it is time."""
        if step % self._every:
            return
        # Our own bytes, in memory alone: nothing that anybody else could have written is unpickled.
        self._packed.append(zlib.compress(pickle.dumps(game.state(), pickle.HIGHEST_PROTOCOL), 1))
        self._steps.append(step)
        if len(self._steps) > self._most:
            self._every *= 2
            kept = [index for index, taken in enumerate(self._steps) if taken % self._every == 0]
            self._steps, self._packed = [self._steps[i] for i in kept], [self._packed[i] for i in kept]

    def nearest(self, step: int) -> tuple[int, GameState]:
        """The last state that was kept at or before a step, and its step; the first step's is always kept."""
        index = bisect_right(self._steps, step) - 1
        state: GameState = pickle.loads(zlib.decompress(self._packed[index]))  # noqa: S301
        return self._steps[index], state
