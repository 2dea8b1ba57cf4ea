"""Goes on with a run that was stopped, as if it never had been."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.episodes.environment import Environment
from policyscope.episodes.episode import Episode
from policyscope.episodes.interrupts import Interrupts
from policyscope.errors import RunError


def continued(folder: Path, meta: Mapping[str, Any]) -> Episode | None:
    """The run in a folder, if it was made in the same way.

    Args:
        folder: Its ``episode.zarr``.
        meta: How the run that shall go on is made.

    Returns:
        The episode so far; None where nothing was recorded.

    Raises:
        RunError: It was made by another agent, protocol, policy or seed.
    """
    if not (folder / "meta.json").exists():
        return None
    past = Episode.open(folder)
    agents = [(told.get("agent") or {}).get("fingerprint") for told in (past.meta, meta)]
    if agents[0] != agents[1]:
        raise RunError(
            f"{folder.parent} was played by another agent ({past.meta['agent']['source']}); name another folder"
        )
    for key in ("protocol", "policy", "seed"):
        if past.meta.get(key) != meta[key]:
            raise RunError(
                f"{folder.parent} was played with another {key}: {_difference(past.meta.get(key), meta[key])}"
            )
    return past


def replayed(environment: Environment, past: Episode, interrupts: Interrupts) -> bool:
    """Takes the recorded actions in a freshly seeded environment, and checks that the same comes out.

    Returns:
        Whether an episode begins after the last step.

    Raises:
        RunError: Something else came out.
    """
    start = True
    assert past.actions is not None
    for step in range(len(past)):
        interrupts.check()
        same = np.array_equal(environment.observation, past.observations[step])
        if past.ram is not None and environment.ram is not None:
            same = same and np.array_equal(environment.ram, past.ram[step])
        action = past.actions[step]
        outcome = environment.step(action if environment.continuous else int(action)) if same else None
        if outcome is None or np.float32(outcome.reward) != past.rewards[step]:
            raise RunError(
                f"{past.path} cannot be continued: step {step} comes out differently here "
                f"(it was played with {_versions(past)})"
            )
        start = outcome.terminated or outcome.truncated
        if start:
            environment.reset()
    return start


def _difference(past: Any, now: Any) -> str:
    if isinstance(past, dict) and isinstance(now, dict):
        keys = [key for key in sorted({*past, *now}) if past.get(key) != now.get(key)]
        return ", ".join(f"{key} {past.get(key)!r}, now {now.get(key)!r}" for key in keys)
    return f"{past!r}, now {now!r}"


def _versions(past: Episode) -> str:
    told = past.meta.get("versions") or {}
    return ", ".join(f"{name} {number}" for name, number in told.items()) or "unknown versions"
