"""What an expert is: a player written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from policyscope.storage import Array

SILENT = -1
"""What an expert says where it has nothing to say."""


@dataclass(frozen=True)
class Expert:
    """A player of one game that speaks in some states or in all."""

    game: str
    says: Callable[[Array], Array]
    """(n, frames or more, 84, 84) uint8, newest last -> (n,) int64, an action of the game's or :data:`SILENT`."""
    frames: int = 4
    """How many it looks at."""
