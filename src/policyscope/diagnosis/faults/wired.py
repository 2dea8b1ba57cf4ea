"""Bugs in how a network is put together: streams linked to the wrong layer, merged wrongly, cut off."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from policyscope.agents.agent import Agent
from policyscope.agents.networks.actor_critic import SharedBody
from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.agents.networks.faulty import MislinkedDRQN
from policyscope.agents.networks.gru_actor_critic import GRUActorCritic
from policyscope.agents.networks.recurrent_actor_critic import RecurrentActorCritic
from policyscope.agents.networks.recurrent_q import SplitAttentionDRQN
from policyscope.diagnosis.faults.kind import Fault, Place

Forward = Callable[..., Any]
Dueling = (DuelingDQN, SplitAttentionDRQN)


def with_network(agent: Agent, change: Callable[[Any], Any]) -> Agent:
    """The agent with a changed copy of its network."""
    network = copy.deepcopy(agent.network)
    changed = change(network)
    return replace(agent, network=network if changed is None else changed)


def _of(agent: Agent, *kinds: type[nn.Module]) -> bool:
    return isinstance(agent.network, kinds)


def _dueling_forward(merge: Callable[[Tensor, Tensor], Tensor]) -> Forward:
    def forward(self: DuelingDQN, observations: Tensor) -> dict[str, Tensor]:
        features = self.body(observations)
        advantage, value = self.advantage(features), self.value(features)
        return {"q": merge(value, advantage), "value": value, "advantage": advantage}

    return forward


def _merged(agent: Agent, merge: Callable[[Tensor, Tensor], Tensor]) -> Agent:
    """A dueling network that merges its streams in another way; over time per step, actions last."""

    def change(network: Any) -> None:
        if isinstance(network, DuelingDQN):
            network.forward = MethodType(_dueling_forward(merge), network)  # type: ignore[method-assign]
        else:
            network.merged = MethodType(lambda self, value, advantage: merge(value, advantage), network)

    return with_network(agent, change)


def _mislinked(agent: Agent) -> Agent:
    def dueling(self: DuelingDQN, observations: Tensor) -> dict[str, Tensor]:
        features = self.body(observations)
        hidden = self.advantage[1](self.advantage[0](features))
        advantage, value = self.advantage[2](hidden), self.value[2](hidden)
        q = value + advantage - advantage.mean(dim=1, keepdim=True)
        return {"q": q, "value": value, "advantage": advantage}

    def sequences(self: RecurrentActorCritic, features: Tensor) -> tuple[Tensor, Tensor]:
        policy = self.policy_lstm(features)[0]
        return policy, policy

    def change(network: Any) -> None:
        if isinstance(network, DuelingDQN):
            network.forward = MethodType(dueling, network)  # type: ignore[method-assign]
        elif isinstance(network, SplitAttentionDRQN):
            network.over_time = MethodType(MislinkedDRQN.over_time, network)  # type: ignore[method-assign]
        else:
            network.sequences = MethodType(sequences, network)

    return with_network(agent, change)


def _mislinked_place(agent: Agent) -> Place | None:
    if _of(agent, DuelingDQN):
        return Place(("network",), ("value",), ("value.0", "advantage.0"))
    if _of(agent, SplitAttentionDRQN):
        return Place(("network",), ("value",), ("value_lstm.layers.0", "advantage_lstm.layers.0"))
    if _of(agent, RecurrentActorCritic):
        return Place(("network",), ("value",), ("value_lstm", "policy_lstm"))
    return None


def _merge_place(agent: Agent) -> Place | None:
    return Place(("network",), ("value", "q", "advantage")) if _of(agent, *Dueling) else None


def _value_input(network: nn.Module) -> nn.Module | None:
    """The first layer that is the value stream's alone."""
    if isinstance(network, DuelingDQN):
        return network.value
    if isinstance(network, SplitAttentionDRQN | RecurrentActorCritic):
        return network.value_lstm
    if isinstance(network, SharedBody):
        return network.value
    return network.critic_linear if isinstance(network, GRUActorCritic) else None


def _fed_with(agent: Agent, change: Callable[[Tensor], Tensor]) -> Agent:
    """The value stream's first layer is given something else."""

    def hooked(network: nn.Module) -> None:
        layer = _value_input(network)
        assert layer is not None
        layer.register_forward_pre_hook(lambda _module, given: (change(given[0]), *given[1:]))

    return with_network(agent, hooked)


def value_layers(network: nn.Module) -> tuple[str, ...]:
    """Paths of the layers that are the value stream's alone."""
    words = ("value", "critic")
    return tuple(
        path
        for path, module in network.named_modules()
        if path.startswith(words) and any(True for _ in module.parameters(recurse=False))
    )


def _value_place(agent: Agent) -> Place | None:
    if "value" not in agent.streams or _value_input(agent.network) is None:
        return None
    return Place(("network",), ("value",), value_layers(agent.network))


def _swapped(agent: Agent) -> Agent:
    read = agent.read

    def crossed(outputs: Any) -> dict[str, Tensor]:
        streams = read(outputs)
        return streams | {"value": streams["advantage"], "advantage": streams["value"]}

    return replace(agent, read=crossed)


def _features_order(features: Tensor) -> Tensor:
    """Flattened as if channels stood last: every feature in another's place."""
    side = round((features.shape[-1] / 64) ** 0.5)
    if side * side * 64 != features.shape[-1]:
        return features[..., torch.arange(features.shape[-1]).view(-1, 16).T.flatten()]
    reordered: Tensor = features.unflatten(-1, (64, side, side)).movedim(-3, -1).flatten(-3)
    return reordered


def _shuffled(agent: Agent) -> Agent:
    """The dense layer behind the convolutions reads its features in the wrong order."""

    def change(network: nn.Module) -> None:
        layer = _behind_convolutions(network)
        assert layer is not None
        layer.register_forward_pre_hook(lambda _module, given: (_features_order(given[0]), *given[1:]))

    return with_network(agent, change)


def _behind_convolutions(network: nn.Module) -> nn.Module | None:
    if isinstance(network, DuelingDQN):
        return network.value[0]
    if isinstance(network, SplitAttentionDRQN | RecurrentActorCritic):
        return network.frames.body[7]
    return network.body[-2] if isinstance(network, SharedBody) else None


def _shuffled_place(agent: Agent) -> Place | None:
    layer = _behind_convolutions(agent.network)
    path = next((p for p, module in agent.network.named_modules() if module is layer), None) if layer else None
    if path is None:
        return None
    return Place(("network",), ("value",) if path.startswith("value") else agent.streams, (path,))


def _on_outputs(agent: Agent, function: Callable[[Tensor], Tensor]) -> Agent:
    """An activation behind the layer that the agent acts by."""
    read = agent.read

    def activated(outputs: Any) -> dict[str, Tensor]:
        streams = read(outputs)
        name = "q" if "q" in streams else "policy"
        return streams | {name: function(streams[name])}

    return replace(agent, read=activated)


def _acting_place(agent: Agent) -> Place | None:
    name = "q" if "q" in agent.streams else "policy"
    return Place(("network",), (name,)) if name in agent.streams else None


def _unrectified(agent: Agent) -> Agent:
    def change(network: nn.Module) -> None:
        for parent in list(network.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, nn.ReLU):
                    setattr(parent, name, nn.Identity())

    return with_network(agent, change)


def _unrectified_place(agent: Agent) -> Place | None:
    if not any(isinstance(module, nn.ReLU) for module in agent.network.modules()):
        return None
    layers = tuple(p for p, m in agent.network.named_modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return Place(("network",), agent.streams, layers)


def _given(agent: Agent, change: Callable[[Tensor], Tensor]) -> Agent:
    """The network changes what it is given before it looks."""

    def hooked(network: nn.Module) -> None:
        network.register_forward_pre_hook(lambda _module, given: (change(given[0]), *given[1:]))

    return with_network(agent, hooked)


def _newest_only(inputs: Tensor) -> Tensor:
    newest = inputs[:, -1:]
    return newest.expand_as(inputs).clone()


def _input_place(agent: Agent) -> Place | None:
    return Place(("network", "observation"))


def _stacked_place(agent: Agent) -> Place | None:
    return Place(("network", "observation")) if agent.protocol.stack > 1 else None


def _without_lag(agent: Agent) -> Agent:
    def blank(inputs: Tensor) -> Tensor:
        inputs = inputs.clone()
        inputs[:, 0] = 0
        return inputs

    return _given(agent, blank)


def _noisy(agent: Agent) -> Agent:
    """A dropout behind the last convolution that was never switched off."""

    def change(network: nn.Module) -> None:
        last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
        last.register_forward_hook(lambda _module, _given, output: F.dropout(output, 0.3, training=True))

    return with_network(agent, change)


WIRED = (
    Fault("value-mislinked", "the value stream is linked to another stream's layer", _mislinked_place, _mislinked),
    Fault(
        "value-merged-away",
        "streams merged as A + (V - mean V): the value cancels",
        _merge_place,
        lambda agent: _merged(agent, lambda v, a: a + (v - v.mean(dim=-1, keepdim=True))),
    ),
    Fault(
        "merge-without-mean",
        "streams merged as V + A",
        _merge_place,
        lambda agent: _merged(agent, lambda v, a: v + a),
    ),
    Fault(
        "mean-over-batch",
        "the mean of the advantages is taken over the batch",
        _merge_place,
        lambda agent: _merged(agent, lambda v, a: v + a - a.mean(dim=0, keepdim=True)),
    ),
    Fault("streams-swapped", "value and advantage change places", _merge_place, _swapped),
    Fault(
        "stream-detached",
        "the value stream is cut off from the body",
        _value_place,
        lambda agent: _fed_with(agent, Tensor.detach),
    ),
    Fault("features-shuffled", "features flattened in the wrong order", _shuffled_place, _shuffled),
    Fault("rectifier-on-output", "a ReLU on the outputs", _acting_place, lambda agent: _on_outputs(agent, F.relu)),
    Fault("tanh-on-output", "a tanh on the outputs", _acting_place, lambda agent: _on_outputs(agent, torch.tanh)),
    Fault("rectifiers-missing", "no rectifiers between the layers", _unrectified_place, _unrectified),
    Fault(
        "newest-frame-only",
        "the network stacks the newest frame over and over",
        _stacked_place,
        lambda agent: _given(agent, _newest_only),
    ),
    Fault("lag-ignored", "the oldest frame is blanked in the network", _stacked_place, _without_lag),
    Fault(
        "scaled-twice-inside",
        "the network divides its scaled input by 255 again",
        _input_place,
        lambda agent: _given(agent, lambda inputs: inputs / 255),
    ),
    Fault(
        "unscaled-inside",
        "the network multiplies its scaled input by 255",
        _input_place,
        lambda agent: _given(agent, lambda inputs: inputs * 255),
    ),
    Fault("noise-inside", "dropout that was left switched on", lambda agent: Place(("network",)), _noisy),
)
"""Kinds of bug in the wiring."""
