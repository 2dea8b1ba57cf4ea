"""What an expert is: a player written by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from policyscope.storage import Array

SILENT = -1
"""What a rule says where it has nothing to say."""

Rule = Callable[[Array], Array]
"""(n, frames or more, 84, 84) uint8, newest last -> (n,) int64, an action of the game's or :data:`SILENT`."""


@dataclass(frozen=True)
class Expert:
    """A player of one game that speaks in some states or in all."""

    game: str
    says: Callable[[Array], Array]
    """(n, frames or more, 84, 84) uint8, newest last -> (n, A) float32, the chance of each action; all 0 where it is
    silent."""
    frames: int = 4
    """How many it looks at."""


def surely(rule: Rule, actions: int) -> Callable[[Array], Array]:
    """What an expert says that follows a rule without a doubt."""

    def says(observations: Array) -> Array:
        chances: Array = (rule(observations)[:, None] == np.arange(actions)).astype(np.float32)
        return chances

    return says
