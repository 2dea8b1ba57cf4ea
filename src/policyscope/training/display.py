"""Rewards for what a game shows and does not pay: a counter on the screen, such as Seaquest's divers aboard.

Random play seldom meets a reward that takes several steps to earn (a diver aboard, the way up, a full tank). A teacher
that is paid for the first of them finds the others; a student that learns from it needs no such pay.
"""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array

_RISE = 1.0
"""Grey levels a pixel of the box, on average, that make a change: less is the blur of scaling."""


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
        self._filled: Array = np.zeros(len(frames), np.float32)

    def __call__(self, frames: Array, new: Array) -> Array:
        """Where the display came to differ more from what it was when the game began.

        Args:
            frames: (n, height, width) uint8, the next of each game.
            new: (n,) bool, it is the first of another game.

        Returns:
            (n,) float32, 1 there and 0 elsewhere.
        """
        now = frames[self._box].astype(np.float32)
        self._blank = np.where(new[:, None, None], now, self._blank)
        filled = np.abs(now - self._blank).mean(axis=(1, 2))
        rose = np.asarray(filled - self._filled >= _RISE, np.float32)
        self._filled = filled
        return rose
