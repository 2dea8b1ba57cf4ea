"""How sure a number is that was measured on some states: intervals by drawing the states anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from policyscope.storage import Array

DRAWS = 400


def interval(measure: Callable[[Array], float], count: int, block: int = 1) -> tuple[float, float]:
    """The 95 % interval of a measure by the bootstrap (Efron, 1979): states are drawn anew, with replacement.

    Args:
        measure: From rows (count,), some of them more than once, to a number.
        count: States there are, in the order of play.
        block: States in a row that are drawn together where neighbours are alike (Kuensch, 1989).

    Returns:
        The 2.5th and the 97.5th percentile over draws; NaN where no draw gave a number.
    """
    random = np.random.default_rng(0)
    block = max(min(block, count), 1)
    blocks = -(-count // block)
    firsts = random.integers(0, count - block + 1, (DRAWS, blocks))
    rows = (firsts[:, :, None] + np.arange(block)).reshape(DRAWS, -1)[:, :count]
    found = np.array([measure(drawn) for drawn in rows])
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.percentile(found, (2.5, 97.5))
    return float(low), float(high)
