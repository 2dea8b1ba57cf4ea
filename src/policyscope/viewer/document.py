"""A run as the page reads it: a manifest, and bundles of rows by their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch

from policyscope.episodes.episode import Episode
from policyscope.errors import RunError
from policyscope.rendering.facts import agent_of, game_of, title_of
from policyscope.rendering.normalise import EpisodeStatistics, frame_statistics
from policyscope.rendering.palettes import PALETTES
from policyscope.rendering.sources import Pictures
from policyscope.saliency.maps import Maps, Panel
from policyscope.saliency.request import INPUT_SHAPED, LAYERED, SELECTIONS
from policyscope.saliency.resize import to_size
from policyscope.storage import Array
from policyscope.viewer.bundle import bundle
from policyscope.viewer.encoding import LEVELS, deflated, pack_maps, pack_pictures
from policyscope.viewer.extras import Extras
from policyscope.viewer.inputs import Inputs
from policyscope.viewer.markers import markers
from policyscope.viewer.panels import key_of, methods, panel_of, told
from policyscope.viewer.series import Column, columns

FORMAT = 1
WINDOW = 32
"""Rows of a bundle: half a chunk of the run's arrays, and few enough to be computed while one waits."""

_FIRST = ("gradient", "guided_backprop", "grad_cam", "g1_grad_cam", "full_grad_pp", "guided_grad_cam")

Compute = Callable[[Panel, str, int, int], Array]
"""(panel, agent, start, stop) -> maps (n, h, w) float32 at the layer's own size."""


@dataclass
class Document:
    """A run for the page; rows are read when a bundle is asked for.

    Attributes:
        episode: What was played.
        maps: What was explained; None where nothing was.
        compute: Explains what is not stored.
        agents: Names of those who explain beside the one who played: ``b``.
        layers: Convolutions that a panel can be of; by default those of the maps.
        extras: Findings, tables, figures, notes and badges.
        scores: What an evaluation measured of each step.
        window: Rows of a bundle.
        levels: Of each sign of a map's values.
    """

    episode: Episode
    maps: Maps | None = None
    compute: Compute | None = None
    agents: Mapping[str, str] = field(default_factory=dict)
    layers: Sequence[str] | None = None
    extras: Extras = field(default_factory=Extras)
    scores: Sequence[Column] = ()
    window: int = WINDOW
    levels: int = LEVELS

    def __len__(self) -> int:
        return len(self.episode)

    @cached_property
    def pictures(self) -> Pictures:
        """The screens."""
        return Pictures(self.episode)

    @cached_property
    def inputs(self) -> Inputs:
        """The observations."""
        return Inputs(self.episode)

    def manifest(self) -> dict[str, Any]:
        """What the page must know before it asks for rows."""
        episode, protocol = self.episode, self.episode.protocol
        (height, width), pictures = self.inputs.size, self.pictures
        streams = {name: int(episode.streams[name].shape[1]) for name in episode.streams}
        in_time = protocol.layout == "time" or episode.memories is not None
        stored = self.maps.panels if self.maps else ()
        discrete = episode.actions is None or episode.actions.ndim == 1
        return {
            "format": FORMAT,
            "title": title_of(episode),
            "agent": agent_of(episode),
            "game": game_of(episode),
            "policy": episode.meta.get("policy"),
            "seed": episode.meta.get("seed"),
            "steps": len(episode),
            "window": self.window,
            "windows": None,
            "live": False,
            "computes": self.compute is not None,
            "asks": self.compute is not None,
            "screen": {
                "height": pictures.shape[0],
                "width": pictures.shape[1],
                "pixel": pictures.pixel,
                "placement": list(pictures.placement),
            },
            "input": {"height": height, "width": width, "lags": self.inputs.lags, "colours": protocol.colours},
            "memory": episode.memories is not None,
            "actions": [str(name) for name in episode.meta.get("actions") or ()] if discrete else None,
            "streams": [{"name": name, "size": size} for name, size in streams.items()],
            "layers": list(self.layers if self.layers is not None else self.maps.meta["layers"] if self.maps else ()),
            "methods": methods(in_time),
            "selections": list(SELECTIONS),
            "agents": [{"id": key, "label": label} for key, label in {"": agent_of(episode), **self.agents}.items()],
            "panels": [told(panel) for panel in stored],
            "first": first_panels(stored or self._computable()),
            "palettes": {
                name: {"positive": palette.positive, "negative": palette.negative, "reach": palette.reach}
                for name, palette in PALETTES.items()
            },
            "markers": [asdict(marker) for marker in markers(episode, self.maps)],
            "notes": list(self.extras.notes),
            "findings": list(self.extras.findings),
            "tables": list(self.extras.tables),
            "figures": list(self.extras.figures),
            "badges": dict(self.extras.badges),
        }

    def _computable(self) -> tuple[Panel, ...]:
        """What is shown at first of a run that nobody has explained yet, if it can be explained on request."""
        acting = next((name for name in ("q", "policy") if name in self.episode.streams), None)
        actions = self.episode.actions
        if self.compute is None or acting is None or actions is None or actions.ndim > 1:
            return ()
        layer = next(iter(self.layers or ()), None)
        lag = 0 if self.inputs.lags > 1 else None
        known = [name for name in _FIRST if layer is not None or name not in LAYERED]
        return tuple(
            Panel(name, acting, "taken", layer if name in LAYERED else None, lag if name in INPUT_SHAPED else None)
            for name in known
        )

    def bundle(self, key: str) -> bytes:
        """The bytes of ``series``, ``screens/W``, ``inputs/W`` or ``maps/PANEL/W``.

        Raises:
            RunError: There is no such part of the run.
            TargetError: The agent lacks what a panel asks for.
        """
        kind, _, rest = key.partition("/")
        if key == "series":
            found = [*columns(self.episode, self.maps), *self.scores]
            return packed_series([(c.name, c.group) for c in found], np.stack([c.values for c in found]), 0)
        name, _, number = rest.rpartition("/")
        if number.isascii() and number.isdigit() and int(number) * self.window < len(self):
            start = int(number) * self.window
            stop = min(start + self.window, len(self))
            if kind == "screens" and not name:
                return self.screens(start, stop)
            if kind == "inputs" and not name:
                return self.observations(start, stop)
            if kind == "maps":
                return self.panel(name, start, stop)
        raise RunError(f"the run has no {key!r}")

    def screens(self, start: int, stop: int) -> bytes:
        """What a player saw."""
        return packed_pictures(self.pictures[start:stop], start, stop - start)

    def observations(self, start: int, stop: int) -> bytes:
        """What the network saw."""
        seen = self.inputs.seen(start, stop)
        return packed_pictures(seen.pictures, start, stop - start, lags=self.inputs.lags, before=seen.before)

    def panel(self, key: str, start: int, stop: int) -> bytes:
        """Maps of a panel, stored or computed."""
        return packed_panel(self._rows(key, start, stop), self.inputs.size, start, self.levels)

    def statistics(self, key: str) -> dict[str, float]:
        """A stored panel's statistics over the episode; ``rows`` is 0 where the maps are made on request."""
        panel, agent = panel_of(key)
        if agent or self.maps is None or panel not in self.maps.panels:
            return {"rows": 0}
        return {**asdict(EpisodeStatistics.of(self.maps.statistics(panel))), "rows": len(self.maps)}

    def _rows(self, key: str, start: int, stop: int) -> Array:
        panel, agent = panel_of(key)
        if not agent and self.maps is not None and panel in self.maps.panels and stop <= len(self.maps):
            return np.asarray(self.maps[panel].stored[start:stop])
        if self.compute is None:
            raise RunError(f"the run has no maps of {panel.label} for steps {start} to {stop - 1}")
        return self.compute(panel, agent, start, stop)


def first_panels(stored: Sequence[Panel]) -> list[str]:
    """What is shown at first: the game, and five panels, of different methods before different targets of one."""
    one_each = {panel.method: panel for panel in reversed(stored)}
    order = [*(one_each[name] for name in _FIRST if name in one_each), *reversed(one_each.values()), *stored]
    return ["screen~~~~~", *(key_of(panel) for panel in list(dict.fromkeys(order))[:5])]


def packed_panel(maps: Array, size: tuple[int, int], start: int, levels: int = LEVELS) -> bytes:
    """A bundle of maps (n, h, w), with the statistics of each at the input's size."""
    sent = pack_maps(maps, levels)
    full = to_size(torch.from_numpy(np.ascontiguousarray(maps, np.float32)), size).numpy()
    known = frame_statistics(full)
    numbers = np.stack([sent.scales, *(known[name] for name in ("mean", "std", "max", "q995"))], axis=1)
    header = {"first": start, "count": len(maps), "size": list(maps.shape[1:])}
    return bundle(header, [sent.data, numbers.astype("<f4").tobytes()])


def packed_series(told: Sequence[tuple[str, str]], values: Array, start: int) -> bytes:
    """A bundle of numbers of each step.

    Args:
        told: Name and group of each column.
        values: (columns, n).
        start: The first row.
    """
    named = [{"name": name, "group": group} for name, group in told]
    return bundle(
        {"first": start, "count": values.shape[1], "columns": named}, [deflated(values.astype("<f4").tobytes())]
    )


def packed_pictures(pictures: Array, start: int, count: int, **told: Any) -> bytes:
    """A bundle of pictures (m, H, W, 3) for some rows."""
    sheet = pack_pictures(pictures)
    height, width = pictures.shape[1:3]
    header = {"first": start, "count": count, "columns": sheet.columns, "width": width, "height": height, **told}
    return bundle(header, [sheet.data])
