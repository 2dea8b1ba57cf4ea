"""Maps of many methods on any rows of an episode, from one watched pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.evaluation.action_guided import action_guided_backprop
from policyscope.evaluation.baselines import BASELINES, Pictures
from policyscope.evaluation.captum_source import CaptumSource
from policyscope.saliency import plan, targets
from policyscope.saliency.lags import by_lag
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating
from policyscope.saliency.request import INPUT_SHAPED, default_stream
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

CAPTUM = "captum:"
ACTION_GUIDED = "action_guided_backprop"
MapsOf = Callable[[Array], Mapping[str, Array]]
"""From rows (n,) of an episode to name -> maps (n, H, W) float32."""


class MethodMaps:
    """Maps of gradient methods on rows of an episode: one forward pass, two backward passes.

    A name is a method's, or a method's and a convolution's (``grad_cam@3``, counted from 1 or by module path); without
    one it is the first, as in the paper. Baselines, ``captum:CLASS`` and ``action_guided_backprop`` may be among them.

    Args:
        agent: Whose network is explained.
        episode: Its states.
        names: What is computed.
        stream: What is explained; by default what the agent acts by.
        action: ``taken`` (the default where actions were recorded), ``greedy``, ``contrast`` or an index.
        lag: The input frame whose map it is, 0 the newest.
    """

    def __init__(
        self,
        agent: Agent,
        episode: Episode,
        names: Iterable[str] = tuple(plan.METHODS),
        *,
        stream: str | None = None,
        action: str | int | None = None,
        lag: int = 0,
    ) -> None:
        self.agent, self.episode, self.names, self.lag = agent, episode, tuple(names), lag
        self.passes = Passes(agent, episode)
        self.stream = stream or default_stream(agent)
        discrete = episode.actions is not None and episode.actions.ndim == 1
        self.action = action if action is not None else "taken" if discrete else "greedy"
        self._baselines = [name for name in self.names if name in BASELINES]
        self._captum = [name for name in self.names if name.startswith(CAPTUM)]
        others = (*self._baselines, *self._captum, ACTION_GUIDED)
        self._ours = [name for name in self.names if name not in others]
        for name in self._ours:
            if method_of(name)[0] not in plan.METHODS:
                known = ", ".join((*plan.METHODS, ACTION_GUIDED, *BASELINES))
                raise TargetError(f"no method {name!r}; there are: {known}, and {CAPTUM}CLASS")

    def __call__(self, rows: Array, inputs: Tensor | None = None) -> dict[str, Array]:
        """Name -> maps (n, H, W) float32 of rows (n,); of our methods also on other pictures of the rows' shape."""
        found: dict[str, Array] = {}
        if self._ours or ACTION_GUIDED in self.names:
            with differentiating():
                trace = self.passes.watched(rows, window=self.lag + 1, inputs=inputs)
                if self._ours:
                    found = maps_of(trace, self.target(trace, rows), self.agent, self._ours, self.lag)
                if ACTION_GUIDED in self.names:
                    found[ACTION_GUIDED] = self._action_guided(trace, rows)
        for name in self._baselines:
            found[name] = BASELINES[name](self._pictures, np.asarray(rows))
        for name in self._captum:
            source = self._attributions.get(name) or CaptumSource(
                self.agent, self.episode, name.removeprefix(CAPTUM), stream=self.stream, action=self.action
            )
            self._attributions[name] = source
            found[name] = source.of_rows(rows, inputs)
        return {name: found[name] for name in self.names}

    def _action_guided(self, trace: Trace, rows: Array) -> Array:
        values = targets.entries(targets.stream_of(trace.outputs, self.stream), trace.states, self.stream)
        if values.shape[1] < 2:
            raise TargetError(
                f"{ACTION_GUIDED} tells actions apart: the stream {self.stream!r} has one entry; use another"
            )
        actions = self.episode.actions
        if self.action in ("taken", "contrast"):
            if actions is None:
                raise TargetError("the actions taken were not recorded: explain the greedy one, or give an index")
            chosen = torch.as_tensor(actions[rows])
        else:
            chosen = values.detach().argmax(dim=1) if self.action == "greedy" else torch.tensor(int(self.action))
        return flat_map(action_guided_backprop(trace, values, chosen), self.agent, self.lag).numpy()

    @cached_property
    def _pictures(self) -> Pictures:
        return Pictures(self.agent, self.episode)

    @cached_property
    def _attributions(self) -> dict[str, CaptumSource]:
        return {}

    def target(self, trace: Trace, rows: Array) -> Tensor:
        """The explained scalar (n,) of each row."""
        values = targets.stream_of(trace.outputs, self.stream)
        if self.action not in ("taken", "contrast") or values.numel() == trace.states:
            return targets.select(values, self.action, trace.states, self.stream)
        if self.episode.actions is None:
            raise TargetError("the actions taken were not recorded: explain the greedy one, or give an index")
        taken = torch.as_tensor(self.episode.actions[rows]).to(values.device)
        if self.action == "taken":
            return targets.select(values, taken, trace.states, self.stream)
        return targets.contrast(targets.entries(values, trace.states, self.stream), taken)


def method_of(name: str) -> tuple[str, str | int]:
    """A name's method and convolution: ``grad_cam@3`` is (``grad_cam``, 3)."""
    method, _, layer = name.partition("@")
    return method, int(layer) if layer.isdigit() else layer or 1


def maps_of(trace: Trace, target: Tensor, agent: Agent, names: Iterable[str], lag: int = 0) -> dict[str, Array]:
    """Maps of a target on a trace, name -> (n, H, W) float32; its gradients are let go of."""
    wanted = [(name, *method_of(name)) for name in names]
    layers = list(dict.fromkeys(layer for _, _, layer in wanted))
    found: dict[str, Array] = {}
    for layer in layers:
        here = {method: name for name, method, own in wanted if own == layer}
        computed = plan.compute(trace, target, here, layer, other_layers=layers)
        for method, name in here.items():
            found[name] = flat_map(computed[method], agent, lag, method in INPUT_SHAPED).numpy()
    trace.forget(target)
    return {name: found[name] for name in dict.fromkeys(names)}


def flat_map(maps: Tensor, agent: Agent, lag: int = 0, input_shaped: bool = True) -> Tensor:
    """One lag of a method's maps, summed over colours, (n, H, W) float32 on the CPU."""
    protocol = agent.protocol
    in_time = protocol.layout == "time" or agent.memory_size > 0
    if input_shaped:
        frames = by_lag(maps, agent)
        maps = frames[:, frames.shape[1] - 1 - lag].sum(dim=1)
    elif in_time:
        maps = maps[:, maps.shape[1] - 1 - lag]
    return maps.detach().float().cpu().contiguous()


def spread_rows(episode: Episode, count: int, after: int = 4, seed: int | None = None) -> Array:
    """Rows of an episode, evenly spread or drawn by chance, in order, none of them within a few steps of a start.

    Args:
        episode: From which.
        count: How many at most.
        after: Steps since an episode's start that a row must be away, so that its stack is full.
        seed: Of the chance; None spreads them evenly.
    """
    number = np.arange(len(episode))
    firsts = np.maximum.accumulate(np.where(episode.starts, number, 0))
    old = number[number - firsts >= after]
    if len(old) <= count:
        return old
    if seed is None:
        return np.asarray(old[np.linspace(0, len(old) - 1, count).round().astype(int)])
    return np.sort(np.random.default_rng(seed).choice(old, count, replace=False))
