"""Whether gradients of past frames cancel one another when they are added up or averaged (section 4.1 of the paper)."""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array


def cancelled(maps: Array) -> Array:
    """The share of the energy that is lost when maps of all lags are added: 0 (all of one sign) to 1 (nothing is left).

    ``1 - sum |sum over lags of m| / sum over lags of sum |m|``.

    Args:
        maps: (n, lags, H, W), signed.

    Returns:
        (n,); NaN where all are zero.
    """
    values = np.nan_to_num(np.asarray(maps, np.float64))
    whole = np.abs(values).sum(axis=(1, 2, 3))
    left = np.abs(values.sum(axis=1)).sum(axis=(1, 2))
    return np.where(whole > 0, 1 - left / np.where(whole > 0, whole, 1), np.nan)


def cancelled_by_chance(maps: Array, seed: int = 0, draws: int = 8) -> Array:
    """The same with the sign of each pixel of each lag drawn by chance: what unrelated frames would lose.

    Args:
        maps: (n, lags, H, W).
        seed: Of the draws.
        draws: Whose mean it is.

    Returns:
        (n,); NaN where all are zero.
    """
    random = np.random.default_rng(seed)
    sizes = np.abs(np.asarray(maps, np.float32))
    drawn = [cancelled(sizes * random.choice(np.array([-1, 1], np.float32), sizes.shape)) for _ in range(draws)]
    return np.asarray(np.mean(drawn, axis=0))
