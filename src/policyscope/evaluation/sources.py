"""Where the maps that are judged come from: our methods, and baselines that know nothing of the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

import cv2
import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.rendering.sources import frames, value_range
from policyscope.saliency import plan
from policyscope.saliency.columns import map_column
from policyscope.saliency.explainer import Explainer
from policyscope.saliency.maps import SIGNED, Panel
from policyscope.saliency.request import make_request
from policyscope.saliency.resize import to_size
from policyscope.storage import Array

DEFAULT = (*plan.METHODS, "edges", "frame_difference", "random")
CAPTUM = "captum:"
BATCH = 64


class Pictures:
    """The frames of an episode as the agent saw them, grey, in [0, 1]."""

    def __init__(self, agent: Agent, episode: Episode) -> None:
        self._protocol, self._episode = agent.protocol, episode
        sample = np.asarray(episode.observations[: min(len(episode), BATCH)])
        self._low, self._high = value_range(frames(sample, self._protocol))

    def __call__(self, rows: slice, lag: int = 0) -> Array:
        """(n, H, W) float32 of some rows.

        Args:
            rows: Of the episode.
            lag: Frames before the newest; as old as the stack has, at most.
        """
        seen = frames(np.asarray(self._episode.observations[rows]), self._protocol)
        picture = seen[:, min(lag, seen.shape[1] - 1)].astype(np.float32).mean(axis=-1)
        return np.asarray((picture - self._low) / (self._high - self._low), np.float32)

    def before(self, rows: slice) -> Array:
        """(n, H, W): the frames before the newest ones, from the stack or, without one, from the episode."""
        if self._protocol.stack > 1:
            return self(rows, 1)
        first = max(rows.start - 1, 0)
        past = self(slice(first, rows.stop - 1)) if rows.stop - 1 > first else self(slice(first, first + 1))[:0]
        past = np.concatenate([self(slice(rows.start, rows.start + 1)), past]) if rows.start == 0 else past
        begins = np.asarray(self._episode.starts[rows])[:, None, None]
        return np.asarray(np.where(begins, self(rows), past))


def edges(pictures: Pictures, rows: slice) -> Array:
    """Sobel's gradient magnitude of the newest frame: what needs neither a model nor data (Adebayo et al., 2018)."""
    found = [np.hypot(cv2.Sobel(p, cv2.CV_32F, 1, 0), cv2.Sobel(p, cv2.CV_32F, 0, 1)) for p in pictures(rows)]
    return np.stack(found)


def frame_difference(pictures: Pictures, rows: slice) -> Array:
    """What has changed since the frame before: moving things, without a model."""
    changed: Array = np.abs(pictures(rows) - pictures.before(rows))
    return changed


def random(pictures: Pictures, rows: slice) -> Array:
    """Noise, other in each row and the same in each evaluation, in cells of a first convolution's stride."""
    height, width = pictures(slice(rows.start, rows.start + 1)).shape[1:]
    cells = (-(-height // 4), -(-width // 4))
    drawn = [np.random.default_rng([7, row]).random(cells, np.float32) for row in range(rows.start, rows.stop)]
    return np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in drawn])


BASELINES: dict[str, Callable[[Pictures, slice], Array]] = {
    "edges": edges,
    "frame_difference": frame_difference,
    "random": random,
}


class Sources:
    """Maps of many methods of the same rows: one pass through the network serves all of ours.

    Attributes:
        names: What each is called: its method, with what tells panels of the same method apart.
        panels: Name -> what is explained; baselines have none.
        explainer: Of the agent and the episode.
    """

    def __init__(
        self,
        agent: Agent,
        episode: Episode,
        methods: Iterable[str] = DEFAULT,
        *,
        stream: str | Sequence[str] | None = None,
        action: str | int | None = None,
        layer: str | int | Sequence[str | int] = 1,
        lag: str | int = 0,
    ) -> None:
        """Checks what is asked for.

        Args:
            agent: Whose decisions are explained.
            episode: What it saw and did.
            methods: Ours, baselines (``edges``, ``frame_difference``, ``random``) and ``captum:CLASS``.
            stream: As for ``explain``.
            action: As there.
            layer: As there.
            lag: As there.

        Raises:
            TargetError: A method is not known, or the agent lacks what is asked for.
        """
        asked = list(dict.fromkeys(methods))
        known = (*plan.METHODS, *plan.PERTURBATION, *BASELINES)
        for name in asked:
            if name not in known and not name.startswith(CAPTUM):
                raise TargetError(f"no method {name!r}; there are: {', '.join(known)}, and captum:CLASS")
        self.agent, self.episode = agent, episode
        self.explainer = Explainer(agent, episode)
        ours = [name for name in asked if name in plan.METHODS or name in plan.PERTURBATION]
        wanted: dict[str, Any] = {"stream": stream, "action": action, "layer": layer, "lag": lag}
        self._request = (
            make_request(agent, episode, self.explainer.layer_names, methods=ours, **wanted) if ours else None
        )
        panels = self._request.panels if self._request else ()
        self.panels = _named(panels)
        self._captum = [name for name in asked if name.startswith(CAPTUM)]
        self._baselines = [name for name in asked if name in BASELINES]
        self._target = {"stream": wanted["stream"], "action": wanted["action"]}
        self.names = (*self.panels, *self._captum, *self._baselines)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the maps."""
        return self.explainer.size

    def signed(self, name: str) -> bool:
        """Whether negative values of a source mean something."""
        return name.startswith(CAPTUM) or (name in self.panels and self.panels[name].method in SIGNED)

    def maps(self, rows: slice) -> dict[str, Array]:
        """Name -> (n, H, W) float32 raw maps.

        Args:
            rows: Of the episode, without a step; as many as go through the network at once.
        """
        found: dict[str, Array] = {}
        if self._request is not None:
            (made,) = self.explainer.run(self._request, [rows])
            for name, panel in self.panels.items():
                maps = torch.from_numpy(np.ascontiguousarray(made[map_column(self._request.panels, panel)]))
                found[name] = to_size(maps, self.size).numpy() if maps.shape[-2:] != self.size else maps.numpy()
        for name in self._captum:
            found[name] = self._attribution(name).maps(rows)
        for name in self._baselines:
            found[name] = BASELINES[name](self.pictures, rows)
        return found

    @cached_property
    def pictures(self) -> Pictures:
        """The episode's frames."""
        return Pictures(self.agent, self.episode)

    def _attribution(self, name: str) -> Any:
        from policyscope.evaluation.captum_source import CaptumSource

        if name not in self._attributions:
            self._attributions[name] = CaptumSource(self.agent, self.episode, name.removeprefix(CAPTUM), **self._target)
        return self._attributions[name]

    @cached_property
    def _attributions(self) -> dict[str, Any]:
        return {}


def _named(panels: Sequence[Panel]) -> dict[str, Panel]:
    """Panels by their method's name, and by what differs where a method has several."""
    found: dict[str, Panel] = {}
    for panel in panels:
        same = [other for other in panels if other.method == panel.method]
        parts = [panel.method]
        for field in ("stream", "action", "layer", "lag"):
            if len({getattr(other, field) for other in same}) > 1:
                parts.append(str(getattr(panel, field)))
        found[" ".join(parts)] = panel
    return found
