"""What leads where in a network: which weights each stream depends on, and how far back its gradient comes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
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

STATES = 8
"""States that are gone back from: as many passes as there are layers, so few."""

_RECURRENT = (nn.RNNBase, nn.RNNCellBase)


@dataclass(eq=False)
class Layer:
    """A layer that ran: where its input and output are in the graph, of each of its calls.

    Attributes:
        name: Module path.
        kind: ``conv``, ``norm``, ``linear`` or ``recurrent``.
        outputs: Before the rectifier.
        activations: After it; the same where there is none.
        inputs: Empty where what it is given has no gradient.
        values: What it made, detached, before the rectifier.
        activated: The same after it.
    """

    name: str
    kind: str
    outputs: list[GradientEdge] = field(default_factory=list)
    activations: list[GradientEdge] = field(default_factory=list)
    inputs: list[GradientEdge] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    activated: list[Tensor] = field(default_factory=list)


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
        cuts: Where the graph was cut, in words.

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
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(STATES, len(rows))).round().astype(int))]
        with differentiating():
            self._trace = Passes(replace(agent, network=network), episode).watched(rows)
        self.cuts = self._trace.cuts
        self.layers = _in_order({**_called(self._trace), **recurrent})
        outputs = self._trace.outputs
        self._streams: dict[str, Tensor] = {name: outputs[name] for name in streams if name in outputs}
        self._flows: dict[str, Flow] = {}
        self._reach: dict[str, float | None] = {}

    def flow(self, stream: str) -> Flow:
        """How a stream's gradient goes back through the layers to the input."""
        if stream not in self._flows:
            self._flows[stream] = self._gone_back(self._streams[stream])
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
        layer.activations.append(call.activation.edge)
        layer.values.append(call.output.value)
        layer.activated.append(call.activation.value)
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
            layer.activations.append(get_gradient_edge(first))
            layer.values.append(first.detach())
            layer.activated.append(first.detach())
            if inputs and isinstance(inputs[0], Tensor) and inputs[0].requires_grad:
                layer.inputs.append(get_gradient_edge(inputs[0]))

        return hook

    for path, module in network.named_modules():
        if isinstance(module, _RECURRENT):
            module.register_forward_hook(keep(path))
    return layers


def _in_order(layers: dict[str, Layer]) -> dict[str, Layer]:
    """Layers as they ran: autograd numbers its nodes."""

    def number(layer: Layer) -> int:
        return max(edge.node._sequence_nr() for edge in layer.outputs)

    return {layer.name: layer for layer in sorted(layers.values(), key=number)}
