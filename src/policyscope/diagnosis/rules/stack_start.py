"""Frames of an episode that is over, in the first observations of the next one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where
from policyscope.diagnosis.pictures import strip

MOST = 64
"""Starts that are looked at."""


def stack_start(examination: Examination) -> Iterator[Finding]:
    """At an episode's start, older frames must be blank or the first frame; those of the episode before are stale.

    Grave where the game itself had ended; a note where only a life had, since some wrappers stack on.
    """
    episode, lags = examination.episode, examination.agent.protocol.stack
    starts = np.flatnonzero(episode.starts)
    starts = starts[starts > 0][:MOST]
    if lags == 1 or not len(starts):
        return
    now, before = examination.frames(starts), examination.frames(starts - 1)
    newest = now[:, -1:]
    older, blank = now[:, :-1], now[:, :-1] == 0
    proper = (older == newest).all(axis=(2, 3, 4)) | blank.all(axis=(2, 3, 4))
    # The last observation of an episode is not among the rows: its newest frame may be anywhere, the others are known.
    known = [(older == before[:, place, None]).all(axis=(2, 3, 4)) for place in range(lags)]
    kept = np.logical_or.reduce(known) & ~proper
    stale = kept.any(axis=1)
    if not stale.any():
        return
    game = stale & episode.game_over[starts - 1]
    severity: Severity = "grave" if game.any() else "note"
    first = int(np.flatnonzero(game if game.any() else stale)[0])
    places = np.flatnonzero(kept[first])
    what = "a game" if game.any() else "a life"
    yield Finding(
        "stack_start",
        severity,
        Where("observation", lag=tuple(int(lags - 1 - place) for place in places)),
        f"{int(stale.sum())} of {len(starts)} episodes begin with frames of the one before, which ended with {what} "
        "(healthy: none)",
        "empty the stack when the environment is reset: fill it with the first frame, or with zeros",
        "certain",
        {"share": float(stale.mean())},
        strip(
            now[first],
            [f"lag {lags - 1 - place}" for place in range(lags)],
            f"the first observation of an episode (step {int(starts[first])})",
            mark=[int(place) for place in places],
        ),
    )
