"""Ends of episodes that are not told, or after which nothing is reset."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where

IN_A_ROW = 3
"""Episodes of one step each, one after the other: no game is that short."""


def ends(examination: Examination) -> Iterator[Finding]:
    """Where the recorded ends do not fit what happens: grave where an environment is not reset after an end.

    An environment that goes on being asked after its end says so at every step. A warning where all lives come back
    though no end was told: values are then learnt across it.
    """
    episode = examination.episode
    over = episode.terminated | episode.truncated
    if len(over) < 2:
        return
    runs = np.convolve(over, np.ones(IN_A_ROW), mode="valid") == IN_A_ROW if len(over) >= IN_A_ROW else np.zeros(0)
    if runs.any():
        first = int(np.flatnonzero(runs)[0])
        share = float(over[first:].mean())
        yield Finding(
            "ends",
            "grave",
            Where("observation"),
            f"from step {first} on {share:.0%} of the steps end an episode (healthy: one step in hundreds)",
            "call reset() when a step ends an episode; some vectors of environments do so by themselves, some do not",
            "certain",
            {"step": float(first), "share": share},
        )
    lives = episode.lives.astype(int)
    back = np.flatnonzero((np.diff(lives) > 1) & (lives[:-1] <= 1) & ~over[:-1] & ~episode.starts[1:])
    if len(back) and lives.max() > 1:
        yield Finding(
            "ends",
            "warning",
            Where("observation"),
            f"at step {int(back[0])} {lives[back[0] + 1]} lives come back and no end was told ({len(back)} times; "
            "healthy: never)",
            "hand on the environment's terminated and truncated flags; returns and targets run over this end",
            "likely",
            {"times": float(len(back))},
        )
