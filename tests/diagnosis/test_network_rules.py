"""Rules that look at how a network is put together, on a small one that is broken in one place at a time."""

from __future__ import annotations

import copy
import math
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from small import SmallDueling, agent_of, asked, episode_of, frames, stacked, trained_looking
from torch import nn

from policyscope.agents.agent import Agent
from policyscope.diagnosis.doctor import diagnose
from policyscope.diagnosis.rules import RULES

STRUCTURAL = (
    "finite",
    "input_scale",
    "network_input",
    "wiring",
    "dueling",
    "output_activation",
    "repeatable",
    "fresh_layers",
    "linear_layers",
    "reach",
    "gain",
    "lags",
)


@pytest.fixture(scope="module")
def episode():
    return episode_of(stacked(frames(40)))


@pytest.fixture
def network() -> SmallDueling:
    return trained_looking(SmallDueling())


def graves(agent: Agent, episode, *rules: str):
    return [f for f in diagnose(agent, episode, rules=rules or STRUCTURAL) if f.severity == "grave"]


def test_a_healthy_network_has_nothing_grave(network, episode):
    assert graves(agent_of(network), episode) == []


def test_nothing_is_left_in_the_network(network, episode):
    before = copy.deepcopy(network.state_dict())
    network.requires_grad_(False)
    diagnose(agent_of(network), episode, rules=STRUCTURAL)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())


def test_wiring_names_both_ends_of_a_wrong_link(network, episode):
    def streams(self, features):
        hidden = self.advantage[1](self.advantage[0](features))
        return self.value[2](hidden), self.advantage[2](hidden)

    network.streams = MethodType(streams, network)
    found = {f.where.layer: f for f in graves(agent_of(network), episode, "wiring")}
    assert set(found) == {"value.0", "advantage.0"}
    assert all(f.where.stream == "value" for f in found.values())


def test_wiring_leaves_an_auxiliary_head_alone(network, episode):
    network.reconstruction = nn.Linear(400, 50)
    assert [f.severity for f in asked("wiring", agent_of(network), episode)] == ["note"]


@pytest.mark.parametrize(
    ("merge", "streams"),
    [
        (lambda v, a: v + a, ["advantage"]),
        (lambda v, a: a - a.mean(dim=1, keepdim=True) + (v - v.mean(dim=1, keepdim=True)), ["value"]),
        (lambda v, a: v + a - a.mean(dim=0, keepdim=True), ["advantage"]),
        (lambda v, a: v.detach() + a - a.mean(dim=1, keepdim=True), ["value"]),
        (lambda v, a: v + a - a.max(dim=1, keepdim=True).values, []),
        (lambda v, a: v + 2 * (a - a.mean(dim=1, keepdim=True)), []),
    ],
)
def test_dueling_tells_a_merge_from_what_is_none(network, episode, merge, streams):
    network.merged = MethodType(lambda self, v, a: merge(v, a), network)
    assert [f.where.stream for f in graves(agent_of(network), episode, "dueling")] == streams


def test_dueling_follows_streams_that_run_over_time(episode):
    class OverTime(nn.Module):
        """Streams a step, weighted and added up, and a layer behind the merge."""

        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 8, 6, stride=6), nn.ReLU(), nn.Flatten())
            self.value, self.advantage, self.head = nn.Linear(288, 1), nn.Linear(288, 3), nn.Linear(3, 3)
            self.subtract = True

        def forward(self, observations):
            features = self.body(observations.flatten(0, 1)[:, None]).unflatten(0, observations.shape[:2])
            weights = torch.softmax(features.mean(dim=2, keepdim=True), dim=1)
            value, advantage = self.value(features) * weights, self.advantage(features) * weights
            merged = value + advantage
            if self.subtract:
                merged = merged - advantage.mean(dim=2, keepdim=True)
            return {"q": self.head(merged.sum(dim=1)), "value": value.sum(dim=1), "advantage": advantage.sum(dim=1)}

    network = trained_looking(OverTime())
    assert graves(agent_of(network), episode, "dueling") == []
    network.subtract = False
    assert [f.where.stream for f in graves(agent_of(network), episode, "dueling")] == ["advantage"]


def test_reach_names_the_layer_behind_which_the_gradient_stops(network, episode):
    detached = copy.deepcopy(network)
    detached.streams = MethodType(lambda self, x: (self.value(x.detach()), self.advantage(x)), detached)
    (found,) = graves(agent_of(detached), episode, "reach")
    assert (found.where.stream, found.where.layer) == ("value", "value.0")
    assert "detach()" in found.evidence
    assert found.sure == "certain"
    with torch.no_grad():
        network.value[2].weight.zero_()
    (found,) = graves(agent_of(network), episode, "reach")
    assert (found.where.stream, found.where.layer) == ("value", "value.2")


def test_reach_and_dead_units_agree_on_a_dead_layer(network, episode):
    with torch.no_grad():
        network.body[2].bias.fill_(-1e3)
    found = graves(agent_of(network), episode, "reach", "dead_units")
    assert {f.where.layer for f in found} == {"body.2"}
    assert {f.rule for f in found} == {"reach", "dead_units"}


@pytest.mark.parametrize(("factor", "word"), [(100.0, "grows"), (1e-4, "shrinks")])
def test_gain_is_of_one_layer(network, episode, factor, word):
    with torch.no_grad():
        network.body[2].weight.mul_(factor)
    (found,) = graves(agent_of(network), episode, "gain")
    assert found.where.layer == "body.2"
    assert word in found.evidence


def test_gain_is_the_norm_of_the_layers_own_jacobian(network, episode):
    from policyscope.diagnosis.examination import Examination

    wiring = Examination(agent_of(network), episode).wiring
    weight = network.advantage[2].weight.detach()
    expected = math.sqrt(float(weight.double().square().sum()) / weight.shape[0])
    # A random gradient's norm behind a matrix: the Frobenius norm over the root of its rows, within its noise.
    assert wiring.gain("advantage.2") == pytest.approx(expected, rel=0.5)


@pytest.mark.parametrize(
    ("activation", "word"), [(F.relu, "rectifier"), (torch.tanh, "tanh"), (lambda q: q.softmax(dim=1), "softmax")]
)
def test_output_activation_reads_the_graph(network, episode, activation, word):
    network.merged = MethodType(lambda self, v, a: activation(v + a - a.mean(dim=1, keepdim=True)), network)
    (found,) = graves(agent_of(network), episode, "output_activation")
    assert word in found.evidence
    assert found.where.stream == "q"


def test_fresh_layers_are_those_that_never_learnt(network, episode):
    torch.manual_seed(0)
    network.value[0].reset_parameters()
    (found,) = graves(agent_of(network), episode, "fresh_layers")
    assert found.where.layer == "value.0"
    torch.manual_seed(0)
    assert [f.severity for f in asked("fresh_layers", agent_of(SmallDueling()), episode)] == ["note"]


def test_twins_are_units_with_the_same_weights(network, episode):
    with torch.no_grad():
        network.body[2].weight[1:10] = network.body[2].weight[0]
        network.value[0].weight[1:5] = 0
    found = asked("twins", agent_of(network), episode)
    assert [(f.severity, f.where.layer, f.where.stream) for f in found] == [
        ("grave", "body.2", None),
        ("warning", "value.0", "value"),
    ]


def test_feature_order_is_that_of_the_weights(network, episode):
    smooth = F.avg_pool2d(torch.randn(32 * 16, 1, 7, 7, generator=torch.Generator().manual_seed(0)), 3, stride=1)
    with torch.no_grad():
        network.value[0].weight.copy_(0.1 * smooth.reshape(32, 400))
    assert asked("feature_order", agent_of(network), episode) == []
    reordered = nn.Sequential(nn.Unflatten(1, (16, 5, 5)), Moved(), nn.Flatten())
    network.streams = MethodType(lambda self, x: (self.value(reordered(x)), self.advantage(x)), network)
    (found,) = graves(agent_of(network), episode, "feature_order")
    assert (found.where.layer, found.where.stream) == ("value.0", "value")


class Moved(nn.Module):
    """Channels last."""

    def forward(self, features):
        return features.movedim(1, 3)


def test_linear_layers_need_a_rectifier_between(network, episode):
    network.body[1], network.body[3] = nn.Identity(), nn.Identity()
    (found,) = graves(agent_of(network), episode, "linear_layers")
    assert found.where.layer == "body.2"


def test_repeatable_tells_chance_from_the_batch(network, episode):
    noisy = copy.deepcopy(network)
    noisy.body[3].register_forward_hook(lambda _module, _given, output: F.dropout(output, 0.5))
    (found,) = graves(agent_of(noisy), episode, "repeatable")
    assert "each time" in found.evidence
    network.streams = MethodType(lambda self, x: (self.value(x - x.mean(dim=0)), self.advantage(x)), network)
    found = graves(agent_of(network), episode, "repeatable")
    assert {f.where.stream for f in found} == {"q", "value"}
    assert all("alone" in f.evidence for f in found)


@pytest.mark.parametrize(("factor", "word"), [(1 / 255, "twice"), (255.0, "not divided")])
def test_input_scale(network, episode, factor, word):
    network.register_forward_pre_hook(lambda _module, given: (given[0] * factor,))
    (found,) = graves(agent_of(network), episode, "input_scale")
    assert word in found.evidence
    assert found.where.part == "network"


@pytest.mark.parametrize(
    ("change", "lags"),
    [
        (lambda x: x.flip(1), (3, 2, 1, 0)),
        (lambda x: x[:, [0, 2, 1, 3]], (2, 1)),
        (lambda x: x[:, -1:].repeat(1, 4, 1, 1), (3, 2, 1)),
        (lambda x: torch.cat([torch.zeros_like(x[:, :1]), x[:, 1:]], dim=1), (3,)),
        (lambda x: x.transpose(2, 3), None),
    ],
)
def test_network_input_says_which_frames_arrive_where(network, episode, change, lags):
    network.register_forward_pre_hook(lambda _module, given: (change(given[0]),))
    (found,) = graves(agent_of(network), episode, "network_input")
    assert found.where.lag == lags
    assert found.where.layer == "body.0"


def test_lags_without_a_gradient(network, episode):
    with torch.no_grad():
        network.body[0].weight[:, 1] = 0
    (found,) = graves(agent_of(network), episode, "lags")
    assert found.where.lag == (2,)


def test_numbers_that_are_none_end_the_examination(network, episode):
    with torch.no_grad():
        network.advantage[0].weight[0, 0] = float("nan")
    found = diagnose(agent_of(network), episode, rules=list(RULES))
    assert [(f.rule, f.where.layer, f.where.stream) for f in found] == [("finite", "advantage.0", "advantage")]
