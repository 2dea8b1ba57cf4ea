"""Networks whose weights were drawn anew, from the top layer down (Adebayo et al., 2018), always on copies."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent
from policyscope.errors import PolicyscopeError

How = Literal["initial", "permuted", "normal"]
"""``initial``: as the module is initialised; ``permuted``: its own weights in another order, which keeps their
distribution; ``normal``: from a normal distribution with each tensor's mean and spread."""

Run = Callable[[Agent], Any]
"""Runs an agent's network on some states."""


@dataclass(frozen=True)
class Stage:
    """Layers that are as far from the output as each other.

    Attributes:
        layers: Module paths.
        convolutional: Whether a convolution is among them.
    """

    layers: tuple[str, ...]
    convolutional: bool = False

    def __str__(self) -> str:
        return " + ".join(self.layers)


def stages(agent: Agent, run: Run) -> tuple[Stage, ...]:
    """The layers of an agent's network that have weights and run, from the outputs down to the input.

    Which feeds which is found by trying: with a layer's weights drawn anew, what changes at others' inputs lies above
    it. So the two heads of a dueling network are one stage, whatever it calls first.

    Args:
        agent: Whose network; it is copied.
        run: Runs it on a few states, differing enough to light most units.
    """
    network = copy.deepcopy(agent.network)
    own = replace(agent, network=network)
    layers = {name: module for name, module in network.named_modules() if any(True for _ in _weights(module))}
    fed = _inputs(own, layers, run)
    layers = {name: module for name, module in layers.items() if name in fed}
    above: dict[str, set[str]] = {}
    for name, module in layers.items():
        kept = [weight.detach().clone() for weight in _weights(module)]
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for weight in _weights(module):
                weight.add_(torch.randn_like(weight) * (weight.std(correction=0) + 0.1))
            now = _inputs(own, layers, run)
            for weight, before in zip(_weights(module), kept, strict=True):
                weight.copy_(before)
        above[name] = {other for other in layers if other != name and not _same(fed[other], now.get(other, []))}
    depth: dict[str, int] = {}

    def of(name: str, seen: frozenset[str] = frozenset()) -> int:
        if name not in depth:
            upper = [other for other in above[name] if other not in seen and name not in above[other]]
            depth[name] = 1 + max((of(other, seen | {name}) for other in upper), default=-1)
        return depth[name]

    levels = sorted({of(name) for name in layers})
    found = [tuple(name for name in layers if depth[name] == level) for level in levels]
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    return tuple(Stage(names, any(isinstance(layers[name], kinds) for name in names)) for names in found)


def cascading(agent: Agent, order: tuple[Stage, ...], seed: int, how: How = "initial") -> Iterator[Agent]:
    """The agent with its top stage drawn anew, then its top two, down to all; one copy, changed between turns."""
    own = replace(agent, network=copy.deepcopy(agent.network))
    for number, stage in enumerate(order):
        redraw(own.network, stage, seed + 1_000 * number, how)
        yield own


def independent(agent: Agent, order: tuple[Stage, ...], seed: int, how: How = "initial") -> Iterator[Agent]:
    """The agent with one stage alone drawn anew, each in its turn."""
    for number, stage in enumerate(order):
        own = replace(agent, network=copy.deepcopy(agent.network))
        redraw(own.network, stage, seed + 1_000 * number, how)
        yield own


def redraw(network: nn.Module, stage: Stage, seed: int, how: How = "initial") -> None:
    """Draws the weights of some layers anew, in place; running statistics stay."""
    modules = dict(network.named_modules())
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in stage.layers:
            _redraw(modules[name], how)


def _redraw(module: nn.Module, how: How) -> None:
    reset = getattr(module, "reset_parameters", None)
    if how == "initial" and callable(reset):
        statistics = {name: buffer.clone() for name, buffer in module.named_buffers(recurse=False)}
        reset()
        for name, buffer in module.named_buffers(recurse=False):
            buffer.copy_(statistics[name])
        return
    for weight in _weights(module):
        if how == "permuted":
            weight.copy_(weight.flatten()[torch.randperm(weight.numel())].view_as(weight))
        else:
            weight.copy_(weight.mean() + torch.randn_like(weight) * weight.std(correction=0))


def _weights(module: nn.Module) -> Iterator[Tensor]:
    return (weight for weight in module.parameters(recurse=False) if weight.is_floating_point() and weight.numel() > 1)


def _inputs(agent: Agent, layers: dict[str, nn.Module], run: Run) -> dict[str, list[Tensor]]:
    """What each layer is given in one pass."""
    found: dict[str, list[Tensor]] = {}

    def hook(name: str) -> Callable[..., None]:
        def keep(_: nn.Module, given: tuple[Any, ...]) -> None:
            found.setdefault(name, []).extend(part.detach().clone() for part in given if isinstance(part, Tensor))

        return keep

    handles = [module.register_forward_pre_hook(hook(name)) for name, module in layers.items()]
    try:
        with torch.no_grad():
            run(agent)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise PolicyscopeError(f"no layer of {agent.source} with weights of its own is called as a module")
    return found


def _same(one: list[Tensor], other: list[Tensor]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(one, other, strict=True)
    )
