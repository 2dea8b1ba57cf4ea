"""What happened over a stretch of play, read lazily."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np

from policyscope.agents.protocol import Protocol
from policyscope.episodes.arrays import arrays_of_npz, columns_of_arrays
from policyscope.episodes.step import Step, Streams
from policyscope.errors import RunError
from policyscope.lazy import Lazy
from policyscope.storage import Array, check_chunks, open_group, read_count, read_json

STREAM = "streams."
_FLAGS = ("terminated", "truncated", "starts", "game_over")


class Episode:
    """A stretch of play: one row a step, large arrays read when indexed.

    A run of several games in a row is one Episode; ``starts`` marks the states without a past. Where a lost life
    ends an episode, ``game_over`` tells the ends of games from those of lives.

    Attributes:
        meta: How it came about: protocol, agent, seed, policy, game, action names, version, and whether it is
            ``complete``.
        protocol: How the observations were made.
        path: The folder it is read from; None where it lives in memory.
    """

    def __init__(
        self,
        columns: Mapping[str, Lazy],
        protocol: Protocol,
        meta: Mapping[str, Any] | None = None,
        path: Path | None = None,
    ) -> None:
        self._columns, self.protocol, self.path = dict(columns), protocol, path
        self.meta: dict[str, Any] = dict(meta or {})
        self._length = len(self._columns["observations"])
        self._begins = True

    @classmethod
    def open(cls, path: str | Path) -> Episode:
        """Reads a run folder, or the ``episode.zarr`` in it.

        Args:
            path: The folder.

        Raises:
            RunError: The folder is missing, foreign or damaged.
        """
        folder = Path(path)
        folder = folder / "episode.zarr" if (folder / "episode.zarr").is_dir() else folder
        if not (folder / "zarr.json").is_file() or not (folder / "meta.json").is_file():
            reason = "there is no such folder" if not folder.exists() else "it holds no episode.zarr"
            raise RunError(f"{path} is not a run of policyscope: {reason}")
        meta, count = read_json(folder / "meta.json"), read_count(folder)
        try:
            protocol = Protocol.from_dict(meta["protocol"])
        except (KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{folder / 'meta.json'} is damaged: it holds no protocol") from error
        group = open_group(folder)
        # Listed by hand: zarr warns of the two JSON files that stand beside the arrays.
        names = sorted(part.parent.name for part in folder.glob("*/zarr.json"))
        columns = {name: Lazy(group[name], count) for name in names}
        _check(folder, columns, group, count)
        check_chunks(folder, {name: group[name] for name in names}, count)
        return cls(columns, protocol, meta, folder)

    @classmethod
    def from_arrays(
        cls,
        observations: Any,
        actions: Any = None,
        *,
        rewards: Any = None,
        starts: Any = None,
        terminated: Any = None,
        truncated: Any = None,
        memories: Any = None,
        screens: Any = None,
        ram: Any = None,
        lives: Any = None,
        streams: Mapping[str, Any] | None = None,
        protocol: Protocol | None = None,
    ) -> Episode:
        """An episode that was recorded elsewhere; no game is needed.

        Args:
            observations: (N, …) as the network takes them, before scaling; anything that numpy can index.
            actions: (N,) integers, or (N, k) floats.
            rewards: (N,).
            starts: (N,) bool; by default the first row and every row after an end.
            terminated: (N,) bool.
            truncated: (N,) bool.
            memories: (N, memory_size) that went into each step, for a recurrent agent.
            screens: (N, H, W, 3) uint8.
            ram: (N, bytes) uint8.
            lives: (N,) integers.
            streams: name -> (N,) or (N, k).
            protocol: How the observations were made; by default derived from their shape and type.

        Raises:
            RunError: The arrays do not have the same number of rows.
            ProtocolError: The observations are no pictures, or not those of ``protocol``.
        """
        given = {
            "observations": observations,
            "actions": actions,
            "rewards": rewards,
            "starts": starts,
            "terminated": terminated,
            "truncated": truncated,
            "memories": memories,
            "screens": screens,
            "ram": ram,
            "lives": lives,
            **{STREAM + name: value for name, value in (streams or {}).items()},
        }
        columns, protocol = columns_of_arrays({k: v for k, v in given.items() if v is not None}, protocol)
        meta = {"protocol": protocol.to_dict(), "agent": None, "game": protocol.game, "complete": True}
        return cls({name: Lazy(array, len(array)) for name, array in columns.items()}, protocol, meta)

    @classmethod
    def from_npz(cls, path: str | Path, protocol: Protocol | None = None) -> Episode:
        """An episode from an ``.npz`` file, as people save their replay memories.

        Keys as in :meth:`from_arrays` (``obs``, ``states``, ``dones``, ``timeouts`` … are understood too). Arrays
        (N, environments, …), as Stable-Baselines3's replay memory keeps them, are put one environment after the
        other.
        """
        arrays = arrays_of_npz(Path(path))
        streams = {name.removeprefix(STREAM): arrays.pop(name) for name in list(arrays) if name.startswith(STREAM)}
        return cls.from_arrays(arrays.pop("observations"), **arrays, streams=streams, protocol=protocol)

    @property
    def observations(self) -> Lazy:
        """(N, *observation_shape)."""
        return self._columns["observations"]

    @property
    def screens(self) -> Lazy | None:
        """(N, H, W, 3) uint8."""
        return self._columns.get("screens")

    @property
    def memories(self) -> Lazy | None:
        """(N, memory_size) float32: what went into each step; None for a feed-forward agent."""
        return self._columns.get("memories")

    @property
    def ram(self) -> Lazy | None:
        """(N, 128) uint8."""
        return self._columns.get("ram")

    @cached_property
    def actions(self) -> Array | None:
        """(N,) int64, or (N, k) float32; None where they were not told."""
        column = self._columns.get("actions")
        return None if column is None else np.asarray(column)

    @cached_property
    def rewards(self) -> Array:
        """(N,) float32, unclipped."""
        return self._small("rewards", np.float32)

    @cached_property
    def lives(self) -> Array:
        """(N,) int16, before each action."""
        return self._small("lives", np.int16)

    @cached_property
    def terminated(self) -> Array:
        """(N,) bool: the action ended the episode."""
        return self._small("terminated", bool)

    @cached_property
    def truncated(self) -> Array:
        """(N,) bool: the episode was cut off after the action."""
        return self._small("truncated", bool)

    @cached_property
    def starts(self) -> Array:
        """(N,) bool: an episode begins."""
        return self._small("starts", bool)

    @cached_property
    def game_over(self) -> Array:
        """(N,) bool: the action ended the game itself, or it was cut off."""
        return self._small("game_over", bool) if "game_over" in self._columns else self.terminated | self.truncated

    @cached_property
    def streams(self) -> Streams:
        """Name -> (N, k) float32."""
        return Streams({k.removeprefix(STREAM): v for k, v in self._columns.items() if k.startswith(STREAM)})

    @cached_property
    def fingerprint(self) -> str:
        """Tells two episodes apart: a hash of how this one was made and of what was done in it."""
        recipe = {key: self.meta.get(key) for key in ("protocol", "agent", "seed", "policy", "game")}
        digest = hashlib.sha256(json.dumps(recipe, sort_keys=True, default=str).encode())
        parts = [self.rewards, self.starts, self.lives]
        parts += [] if self.actions is None else [self.actions]
        parts += [self.observations[[0, -1]]] if self._length else []
        for part in parts:
            digest.update(f"{part.shape}{part.dtype}".encode() + np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:16]

    def returns(self) -> Array:
        """Sums of rewards (games,) float64 of the games that began and ended in the episode."""
        bounds = [*([0] if self._begins else []), *(np.flatnonzero(self.game_over) + 1)]
        return np.array([self.rewards[a:b].sum(dtype=np.float64) for a, b in pairwise(bounds)])

    def window(self, index: Any, lags: int) -> tuple[Array, Array | None, Array]:
        """The last observations up to some rows, for networks that are explained over time.

        Args:
            index: (n,) rows.
            lags: Observations a window holds.

        Returns:
            Observations (n, lags, …), oldest first; the memories (n, memory_size) that went into each window's first
            valid step, or None; and which observations are valid (n, lags): those before an episode's start are not
            (the first one stands in for them).
        """
        rows = np.atleast_1d(np.asarray(index, dtype=np.int64))
        rows = np.where(rows < 0, rows + self._length, rows)
        firsts = np.maximum.accumulate(np.where(self.starts, np.arange(self._length), 0))[rows]
        wanted = rows[:, None] - np.arange(lags - 1, -1, -1)
        valid = wanted >= firsts[:, None]
        wanted = np.maximum(wanted, firsts[:, None])
        memories = None if self.memories is None else self.memories[wanted[:, 0]]
        return self.observations[wanted], memories, valid

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Step]:
        return (self[index] for index in range(self._length))

    @overload
    def __getitem__(self, key: int) -> Step: ...
    @overload
    def __getitem__(self, key: slice) -> Episode: ...
    def __getitem__(self, key: int | slice) -> Step | Episode:
        if isinstance(key, slice):
            start, stop, step = key.indices(self._length)
            if step != 1:
                raise RunError(f"an episode is sliced in steps of 1, not {step}")
            views = {name: column.rows(start, stop) for name, column in self._columns.items()}
            part = Episode(views, self.protocol, self.meta, self.path)
            part._begins = bool(self.game_over[start - 1]) if start else self._begins
            return part
        index = int(key) + (self._length if key < 0 else 0)
        if not 0 <= index < self._length:
            raise IndexError(f"step {key} of {self._length}")
        action = None if self.actions is None else self.actions[index]
        return Step(
            index=index,
            observation=self.observations[index],
            screen=None if self.screens is None else self.screens[index],
            memory=None if self.memories is None else self.memories[index],
            action=int(action) if action is not None and np.ndim(action) == 0 else action,
            reward=float(self.rewards[index]),
            terminated=bool(self.terminated[index]),
            truncated=bool(self.truncated[index]),
            lives=int(self.lives[index]),
            start=bool(self.starts[index]),
            ram=None if self.ram is None else self.ram[index],
            streams={name: values[index] for name, values in self.streams.items()},
        )

    def __repr__(self) -> str:
        game = self.protocol.game or self.protocol.env or "arrays"
        return f"Episode({game}, {self._length} steps, observations {self.observations.shape[1:]})"

    def _small(self, name: str, dtype: Any) -> Array:
        column = self._columns.get(name)
        return np.zeros(self._length, dtype) if column is None else np.asarray(column)


def _check(folder: Path, columns: Mapping[str, Lazy], group: Any, count: int) -> None:
    """Shapes and types of what is about to be read."""
    for name in ("observations", "rewards", "starts"):
        if name not in columns:
            raise RunError(f"{folder} is not an episode of policyscope: the array {name!r} is missing")
    for name, column in columns.items():
        if group[name].shape[0] < count:
            raise RunError(f"{folder} is damaged: {name!r} has {group[name].shape[0]} rows of {count}")
        kind = column.dtype.kind
        fits = {
            "screens": column.ndim == 4 and column.shape[3] == 3 and kind == "u",
            "observations": column.ndim >= 3 and kind in "uif",
            "memories": column.ndim == 2 and kind == "f",
            "actions": (column.ndim == 1 and kind in "iu") or (column.ndim == 2 and kind == "f"),
            "rewards": column.ndim == 1 and kind == "f",
            "lives": column.ndim == 1 and kind in "iu",
            "ram": column.ndim == 2 and kind == "u",
            **dict.fromkeys(_FLAGS, column.ndim == 1 and kind == "b"),
        }.get(name, column.ndim == 2 and kind == "f")
        if not fits:
            raise RunError(f"{folder} is damaged: {name!r} is of shape {column.shape} and type {column.dtype}")
