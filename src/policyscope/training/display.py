"""Rewards for what a game shows and does not pay: a counter on the screen, such as Seaquest's divers aboard.

Random play seldom meets a reward that takes several steps to earn (a diver aboard, the way up, a full tank). A teacher
that is paid for the first of them finds the others; a student that learns from it needs no such pay.
"""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array

_RISE = 1.0
"""Grey levels a pixel of the box, on average, that make a change: less is the blur of scaling."""
_MEMORY = 8
"""Steps that a box's highest level is kept: a display that flashes comes back sooner."""


class Display:
    """Watches a box of the screen in games side by side.

    Args:
        box: Top, left, bottom and right in the observation's pixels; the latter two are outside.
        frames: (n, height, width) uint8, the first of each game.
    """

    def __init__(self, box: tuple[int, ...], frames: Array) -> None:
        top, left, bottom, right = box
        self._box = np.s_[:, top:bottom, left:right]
        self._blank: Array = frames[self._box].astype(np.float32)
        self._levels: Array = np.zeros((_MEMORY, len(frames)), np.float32)

    def __call__(self, frames: Array, new: Array) -> Array:
        """Where the display differs more from what it was when the game began than in any of the last steps.

        Args:
            frames: (n, height, width) uint8, the next of each game.
            new: (n,) bool, it is the first of another game.

        Returns:
            (n,) float32, 1 there and 0 elsewhere.
        """
        now = frames[self._box].astype(np.float32)
        self._blank = np.where(new[:, None, None], now, self._blank)
        level = np.abs(now - self._blank).mean(axis=(1, 2))
        rose = np.asarray(level - self._levels.max(axis=0) >= _RISE, np.float32)
        self._levels = np.concatenate([np.where(new, 0.0, self._levels)[1:], level[None]])
        return rose
