"""A track: a stretch of live play that is recorded, and can be read while it grows."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import Outcome
from policyscope.episodes.environment import Environment
from policyscope.episodes.episode import Episode
from policyscope.episodes.recorder import CHUNK, Recorder
from policyscope.errors import RunError
from policyscope.lazy import Lazy
from policyscope.storage import Array, disk_errors
from policyscope.viewer.snapshots import Snapshots

LARGE = frozenset({"screens", "observations", "memories", "ram"})
"""What is read back from the disk; the rest is a few numbers a step, which stay in memory too."""


@dataclass(frozen=True)
class Origin:
    """Where a track came from.

    Attributes:
        parent: The track that it left; None where a game was begun.
        step: The step of the parent's at which it did; its own first row is the same state.
        seed: Of the game it is part of.
        offset: What its first row is counted as where the policy draws: as the parent would have gone on.
    """

    parent: int | None
    step: int
    seed: int
    offset: int


class Track:
    """A stretch of play in a run folder.

    One thread plays; any thread may read what is complete.

    Attributes:
        number: 0 for the run's own episode, then 1, 2, … for branches.
        origin: Where it came from.
        folder: The run folder, which holds ``episode.zarr``.
        meta: What is told about it.
        protocol: How its observations were made.
        snapshots: Where its game was.
    """

    def __init__(self, number: int, origin: Origin, folder: Path, protocol: Protocol, meta: Mapping[str, Any]) -> None:
        self.number, self.origin, self.folder, self.protocol = number, origin, folder, protocol
        self.meta = dict(meta)
        self.snapshots = Snapshots()
        self._lock = threading.Lock()
        self._recorder = Recorder(folder / "episode.zarr", self.meta)
        self._small: dict[str, _Growing] = {}

    def __len__(self) -> int:
        return self._recorder.columns.total if self._recorder.begun else 0

    def before(self, environment: Environment, streams: Mapping[str, Array], memory: Array | None, start: bool) -> None:
        """Notes the state that is about to be acted in."""
        with self._lock:
            if not self._recorder.begun:
                with disk_errors(self.folder):
                    self._recorder.folder.mkdir(parents=True, exist_ok=True)
            self._recorder.before(environment, streams, memory, start)

    def after(self, action: int | Array, outcome: Outcome, streams: Mapping[str, Array]) -> None:
        """Notes what the action brought, which completes the row."""
        with self._lock:
            self._recorder.after(action, outcome, streams)
            columns, row = self._recorder.columns, len(self) - 1
            if not self._small:
                self._small = {name: _Growing(*spec) for name, spec in columns.shapes.items() if name not in LARGE}
            for name, values in self._small.items():
                values.append(columns.read(name, row, row + 1)[0])

    def read(self, name: str, start: int, stop: int) -> Array:
        """Complete rows of an array."""
        with self._lock:
            return self._recorder.columns.read(name, start, stop)

    def episode(self) -> Episode:
        """What was played until now, as an episode that does not grow.

        Raises:
            RunError: Nothing was.
        """
        with self._lock:
            if not len(self):
                raise RunError("nothing was played yet")
            count, shapes = len(self), self._recorder.columns.shapes
            columns = {
                name: Lazy(
                    self._small[name].view(count) if name in self._small else _Written(self, name, count, *spec), count
                )
                for name, spec in sorted(shapes.items())
            }
        return Episode(columns, self.protocol, self.meta, self.folder / "episode.zarr")

    def change_meta(self, **changes: Any) -> None:
        """Tells something else about the track."""
        self.meta |= changes
        if self._recorder.begun:
            self._recorder.write_meta(self.meta)

    def flush(self) -> None:
        """Writes what waits, so that nothing is lost while nobody plays."""
        with self._lock:
            if self._recorder.begun:
                self._recorder.columns.flush()

    def close(self) -> None:
        """Writes what waits; the folder then holds a whole episode."""
        with self._lock:
            if self._recorder.begun:
                self._recorder.close()
        self.change_meta(complete=True)


class _Growing:
    """Rows in memory; a view of them does not change."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._rows: Array = np.zeros((1024, *shape), dtype)
        self._length = 0

    def append(self, row: Array) -> None:
        if self._length == len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._rows[self._length] = row
        self._length += 1

    def view(self, length: int) -> Array:
        return self._rows[:length]


class _Written:
    """An array of a track in the way that :class:`~policyscope.lazy.Lazy` reads one of zarr's."""

    def __init__(self, track: Track, name: str, length: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._track, self._name = track, name
        self.shape, self.dtype, self.chunks = (length, *shape), dtype, (CHUNK, *shape)

    @property
    def oindex(self) -> _Written:
        """Itself: rows are picked in their order."""
        return self

    def __getitem__(self, key: Any) -> Array:
        if isinstance(key, slice):
            start, stop, _ = key.indices(self.shape[0])
            return self._track.read(self._name, start, stop)
        if isinstance(key, int | np.integer):
            return np.asarray(self._track.read(self._name, int(key), int(key) + 1)[0])
        rows = np.asarray(key)
        return np.asarray(self._track.read(self._name, int(rows[0]), int(rows[-1]) + 1)[rows - rows[0]])
