"""Games that are not begun anew after their end: ends that do not stop, pictures that go on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "not-reset"
_STUCK, _BEFORE = 50, 10
"""Ends in a row, in a game that went on for a while before: no game starts and loses at once so often."""
_OVERS = 20


def not_reset(told: Told) -> Iterable[Finding]:
    """What a game shows and says right after its end."""
    where = Where("training", region="environment")
    stuck = _longest(told.acted.ends)
    if stuck is not None:
        game, first, length = stuck
        frames, rewards = told.acted.frames, told.acted.rewards[first + 1 : first + length, game]
        still = frames is not None and bool((frames[first + 1 : first + length, game] == frames[first + 1, game]).all())
        dead = still and not rewards.any()
        yield Finding(
            RULE,
            "grave" if dead else "warning",
            where,
            f"a game has ended at each of {length:,} steps in a row"
            + (", its picture stands still and it brings no reward" if dead else "")
            + ": it was not reset",
            "call env.reset() when terminated or truncated, and act on the observation that it returns",
            "certain" if dead else "likely",
            {"steps": length},
        )
        return
    jumps = _jumps(told)
    if jumps is None:
        return
    at_once, later, usual = jumps
    late = later > 2 * at_once
    if len(late) >= _OVERS and late.mean() > 0.9 and np.median(later) > usual:
        yield Finding(
            RULE,
            "grave" if late.mean() > 0.95 else "warning",
            where,
            f"after {late.mean():.0%} of {len(late):,} ends the picture changes to the new game one step too "
            "late: the first "
            "action of a game is taken on the last picture of the one before",
            "act on the observation that env.reset() returns",
            "likely",
            {"late": float(late.mean()), "ends": len(late)},
        )
    elif len(late) >= _OVERS and told.settings.lives is False and max(np.max(at_once), np.max(later)) <= usual:
        yield Finding(
            RULE,
            "warning",
            where,
            f"after {len(late):,} ends the picture goes on as between any two steps: the same game seems to continue",
            "call env.reset() when terminated or truncated; if a lost life is an end, say lives=True",
            "possible",
            {"ends": len(late)},
        )


def _longest(ends: np.ndarray) -> tuple[int, int, int] | None:
    """Game, first row and length of the longest stretch of ends, in a game that did not end all the time."""
    best = None
    for game in range(ends.shape[1]):
        flags = np.concatenate([[False], ends[:, game], [False]]).astype(int)
        starts, stops = np.flatnonzero(np.diff(flags) == 1), np.flatnonzero(np.diff(flags) == -1)
        for start, stop in zip(starts, stops, strict=True):
            went_on = start >= _BEFORE and not ends[start - _BEFORE : start, game].any()
            if went_on and stop - start >= _STUCK and (best is None or stop - start > best[2]):
                best = (game, int(start), int(stop - start))
    return best


def _jumps(told: Told) -> tuple[np.ndarray, np.ndarray, float] | None:
    """How much pictures change right after each end, and a step later; and what is much between two steps."""
    frames, over = told.acted.frames, told.acted.over
    if frames is None or len(frames) < 4:
        return None
    rows, games = np.nonzero(over[:-2])
    if len(rows) < _OVERS:
        return None

    def change(at: np.ndarray, of: np.ndarray) -> np.ndarray:
        before, after = frames[at, of].astype(np.float32), frames[at + 1, of].astype(np.float32)
        found: np.ndarray = np.abs(after - before).reshape(len(at), -1).mean(axis=1)
        return found

    some, ordinary = np.nonzero(~over[:-1])
    every = max(len(some) // 500, 1)
    usual = float(np.quantile(change(some[::every], ordinary[::every]), 0.95))
    return change(rows, games), change(rows + 1, games), usual
