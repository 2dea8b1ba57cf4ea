"""Which actions were not the best ones by the network's own values: what several rules count."""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array
from policyscope.training.watch.told import Told


def best_of(told: Told) -> Array | None:
    """(T, N) float: the action of the greatest Q; not a number where it is not known, or two are equally great."""
    acted = told.acted
    known = acted.known("q")
    if not known.any() or acted.q is None or acted.q.shape[2] < 2:
        return None
    q = np.where(known[..., None], acted.q, 0.0)
    best = q.argmax(axis=2)
    alone = (q == q.max(axis=2, keepdims=True)).sum(axis=2) == 1
    return np.where(known & alone, best, np.nan)


def explored(told: Told) -> Array | None:
    """(T, N) float: 1 where another action was taken than the best one, 0 where not, else not a number.

    Where outputs are told for greedy actions alone, as in loops that do not ask the network for a random one, all
    other actions count as random.
    """
    best = best_of(told)
    if best is None or told.acted.actions is None:
        return None
    other = np.where(np.isfinite(best), best != told.acted.actions, np.nan)
    if not told.whole:
        other = np.where(told.acted.known("q"), other, 1.0)
    return other
