"""Faults that are put into a real agent: each is a bug, leaves the healthy agent alone, and is found where it is."""

from __future__ import annotations

import copy

import pytest
import torch

import policyscope as ps
from policyscope.diagnosis.doctor import diagnose
from policyscope.diagnosis.faults import FAULTS, Place, play_faulty, split
from policyscope.diagnosis.finding import Where

EXPECTED = {
    "value-mislinked": "wiring",
    "value-merged-away": "dueling",
    "newest-frame-only": "network_input",
    "merge-without-mean": "dueling",
    "stream-detached": "reach",
    "layer-dead": "reach",
    "layer-exploded": "gain",
    "weights-not-finite": "finite",
    "rectifier-on-output": "output_activation",
    "scaled-twice-inside": "input_scale",
    "stack-reversed": "stack_order",
    "picture-shifted": "picture",
    "channels-last-as-first": "picture",
    "picture-flipped": "picture",
    "scaled-twice": "input_scale",
    "observation-frozen": "stack_order",
    "worst-action": "actions",
}


@pytest.fixture(scope="module")
def agent():
    return ps.load_agent("zoo:breakout-dddqn")


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fault_is_found_where_it_is(agent, name):
    fault = FAULTS[name]
    place = fault.place(agent)
    assert place is not None
    found = [f for f in diagnose(*play_faulty(agent, fault, 80), rules=EXPECTED[name]) if f.severity == "grave"]
    assert found
    assert any(place.holds(f.where) for f in found)


@pytest.mark.parametrize("name", list(FAULTS))
def test_the_healthy_agent_stays_as_it_was(agent, name):
    fault = FAULTS[name]
    if fault.place(agent) is None:
        pytest.skip("this agent cannot have it")
    weights = copy.deepcopy(agent.network.state_dict())
    broken, episode = play_faulty(agent, fault, 3)
    assert len(episode) >= 3
    assert all(torch.equal(weights[key], value) for key, value in agent.network.state_dict().items())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in agent.network.modules())
    assert (broken is agent) == (fault.network is None)


def test_without_a_fault_it_is_the_usual_play(agent):
    broken, episode = play_faulty(agent, None, 40, seed=2)
    usual = ps.play(agent, 40, seed=2)
    assert broken is agent
    assert (episode.actions == usual.actions).all()
    assert (episode.observations[:] == usual.observations[:]).all()


def test_faults_at_an_end_are_played_to_one(agent):
    _, episode = play_faulty(ps.load_agent("zoo:breakout-dddqn-early"), FAULTS["stack-stale"], 10)
    assert episode.starts[1:].any()
    assert [f.rule for f in diagnose(agent, episode, rules="stack_start")] == ["stack_start"]


def test_every_kind_is_either_held_out_or_not():
    setting, held_out = set(split.SETTING_FAULTS), set(split.HELD_OUT_FAULTS)
    assert not setting & held_out
    assert set(FAULTS) <= setting | held_out


def test_a_place_holds_the_stream_or_the_layer():
    place = Place(("network",), ("value",), ("value.0",))
    assert place.holds(Where("network", stream="value"))
    assert place.holds(Where("network", layer="value.0"))
    assert not place.holds(Where("network", stream="q", layer="body.0"))
    assert not place.holds(Where("observation", stream="value"))
    assert Place(("observation",)).holds(Where("observation", lag=1))
