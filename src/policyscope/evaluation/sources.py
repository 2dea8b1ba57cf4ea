"""Where the maps that are judged come from: our methods on one or several streams, captum's, baselines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.saliency import plan
from policyscope.saliency.columns import map_column
from policyscope.saliency.explainer import Explainer
from policyscope.saliency.maps import SIGNED
from policyscope.saliency.perturbation import Regions
from policyscope.saliency.request import default_stream, make_request
from policyscope.saliency.resize import to_size
from policyscope.storage import Array

DEFAULT = (*plan.METHODS, *BASELINES)


class Sources:
    """Maps of many methods of the same rows: one pass through the network serves all of ours.

    A name is a method's (``grad_cam``), with a convolution where it is not the first (``grad_cam@3``); where several
    streams are judged, the stream stands before it (``value: grad_cam``).

    Attributes:
        names: Of all sources.
        streams: That are explained.
        size: Height and width of the maps.
    """

    def __init__(
        self,
        agent: Agent,
        episode: Episode,
        methods: Iterable[str] = DEFAULT,
        *,
        streams: Sequence[str] = (),
        action: str | int | None = None,
        lag: int = 0,
    ) -> None:
        """Checks what is asked for.

        Args:
            agent: Whose decisions are explained.
            episode: What it saw and did.
            methods: Ours, perturbation methods (slow), baselines, and ``captum:CLASS``.
            streams: What is explained; by default what the agent acts by.
            action: As for ``explain``.
            lag: The input frame, 0 the newest.

        Raises:
            TargetError: A method is not known, or the agent lacks what is asked for.
        """
        self.agent, self.episode = agent, episode
        self.streams = tuple(streams) or (default_stream(agent),)
        self._explainer = Explainer(agent, episode)
        self.size = self._explainer.size
        asked = list(dict.fromkeys(methods))
        own = [name for name in asked if name not in BASELINES and name not in plan.PERTURBATION]
        baselines = [name for name in asked if name in BASELINES]
        self._made: dict[str, MethodMaps] = {
            stream: MethodMaps(agent, episode, own, stream=stream, action=action, lag=lag) for stream in self.streams
        }
        self._baselines = MethodMaps(agent, episode, baselines)
        self._perturbing = [name for name in asked if name in plan.PERTURBATION]
        self._action, self._lag = action, lag
        of_streams = [self._named(stream, name) for stream in self.streams for name in (*own, *self._perturbing)]
        self.names = (*of_streams, *baselines)

    def method(self, name: str) -> str:
        """The method alone: ``grad_cam`` of ``value: grad_cam@3``."""
        return name.rpartition(": ")[2].partition("@")[0]

    def signed(self, name: str) -> bool:
        """Whether negative values of a source mean something."""
        return self.method(name) in SIGNED or "captum" in name

    def guide(self, name: str) -> str | None:
        """The guided backpropagation that explains the same as a source, if it is among them."""
        stream = name.rpartition(": ")[0] or self.streams[0]
        guided = self._named(stream, "guided_backprop")
        return guided if guided in self.names and guided != name else None

    def maps(self, rows: Array) -> dict[str, Array]:
        """Name -> (n, H, W) float32 raw maps.

        Args:
            rows: (n,) of the episode, in a row or not.
        """
        found: dict[str, Array] = {}
        for stream, made in self._made.items():
            found |= {self._named(stream, name): maps for name, maps in made(rows).items()}
            for name in self._perturbing:
                found[self._named(stream, name)] = self.perturbed(rows, name, stream)
        found |= self._baselines(rows)
        return {name: found[name] for name in self.names}

    def perturbed(self, rows: Array, method: str = "noise_saliency", stream: str | None = None) -> Array:
        """(n, H, W) maps of a perturbation method, of the newest frame.

        Args:
            rows: (n,) of the episode.
            method: Which.
            stream: What is explained; by default the first.
        """
        request = make_request(
            self.agent,
            self.episode,
            self._explainer.layer_names,
            methods=[method],
            stream=stream or self.streams[0],
            action=self._action,
            lag=self._lag,
            regions=Regions(),
        )
        column = map_column(request.panels, request.panels[0])
        made = [next(self._explainer.run(request, [slice(int(r), int(r) + 1)]))[column] for r in rows]
        return to_size(torch.from_numpy(np.concatenate(made)), self.size).numpy()

    def _named(self, stream: str, name: str) -> str:
        return f"{stream}: {name}" if len(self.streams) > 1 else name
