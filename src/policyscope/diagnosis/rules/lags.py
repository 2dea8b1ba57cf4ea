"""Frames of the past that the network ignores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where
from policyscope.diagnosis.pictures import bars

FAINT = 0.02
"""Of an equal share. Older frames may matter less, but a frame that matters fifty times less is as good as absent."""


def lags(examination: Examination) -> Iterator[Finding]:
    """Each frame's share of the acting stream's input gradient, sum |g_lag| / sum |g|, over the sampled states.

    Grave where a frame has no gradient at all in any state: it is there and is not looked at. A note below 2 % of an
    equal share.
    """
    if examination.agent.memory_size or examination.agent.protocol.stack == 1:
        return
    stream = examination.acting
    sizes = examination.gradient(stream).abs().sum(dim=(2, 3, 4)).flip(1).double().cpu().numpy()
    alive = sizes.sum(axis=1) > 0
    if not alive.any() or not np.isfinite(sizes).all():
        return
    shares = (sizes[alive] / sizes[alive].sum(axis=1, keepdims=True)).mean(axis=0)
    frames = _moves(examination)
    for severity, chosen in (("grave", shares == 0), ("note", (shares > 0) & (shares < FAINT / len(shares)))):
        ignored = tuple(int(lag) for lag in np.flatnonzero(chosen & frames))
        if not ignored:
            continue
        kind: Severity = "grave" if severity == "grave" else "note"
        share = float(shares[list(ignored)].max())
        yield Finding(
            "lags",
            kind,
            Where("network", stream=stream, lag=ignored),
            f"{'no' if share == 0 else f'at most {share:.2%} of the'} gradient of {stream} falls on lag"
            f"{'s' if len(ignored) > 1 else ''} {', '.join(map(str, ignored))} of {len(shares)} "
            f"(healthy: of the order of {1 / len(shares):.0%} each)",
            "without past frames nothing can be seen to move: look at what forward() does with the stack, and at an "
            "index that takes one frame of it"
            if kind == "grave"
            else "nothing, if the game needs no such long memory; else a smaller stack would do",
            "certain" if kind == "grave" else "likely",
            {f"lag {lag}": float(value) for lag, value in enumerate(shares)},
            bars(
                [f"lag {lag}" for lag in range(len(shares))],
                shares.tolist(),
                f"share of the gradient of {stream} by frame",
                mark=ignored,
            ),
        )


def _moves(examination: Examination) -> np.ndarray:
    """Lags whose frames are not the same blank in all sampled states."""
    frames = examination.frames(examination.rows)[:, ::-1]
    return np.array([frames[:, lag].min() != frames[:, lag].max() for lag in range(frames.shape[1])])
