"""What leads where in a network: which weights each stream depends on, and how far back its gradient comes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

STATES = 12
"""States that are gone back from: as many passes as there are layers, so few."""

MET = 32
"""Units of a layer whose weights are looked at one by one."""
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(eq=False)
class Layer:
    """A layer that ran: where its input and output are in the graph, of each of its calls.

    Attributes:
        name: Module path.
        kind: ``conv``, ``norm``, ``linear`` or ``recurrent``.
        outputs: Before the rectifier.
        inputs: Empty where what it is given has no gradient.
        values: What it made, detached, before the rectifier.
    """

    name: str
    kind: str
    outputs: list[GradientEdge] = field(default_factory=list)
    inputs: list[GradientEdge] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Flow:
    """The gradient of one stream on its way back: norms, a state; None where nothing leads there.

    Attributes:
        output: Layer -> at its output.
        input: Layer -> at what it is given.
        weights: Parameter -> at it.
        leaf: At the network's input.
    """

    output: dict[str, float | None]
    input: dict[str, float | None]
    weights: dict[str, float | None]
    leaf: float | None


class Wiring:
    """The layers of a network in the order they ran, and what depends on them.

    It is worked out on a copy of the network, in which every weight has a gradient.

    Attributes:
        layers: Name -> layer, in the order they ran (the last call counts).
        owners: Module path -> names of its own parameters, of all modules that have some.
        rows: Of the episode, that it was worked out on.
        cuts: Where the graph was cut, in words.
        leaf: What the network was given, (n, …), channels before height and width.
        seen: Convolution -> what it was given in its first call, (rows, C, H, W).
        streams: Name -> what the network said, in the graph.

    Args:
        agent: Whose network.
        episode: Whose states.
        rows: Some of them.
        streams: What is gone back from.
    """

    def __init__(self, agent: Agent, episode: Episode, rows: Array, streams: Iterable[str]) -> None:
        network = copy.deepcopy(agent.network).requires_grad_(True)
        self.owners = {
            path: tuple(f"{path}.{name}" if path else name for name, _ in module.named_parameters(recurse=False))
            for path, module in network.named_modules()
            if any(True for _ in module.parameters(recurse=False))
        }
        self._parameters = dict(network.named_parameters())
        recurrent = _hooked(network)
        self.seen = _seen(network)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(STATES, len(rows))).round().astype(int))]
        with differentiating():
            self._passes = Passes(replace(agent, network=network), episode)
            self._trace = self._passes.watched(rows)
        self.rows = rows
        self.cuts = self._trace.cuts
        self.seen = {path: given.detach() for path, given in self.seen.items()}
        for layer in recurrent.values():
            layer.values = [value.detach() for value in layer.values]
        self.layers = _in_order({**_called(self._trace), **recurrent})
        outputs = self._trace.outputs
        self.leaf = self._trace.leaf.detach()
        self._activations = {call.name: call.activation.edge for call in self._trace.calls if call.kind == "conv"}
        self.streams: dict[str, Tensor] = {name: outputs[name] for name in streams if name in outputs}
        self._flows: dict[str, Flow] = {}
        self._reach: dict[str, float | None] = {}

    def flow(self, stream: str) -> Flow:
        """How a stream's gradient goes back through the layers to the input."""
        if stream not in self._flows:
            self._flows[stream] = self._gone_back(self.streams[stream])
        return self._flows[stream]

    def reach(self, layer: str) -> float | None:
        """The norm, a state, of the gradient of a layer's output at the network's input; None if it is cut off."""
        if layer not in self._reach:
            found = self.layers[layer]
            grads = [_pattern(value) for value in found.values]
            leaf = get_gradient_edge(self._trace.leaf)
            with differentiating():
                (gradient,) = torch.autograd.grad(found.outputs, leaf, grads, retain_graph=True, allow_unused=True)
            self._reach[layer] = _norm([gradient], self._trace.states)
        return self._reach[layer]

    def values(self, inputs: Tensor) -> dict[str, Tensor]:
        """Layer -> what it makes of other inputs, all calls one after the other; memories are as at the first state."""
        trace = self._passes.watched(self.rows[:1].repeat(len(inputs)), inputs=inputs)
        return {name: torch.cat(layer.values) for name, layer in _called(trace).items()}

    def met(self, linear: str, convolution: str) -> Tensor | None:
        """A linear layer's weights as a convolution's activation meets them, (units, C, H, W); None if it does not."""
        edge = self._activations.get(convolution)
        output = self.layers[linear].outputs[-1]
        values = self.layers[linear].values[-1]
        if edge is None:
            return None
        rows = []
        for unit in range(min(MET, values.shape[-1])):
            one = torch.zeros_like(values)
            one.view(-1, values.shape[-1])[0, unit] = 1
            with differentiating():
                (found,) = torch.autograd.grad(output, edge, one, retain_graph=True, allow_unused=True)
            if found is None or found.ndim != 4:
                return None
            rows.append(found.float().sum(dim=0))
        return torch.stack(rows)

    def uses(self, stream: str) -> set[str]:
        """Paths of the modules whose own weights a stream depends on."""
        flow = self.flow(stream)
        ran = {name.partition("@")[0] for name, norm in flow.output.items() if norm is not None}
        # A strided convolution goes back in phases, which leave its weights out: its output tells.
        other = {path for path, names in self.owners.items() if any(flow.weights[name] is not None for name in names)}
        return (ran & set(self.owners)) | other

    @cached_property
    def heard(self) -> dict[str, Tensor]:
        """Layer -> (units,) the largest gradient that any stream sends to a unit in any state and place.

        Units are channels of convolutions; zero says that whatever the unit does changes nothing.
        """
        layers = list(self.layers.values())
        edges = [edge for layer in layers for edge in layer.outputs]
        streams = [values for values in self.streams.values() if values.requires_grad]
        with differentiating():
            found: Any = iter(
                torch.autograd.grad(
                    streams, edges, [_pattern(values) for values in streams], retain_graph=True, allow_unused=True
                )
                if streams
                else [None] * len(edges)
            )
        heard = {}
        for layer in layers:
            axis = 1 if layer.kind in ("conv", "norm") and layer.values[0].ndim > 2 else -1
            sizes = [torch.zeros_like(v) if g is None else g.abs() for v, g in zip(layer.values, found, strict=False)]
            heard[layer.name] = torch.stack([s.movedim(axis, 0).flatten(1).amax(dim=1) for s in sizes]).amax(dim=0)
        return heard

    def gain(self, layer: str) -> float | None:
        """The norm of a random gradient behind a layer over its norm before it: what the layer alone does to it."""
        found = self.layers[layer]
        grads = [_pattern(value) for value in found.values]
        if len(found.inputs) != len(found.outputs):
            return None
        with differentiating():
            behind = [
                torch.autograd.grad(output, given, grad, retain_graph=True, allow_unused=True)[0]
                for output, given, grad in zip(found.outputs, found.inputs, grads, strict=True)
            ]
        norms = [_norm(list(part), self._trace.states) for part in (behind, grads)]
        return None if norms[0] is None or not norms[1] else norms[0] / norms[1]

    def gradient(self, values: Tensor, at: GradientEdge, weights: Tensor) -> Tensor | None:
        """The gradient of weighted values at a place of the graph; None where they do not depend on it."""
        with differentiating():
            (found,) = torch.autograd.grad(values, at, weights, retain_graph=True, allow_unused=True)
        return found

    def _gone_back(self, values: Tensor) -> Flow:
        layers, states = list(self.layers.values()), self._trace.states
        nothing = dict.fromkeys(self.layers)
        if not values.requires_grad:
            return Flow(dict(nothing), dict(nothing), dict.fromkeys(self._parameters), None)
        edges = [edge for layer in layers for edge in (*layer.outputs, *layer.inputs)]
        asked: list[Any] = [*edges, get_gradient_edge(self._trace.leaf), *self._parameters.values()]
        with differentiating():
            found: Any = iter(
                torch.autograd.grad(values, asked, _pattern(values), retain_graph=True, allow_unused=True)
            )
        output, given = {}, {}
        for layer in layers:
            output[layer.name] = _norm([next(found) for _ in layer.outputs], states)
            given[layer.name] = _norm([next(found) for _ in layer.inputs], states)
        leaf = _norm([next(found)], states)
        return Flow(output, given, {name: _norm([next(found)], states) for name in self._parameters}, leaf)


def _pattern(values: Tensor) -> Tensor:
    """Weights by which outputs are added up: fixed, and such that nothing cancels but by chance."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(values.shape, generator=generator).to(values)


def _norm(gradients: list[Tensor | None], states: int) -> float | None:
    there = [g for g in gradients if g is not None]
    if not there:
        return None
    return float(torch.stack([g.double().square().sum() for g in there]).sum().sqrt() / states**0.5)


def _called(trace: Trace) -> dict[str, Layer]:
    """The convolutions, normalisations and linear layers of a trace."""
    layers: dict[str, Layer] = {}
    for call in trace.calls:
        layer = layers.setdefault(call.name, Layer(call.name, call.kind))
        layer.outputs.append(call.output.edge)
        layer.values.append(call.output.value)
        if call.fed is not None:
            layer.inputs.append(call.fed.edge)
    return layers


def _hooked(network: nn.Module) -> dict[str, Layer]:
    """Recurrent layers, which fill with their calls as the network runs (a copy: the hooks may stay)."""
    layers: dict[str, Layer] = {}

    def keep(path: str) -> Any:
        def hook(_module: nn.Module, inputs: Any, output: Any) -> None:
            first = next((o for o in output if isinstance(o, Tensor)), None) if isinstance(output, tuple) else output
            if not isinstance(first, Tensor) or not first.requires_grad:
                return
            layer = layers.setdefault(path, Layer(path, "recurrent"))
            layer.outputs.append(get_gradient_edge(first))
            layer.values.append(first)
            if inputs and isinstance(inputs[0], Tensor) and inputs[0].requires_grad:
                layer.inputs.append(get_gradient_edge(inputs[0]))

        return hook

    for path, module in network.named_modules():
        if isinstance(module, _RECURRENT):
            module.register_forward_hook(keep(path))
    return layers


def _seen(network: nn.Module) -> dict[str, Tensor]:
    """What convolutions are given, filled as the network runs (a copy: the hooks may stay)."""
    seen: dict[str, Tensor] = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(_keeps(seen, path))
    return seen


def _keeps(seen: dict[str, Tensor], path: str) -> Any:
    def hook(_module: nn.Module, given: Any) -> None:
        if path not in seen and given and isinstance(given[0], Tensor):
            seen[path] = given[0].clone()  # detached when nobody watches: a cut would be noted

    return hook


def _in_order(layers: dict[str, Layer]) -> dict[str, Layer]:
    """Layers as they ran: autograd numbers its nodes."""

    def number(layer: Layer) -> int:
        return max(edge.node._sequence_nr() for edge in layer.outputs)

    return {layer.name: layer for layer in sorted(layers.values(), key=number)}
