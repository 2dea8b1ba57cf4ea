"""Experts written by hand: what to do in a few states, read off the screen, where no teacher here knows it.

Their word goes before the teacher's while a student learns (``policyscope train distil --expert NAME``); in all other
states the teacher speaks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from policyscope.storage import Array

SILENT = -1
"""What an expert says where it has nothing to say."""


@dataclass(frozen=True)
class Expert:
    """A player of one game that speaks in some states only."""

    game: str
    says: Callable[[Array], Array]
    """(n, stack, 84, 84) uint8, newest frame last -> (n,) int64, an action of the full set or :data:`SILENT`."""


_UP_AND_FIRE = 10
_LOW = 0.25
"""Of the tank: what is left takes a submarine up from the sea floor."""


def breathe(observations: Array) -> Array:
    """Seaquest: up, firing, when oxygen is low and a diver is aboard; without one, to surface costs the submarine."""
    newest = observations[:, -1]
    # The bar is 214 on 85; the first diver's picture darkens its place in the row below, 142 when empty.
    oxygen = (newest[:, 68:70, 26:58].mean(axis=1) > 180).mean(axis=1)
    aboard = newest[:, 72:74, 31:33].mean(axis=(1, 2)) < 130
    return np.where((oxygen < _LOW) & aboard, _UP_AND_FIRE, SILENT).astype(np.int64)


EXPERTS = {"seaquest-breath": Expert("seaquest", breathe)}
"""By the names that ``--expert`` takes."""
