"""Scores of each frame, kept in ``RUN/scores.zarr``: written along the episode, resumed, read back by name."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.agents.presets import game_name
from policyscope.episodes.episode import Episode
from policyscope.errors import RunError
from policyscope.evaluation import stability
from policyscope.evaluation.frames import MEASURES, Chunk, measured
from policyscope.evaluation.inversion import Reference
from policyscope.evaluation.marks import Marks
from policyscope.evaluation.objects import GAMES, Objects, centres, coverage, objects_of_episode
from policyscope.evaluation.sources import Sources
from policyscope.storage import Array, Columns, Specs, check_chunks, open_group, read_count, read_json

FOLDER = "scores.zarr"
SAMPLED = 64
"""Rows whose scale stands for the episode's, and rows whose perturbation maps say where the agent looks."""
BATCH = 64
"""Rows that go through the network at once."""

Progress = Callable[[int, int], None]


class Scores:
    """What was measured of each frame.

    Attributes:
        meta: How: sources, kinds, scales, whose.
        sources: Names of the methods.
        kinds: Of objects.
        measures: Names of what there is.
    """

    def __init__(self, folder: Path) -> None:
        """Opens a run folder.

        Raises:
            RunError: It has no scores, or they are damaged.
        """
        self.path = folder / FOLDER
        if not (self.path / "meta.json").is_file():
            raise RunError(f"{folder} holds no scores: evaluate it first (policyscope evaluate)")
        self.meta: dict[str, Any] = read_json(self.path / "meta.json")
        self.sources: tuple[str, ...] = tuple(self.meta["sources"])
        self.kinds: tuple[str, ...] = tuple(self.meta["kinds"])
        self._count, group = read_count(self.path), open_group(self.path)
        self.measures = tuple(name for name in MEASURES if (self.path / name).is_dir())
        self._arrays = {name: group[name] for name in self.measures}
        check_chunks(self.path, self._arrays, self._count)

    def __len__(self) -> int:
        return self._count

    def values(self, measure: str, source: str, kind: str | None = None) -> Array:
        """(N,) float64, NaN where it does not apply.

        Args:
            measure: One of ``measures``.
            source: One of ``sources``.
            kind: One of ``kinds``, for measures of objects.
        """
        array = self._arrays[measure]
        place = self.sources.index(source)
        if MEASURES[measure].kinds:
            return np.asarray(array[: self._count, place, self.kinds.index(str(kind))], np.float64)
        return np.asarray(array[: self._count, place], np.float64)


def score_frames(
    agent: Agent,
    episode: Episode,
    sources: Sources,
    out: Path,
    *,
    perturbation: bool = True,
    progress: Progress | None = None,
) -> Scores:
    """Measures all frames of an episode, and goes on where an earlier call was stopped.

    Args:
        agent: Whose maps are judged.
        episode: What it saw and did.
        sources: Of maps.
        out: Run folder.
        perturbation: Make perturbation maps of some rows, which say where the agent looks.
        progress: Called with (steps done, steps in all).

    Raises:
        RunError: The folder's scores are of another agent, episode or request.
    """
    walk = _Walk(agent, episode, sources, perturbation)
    folder = out / FOLDER
    told = {
        "sources": list(sources.names),
        "kinds": list(walk.kinds),
        "agent": agent.fingerprint,
        "episode": episode.fingerprint,
        "streams": list(sources.streams),
        "perturbation": perturbation,
    }
    fingerprint = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]
    begun = read_json(folder / "meta.json") if (folder / "meta.json").exists() else None
    if begun is not None and begun.get("fingerprint") != fingerprint:
        raise RunError(f"the scores in {out} are of another agent, episode or request: choose another --out")
    scales = begun["scales"] if begun is not None else walk.scales()
    start = read_count(folder) if begun is not None else 0
    if start < len(episode):
        meta = told | {"fingerprint": fingerprint, "scales": scales}
        with closing(Columns(folder, walk.specs, meta=meta)) as columns:
            for rows, values in walk.chunks(scales, start):
                columns.append(values)
                if progress is not None:
                    progress(rows.stop, len(episode))
    return Scores(out)


class _Walk:
    """An episode's chunks of rows, measured one after the other."""

    def __init__(self, agent: Agent, episode: Episode, sources: Sources, perturbation: bool) -> None:
        self._agent, self._episode, self._sources = agent, episode, sources
        self._objects = _objects(episode)
        self.kinds = self._objects.kinds if self._objects is not None else ()
        self._every = math.ceil(len(episode) / SAMPLED) if perturbation else 0

    @property
    def specs(self) -> Specs:
        """The arrays' rows: (methods,) or (methods, kinds) of each measure."""
        methods, kinds = len(self._sources.names), len(self.kinds)
        return {
            name: ((methods, kinds) if measure.kinds else (methods,), np.float32)
            for name, measure in MEASURES.items()
            if kinds or not measure.kinds
        }

    def scales(self) -> dict[str, float]:
        """What each method shows in full colour: the 95th percentile of some frames' 99.5th percentiles."""
        rows = np.unique(np.linspace(0, len(self._episode) - 1, SAMPLED).round().astype(int))
        found: dict[str, list[float]] = {name: [] for name in self._sources.names}
        for first in range(0, len(rows), BATCH):
            for name, maps in self._sources.maps(rows[first : first + BATCH]).items():
                found[name] += stability.scales(maps).tolist()
        return {name: float(np.quantile(values, 0.95)) for name, values in found.items()}

    def chunks(self, scales: dict[str, float], start: int) -> Iterator[tuple[slice, dict[str, Array]]]:
        """Rows, and name -> (n, methods) or (n, methods, kinds)."""
        specs = self.specs
        while start < len(self._episode):
            rows = slice(start, min((start // BATCH + 1) * BATCH, len(self._episode)))
            found = {name: np.full((rows.stop - rows.start, *shape), np.nan) for name, (shape, _) in specs.items()}
            for place, chunk in enumerate(self._of(rows, scales)):
                for name, values in measured(chunk).items():
                    found[name][:, place] = values
            yield rows, found
            start = rows.stop

    def _of(self, rows: slice, scales: dict[str, float]) -> Iterator[Chunk]:
        """The chunk of each method."""
        # One row more, so that each has the one before it; the first of the episode follows none.
        extra = 1 if rows.start else 0
        wide = slice(rows.start - extra, rows.stop)
        maps = self._sources.maps(np.arange(wide.start, wide.stop))
        guides = filter(None, map(self._sources.guide, self._sources.names))
        guided = {name: Reference(maps[name][extra:]) for name in guides}
        follows = ~np.asarray(self._episode.starts[rows], bool)
        follows[:1] &= bool(extra)
        marks, middles = self._places(rows, wide, extra)
        perturbed = self._perturbed(rows)
        for name in self._sources.names:
            guide = self._sources.guide(name)
            yield Chunk(
                maps[name][:1],
                maps[name][extra:],
                follows,
                scales[name],
                marks,
                middles,
                self._objects.kind_of if self._objects is not None else np.zeros(0, int),
                None if guide is None else guided[guide],
                perturbed,
            )

    def _places(self, rows: slice, wide: slice, extra: int) -> tuple[Marks | None, Array | None]:
        """Where kinds are, and centres (1 + n, S, 2)."""
        if self._objects is None:
            return None, None
        protocol = self._agent.protocol
        cover = coverage(self._objects, protocol, np.arange(rows.start, rows.stop))
        middles = centres(self._objects, protocol, wide)
        return Marks(cover), middles if extra else np.concatenate([middles[:1], middles])

    def _perturbed(self, rows: slice) -> Reference | None:
        """Perturbation maps of the newest frame, zero in rows that were not drawn."""
        if not self._every:
            return None
        found = np.zeros((rows.stop - rows.start, *self._sources.size), np.float32)
        drawn = np.arange(-(-rows.start // self._every) * self._every, rows.stop, self._every)
        if len(drawn):
            found[drawn - rows.start] = self._sources.perturbed(drawn)
        return Reference(found)


def _objects(episode: Episode) -> Objects | None:
    """The objects of a game that is known, recorded with its RAM."""
    game = episode.protocol.game
    known = game is not None and game_name(game) in GAMES and not episode.protocol.ready
    return objects_of_episode(episode) if known and episode.ram is not None else None
