"""Writes an episode while it is played."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.episodes.atari import Outcome
from policyscope.episodes.environment import Environment
from policyscope.episodes.episode import STREAM
from policyscope.storage import Array, Columns, Specs, disk_errors, write_json

CHUNK = 64
# A chunk of a column is held in memory and read as a whole.
CHUNK_BYTES = 8 << 20


class Recorder:
    """Adds a step at a time to a run's ``episode.zarr``; what is not yet a whole chunk waits in memory.

    The arrays are made with the first row, which tells their shapes.
    """

    def __init__(self, folder: Path, meta: Mapping[str, Any]) -> None:
        self.folder, self._meta = folder, meta
        self._columns: Columns | None = None

    @property
    def begun(self) -> bool:
        """Whether there is anything of the run on the disk."""
        return self._columns is not None

    @property
    def columns(self) -> Columns:
        """The arrays of a run that has begun."""
        assert self._columns is not None
        return self._columns

    def write_meta(self, meta: Mapping[str, Any]) -> None:
        """Replaces what is told about the run."""
        with disk_errors(self.folder):
            write_json(self.folder / "meta.json", json.loads(json.dumps(meta, default=str)))

    def before(self, environment: Environment, streams: Mapping[str, Array], memory: Array | None, start: bool) -> None:
        """Notes the state that is about to be acted in."""
        if self._columns is None:
            specs = _specs(environment, streams, memory)
            largest = max(int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in specs.values())
            self._columns = Columns(self.folder, specs, max(1, min(CHUNK, CHUNK_BYTES // largest)))
            self.write_meta(self._meta)
        row: dict[str, Any] = {
            "observations": environment.observation,
            "screens": environment.screen,
            "lives": environment.lives,
            "starts": start,
        }
        ram = environment.ram
        if ram is not None:
            row["ram"] = ram
        if memory is not None:
            row["memories"] = memory
        self._columns.stage(row)

    def after(self, action: int | Array, outcome: Outcome, streams: Mapping[str, Array]) -> None:
        """Notes what the action brought, which completes the row."""
        self.columns.stage(
            {
                "actions": action,
                "rewards": outcome.reward,
                "terminated": outcome.terminated,
                "truncated": outcome.truncated,
                "game_over": outcome.game_over,
                **{STREAM + name: value for name, value in streams.items()},
            }
        )
        self.columns.advance()

    def close(self) -> None:
        """Writes what waits."""
        self.columns.close()


def _specs(environment: Environment, streams: Mapping[str, Array], memory: Array | None) -> Specs:
    observation, screen, ram = environment.observation, environment.screen, environment.ram
    specs: dict[str, tuple[tuple[int, ...], Any]] = {
        "screens": (screen.shape, np.uint8),
        "observations": (observation.shape, observation.dtype),
        "actions": ((), np.int64),
        "rewards": ((), np.float32),
        "terminated": ((), bool),
        "truncated": ((), bool),
        "game_over": ((), bool),
        "lives": ((), np.int16),
        "starts": ((), bool),
    }
    if environment.continuous is not None:
        specs["actions"] = ((len(environment.actions),), np.float32)
    if ram is not None:
        specs["ram"] = (ram.shape, np.uint8)
    if memory is not None:
        specs["memories"] = (memory.shape, np.float32)
    return specs | {STREAM + name: (value.shape, np.float32) for name, value in streams.items()}
