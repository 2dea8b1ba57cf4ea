"""Bugs in the weights: dead, exploded, vanished, redrawn, not numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from policyscope.agents.agent import Agent
from policyscope.diagnosis.faults.kind import Fault, Place
from policyscope.diagnosis.faults.wired import value_layers, with_network

DEAD = -1e3
"""A bias that no input outweighs."""


def _convolutions(agent: Agent) -> list[str]:
    return [path for path, module in agent.network.named_modules() if isinstance(module, nn.Conv2d)]


def _at(network: nn.Module, path: str) -> nn.Module:
    return network.get_submodule(path)


def _convolution(index: int) -> Callable[[Agent], Place | None]:
    def place(agent: Agent) -> Place | None:
        return Place(("network",), layers=(_convolutions(agent)[index],))

    return place


def _on_convolution(index: int, change: Callable[[nn.Conv2d], None]) -> Callable[[Agent], Agent]:
    @torch.no_grad()
    def broken(agent: Agent) -> Agent:
        path = _convolutions(agent)[index]
        return with_network(agent, lambda network: change(_at(network, path)))  # type: ignore[arg-type]

    return broken


def _dead(layer: nn.Conv2d) -> None:
    assert layer.bias is not None
    layer.bias.fill_(DEAD)


def _mostly_dead(layer: nn.Conv2d) -> None:
    assert layer.bias is not None
    units = len(layer.bias)
    layer.bias[torch.randperm(units, generator=torch.Generator().manual_seed(1))[: round(0.9 * units)]] = DEAD


def _scaled(layer: nn.Module, factor: float) -> None:
    for parameter in layer.parameters():
        parameter.mul_(factor)


def _redrawn(layer: nn.Conv2d) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layer.reset_parameters()


def _not_a_number(layer: nn.Conv2d) -> None:
    layer.weight.view(-1)[0] = float("nan")


def _last_of_value(agent: Agent) -> str | None:
    """The value stream's last layer but attention."""
    layers = [path for path in value_layers(agent.network) if "attention" not in path]
    if not layers or "value" not in agent.streams:
        return None
    return layers[-1] if "value" not in layers else "value"


def _last_place(agent: Agent) -> Place | None:
    path = _last_of_value(agent)
    return None if path is None else Place(("network",), ("value",), (path,))


@torch.no_grad()
def _stream_zeroed(agent: Agent) -> Agent:
    path = _last_of_value(agent)
    assert path is not None
    return with_network(agent, lambda network: _scaled(_at(network, path), 0.0))


def _value_place(agent: Agent) -> Place | None:
    layers = value_layers(agent.network)
    return Place(("network",), ("value",), layers) if layers and "value" in agent.streams else None


@torch.no_grad()
def _chaotic(agent: Agent) -> Agent:
    """The value stream's own weights drawn anew, three times as large."""

    def change(network: nn.Module) -> None:
        generator = torch.Generator().manual_seed(1)
        for path in value_layers(network):
            for parameter in _at(network, path).parameters(recurse=False):
                size = 3 * float(parameter.std()) if parameter.numel() > 1 else float(parameter.abs().mean())
                parameter.copy_(size * torch.randn(parameter.shape, generator=generator))

    return with_network(agent, change)


def _policy_layer(agent: Agent) -> str | None:
    names = [path for path, _ in agent.network.named_modules() if path in ("policy", "actor_linear")]
    return names[0] if names and "policy" in agent.streams else None


def _policy_place(agent: Agent) -> Place | None:
    path = _policy_layer(agent)
    return None if path is None else Place(("network",), ("policy",), (path,))


@torch.no_grad()
def _policy_saturated(agent: Agent) -> Agent:
    path = _policy_layer(agent)
    assert path is not None
    return with_network(agent, lambda network: _scaled(_at(network, path), 100.0))


def _attention(agent: Agent) -> list[str]:
    return [path for path, _ in agent.network.named_modules() if path.endswith("attention.score")]


def _attention_place(agent: Agent) -> Place | None:
    layers = _attention(agent)
    streams = tuple(name for name in agent.streams if name.startswith("attention"))
    return Place(("network",), (*streams, "value", "advantage", "policy"), tuple(layers)) if layers else None


@torch.no_grad()
def _attention_saturated(agent: Agent) -> Agent:
    def change(network: nn.Module) -> None:
        for path in _attention(agent):
            _scaled(_at(network, path), 1e4)

    return with_network(agent, change)


WEIGHTED = (
    Fault("layer-dead", "a convolution none of whose units is ever active", _convolution(1), _on_convolution(1, _dead)),
    Fault(
        "units-mostly-dead",
        "nine of ten units of a convolution are never active",
        _convolution(-1),
        _on_convolution(-1, _mostly_dead),
    ),
    Fault(
        "layer-exploded",
        "a convolution's weights are 100 times too large",
        _convolution(1),
        _on_convolution(1, partial(_scaled, factor=100.0)),
    ),
    Fault(
        "layer-vanished",
        "a convolution's weights are 10,000 times too small",
        _convolution(-1),
        _on_convolution(-1, partial(_scaled, factor=1e-4)),
    ),
    Fault(
        "layer-redrawn",
        "a convolution's weights were not loaded",
        _convolution(-1),
        _on_convolution(-1, _redrawn),
    ),
    Fault("weights-not-finite", "a weight is not a number", _convolution(1), _on_convolution(1, _not_a_number)),
    Fault("stream-zeroed", "the value stream's last weights are zero", _last_place, _stream_zeroed),
    Fault("stream-chaotic", "the value stream's weights are large and random", _value_place, _chaotic),
    Fault("policy-saturated", "logits 100 times too large", _policy_place, _policy_saturated),
    Fault("attention-saturated", "the attention's tanh is saturated", _attention_place, _attention_saturated),
)
"""Kinds of bug in the weights."""
