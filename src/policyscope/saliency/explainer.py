"""From an agent and rows of an episode to the rows of its maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import copy
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Agent, Streams
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.saliency import full_grad, health, perturbation, plan, targets
from policyscope.saliency.columns import ALIVE, flow_column, map_column, shares_column, target_column, weights_column
from policyscope.saliency.disagreement import coarse, comparisons, disagreement
from policyscope.saliency.lags import by_lag, lag_shares
from policyscope.saliency.maps import Panel
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating, evaluating
from policyscope.saliency.request import INPUT_SHAPED, Request, inner_modules
from policyscope.saliency.trace import Trace
from policyscope.storage import Array


class Explainer:
    """Explains rows of an episode.

    Attributes:
        layer_names: The convolutions, in the order they run.
        weighted_layers: The layers that FullGrad++ weighs.
        size: Height and width of the maps.
        completeness: How much of the first state's target FullGrad's terms leave unexplained, relative to it.
    """

    def __init__(self, agent: Agent, episode: Episode) -> None:
        self.agent, self.episode = agent, episode
        self._passes = Passes(agent, episode)
        with differentiating():
            probe = self._passes.watched(np.arange(1), window=1)
            stream = targets.stream_of(probe.outputs, None)
            terms = full_grad.completeness(probe, targets.select(stream, "greedy", 1))
        self.layer_names = probe.layer_names()
        self.weighted_layers = [calls[0].name for calls in full_grad.spatial_layers(probe)]
        self.size = probe.image_size
        self.completeness = float((terms.remainder.abs() / terms.target.abs().clamp(min=1e-12)).item())

    def with_episode(self, episode: Episode) -> Explainer:
        """The same for another episode, or for one that has grown: what is known of the network is kept.

        Raises:
            ProtocolError: Its observations are not those that the agent sees.
        """
        other = copy(self)
        other.episode, other._passes = episode, Passes(self.agent, episode)
        return other

    def run(self, request: Request, batches: Iterable[slice]) -> Iterator[dict[str, Array]]:
        """Yields, for each batch of rows, column name -> (rows, …)."""
        gradient_panels = [p for p in request.panels if p.method in plan.METHODS]
        perturbed_panels = [p for p in request.panels if p.method in plan.PERTURBATION]
        inner = tuple(sorted({p.stream for p in request.panels} & inner_modules(self.agent) - set(self.agent.streams)))
        names = {panel: map_column(request.panels, panel) for panel in request.panels}
        compared = comparisons(request.panels)
        grids = {panel: torch.empty(0) for comparison in compared for panel in comparison.panels}
        for batch in batches:
            index = np.arange(batch.start, batch.stop)
            rows: dict[str, Array] = {}
            if gradient_panels:
                with differentiating():
                    trace = self._passes.watched(
                        index, window=request.window, positive_inputs=request.positive_inputs, capture=inner
                    )
                    for panel, maps in self._gradient_maps(trace, index, gradient_panels, request, rows):
                        rows[names[panel]] = _numpy(maps)
                        if panel in grids:
                            grids[panel] = coarse(maps, self.size)
                    if self.layer_names:
                        rows[ALIVE] = _numpy(health.alive(trace, self.layer_names))
            for panel, maps in self._perturbed_maps(index, perturbed_panels, request):
                rows[names[panel]] = _numpy(maps)
                if panel in grids:
                    grids[panel] = coarse(maps, self.size)
            for comparison in compared:
                rows[comparison.column] = _numpy(disagreement([grids[panel] for panel in comparison.panels]))
            yield rows

    # -- gradient methods ---------------------------------------------------------------------------------------

    def _gradient_maps(
        self, trace: Trace, index: Array, panels: list[Panel], request: Request, rows: dict[str, Array]
    ) -> Iterator[tuple[Panel, Tensor]]:
        for (stream, action), group in _grouped(panels, lambda p: (p.stream, p.action)):
            target = self._target(trace, stream, action, index)
            rows[target_column(stream, action)] = _numpy(target)
            layers = list(dict.fromkeys(p.layer for p in group if p.layer is not None))
            watched = health.points(trace, self.layer_names)
            rest: tuple[str | None, ...] = (None,)
            for layer in layers or [*self.layer_names[:1], ""][:1]:
                here = [p for p in group if p.layer in (layer, *rest)]
                rest = ()  # what has no layer is explained once
                computed = plan.compute(
                    trace,
                    target,
                    dict.fromkeys(p.method for p in here),
                    layer,
                    request.variants,
                    other_layers=layers,
                    points=watched,
                    resize=False,
                )
                for panel in here:
                    yield panel, self._of_lag(computed[panel.method], panel)
            for panel in group:
                if panel.method == "full_grad_pp":
                    rows[weights_column(panel)] = _numpy(self._shares(trace, target, panel, request))
            if any("standard" in plan.METHODS[p.method].rules for p in group):
                gradient = trace.gradients(target, "standard").input
                rows[shares_column(stream, action)] = _numpy(lag_shares(gradient, self.agent))
                rows[flow_column(stream, action)] = _numpy(health.flow(trace, target, self.layer_names))
            trace.forget(target)

    def _shares(self, trace: Trace, target: Tensor, panel: Panel, request: Request) -> Tensor:
        """FullGrad++'s share of each layer, (B, layers); zero for one that does not lead to the target."""
        variant = request.variants.get(panel.method, "default")
        weights = full_grad.layer_weights(trace, target, full_grad.WEIGHT_OF_VARIANT[variant])
        shares = {name: self._of_lag(w[..., None, None], panel)[..., 0, 0] for name, w in weights.items()}
        none = torch.zeros_like(next(iter(shares.values())))
        return torch.stack([shares.get(name, none) for name in self.weighted_layers], dim=1)

    def _target(self, trace: Trace, stream: str, action: str, index: Array) -> Tensor:
        inner = stream in trace.captured
        values = trace.captured_stream(stream) if inner else targets.stream_of(trace.outputs, stream)
        if action not in ("taken", "contrast") or values.numel() == trace.states:
            return targets.select(values, action, trace.states, stream)
        taken = self._taken(index, values.device)
        if action == "taken":
            return targets.select(values, taken, trace.states, stream)
        return targets.contrast(targets.entries(values, trace.states, stream), taken)

    def _taken(self, index: Array, device: torch.device) -> Tensor:
        """The actions taken; where they are continuous, the dimension that departs most from zero."""
        actions = self.episode.actions
        if actions is None:
            raise TargetError("the actions taken were not recorded: explain the greedy one, or give an index")
        rows = torch.as_tensor(actions[index], device=device)
        return rows.abs().argmax(dim=1) if rows.ndim == 2 else rows.long()

    def _of_lag(self, maps: Tensor, panel: Panel) -> Tensor:
        """One map per state from a method's result, which may have axes of lags and channels."""
        protocol = self.agent.protocol
        in_time = protocol.layout == "time" or self.agent.memory_size > 0
        if panel.method not in INPUT_SHAPED:
            return _pick(maps, maps.shape[1], panel.lag) if in_time and panel.lag is not None else maps
        frames = by_lag(maps, self.agent)
        seen = maps.shape[1] if in_time else protocol.stack
        return _over_colours(_pick(frames[:, -seen:], seen, panel.lag))

    # -- perturbation methods -----------------------------------------------------------------------------------

    def _perturbed_maps(self, index: Array, panels: list[Panel], request: Request) -> Iterator[tuple[Panel, Tensor]]:
        if not panels:
            return
        for (stream, lag), group in _grouped(panels, lambda p: (p.stream, p.lag)):
            inputs, call, frame = self._perturbable(index, int(lag or 0))
            pick = partial(targets.stream_of, stream=stream)
            with evaluating(self.agent.network):
                base, perturbed = perturbation.perturbed_outputs(call, inputs, pick, frame, request.regions)
            for panel in group:
                if panel.method == "noise_saliency":
                    yield panel, perturbation.noise_saliency(base, perturbed, request.regions, self.size)
                else:
                    takes = panel.action in ("taken", "contrast") and self.episode.actions is not None
                    chosen = targets.chosen(self._taken(index, base.device) if takes else panel.action, base)
                    yield panel, perturbation.sarfa(base, perturbed, chosen, request.regions, self.size)

    def _perturbable(
        self, index: Array, lag: int
    ) -> tuple[Tensor, Callable[[Tensor, Tensor], Streams], tuple[Any, ...]]:
        """Inputs, how the network runs on rows of them, and where the picture of a lag is in one of them."""
        agent, protocol = self.agent, self.agent.protocol
        if agent.memory_size:
            inputs, memory, alive = self._passes.window(index, lag + 1)

            def unroll(rows: Tensor, states: Tensor) -> Streams:
                return self._passes.unrolled(rows, memory[states], alive[states])

            return inputs, unroll, (0, slice(-protocol.colours, None))
        inputs = self._passes.pictures(index)
        place = protocol.stack - 1 - lag
        channels = slice(place * protocol.colours, (place + 1) * protocol.colours)
        frame = (place,) if protocol.layout == "time" else (channels,)
        return inputs, lambda rows, _: self._passes.streams(rows), frame


def _grouped(panels: list[Panel], key: Any) -> Iterator[tuple[Any, list[Panel]]]:
    order = {k: i for i, k in enumerate(dict.fromkeys(map(key, panels)))}
    for value, group in groupby(sorted(panels, key=lambda p: order[key(p)]), key):
        yield value, list(group)


def _pick(maps: Tensor, lags: int, lag: int | str | None) -> Tensor:
    """One lag of (B, lags, …) maps, oldest first, or their sum or mean."""
    if lag == "sum":
        return maps.sum(dim=1)
    if lag == "mean":
        return maps.mean(dim=1)
    return maps[:, lags - 1 - int(lag or 0)]


def _over_colours(maps: Tensor) -> Tensor:
    """The sum over a picture's colours, (B, colours, H, W) -> (B, H, W)."""
    return maps[:, 0] if maps.shape[1] == 1 else maps.sum(dim=1)


def _numpy(tensor: Tensor) -> Array:
    array: Array = tensor.detach().to(torch.float32).cpu().contiguous().numpy()
    return array
