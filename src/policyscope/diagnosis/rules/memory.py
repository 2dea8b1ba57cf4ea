"""A recurrent memory that is lost, or carried over into the next episode."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.saliency.record import evaluating

TOLERANCE = 1e-3
"""Of the memory's spread; rounding on another machine leaves some 1e-5."""


def memory(examination: Examination) -> Iterator[Finding]:
    """What goes into a step must be what came out of the one before, and zero at an episode's start. Grave."""
    episode, agent = examination.episode, examination.agent
    if not agent.memory_size or episode.memories is None:
        return
    starts = np.flatnonzero(episode.starts)
    begun = np.asarray(episode.memories[starts])
    kept = np.abs(begun).max(axis=1) > 0
    # What went into the first step of all may come from a game that was not recorded.
    if kept[1:].any():
        yield Finding(
            "memory",
            "grave",
            Where("memory"),
            f"{int(kept.sum())} of {len(starts)} episodes begin with a memory that is not empty (healthy: none)",
            "set the memory to zero when an episode ends; in a vector of environments, that of the one that ended",
            "certain",
            {"share": float(kept.mean())},
        )
    rows = examination.pairs
    if not len(rows):
        return
    came = _following(examination, rows)
    went = np.asarray(episode.memories[rows + 1])
    spread = max(float(np.abs(came).max()), 1e-6)
    differs = np.abs(came - went).max(axis=1) > TOLERANCE * spread
    if not differs.any():
        return
    empty = bool((np.abs(went[differs]).max(axis=1) == 0).all())
    how = "is empty" if empty else "is another than what came out of the step before"
    yield Finding(
        "memory",
        "grave",
        Where("memory"),
        f"the memory that goes into a step {how} in {differs.mean():.0%} of the steps within an episode (healthy: 0 %)",
        "hand the memory that the network returns to its next call, and empty it at an episode's end alone",
        "certain" if empty else "likely",
        {"share": float(differs.mean())},
    )


def _following(examination: Examination, rows: np.ndarray) -> np.ndarray:
    """The memory that comes out of some steps, (n, memory_size)."""
    agent = examination.agent
    inputs, went, _ = examination.passes.window(rows, 1)
    given = inputs[:, 0].movedim(-3, -1) if agent.protocol.layout == "channels_last" else inputs[:, 0]
    with torch.inference_mode(), evaluating(agent.network):
        following = agent(given, went)[1]
    assert following is not None
    return following.float().cpu().numpy()
