"""Actions that do not depend on what is seen."""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from small import SmallDueling, agent_of, asked, episode_of, frames, stacked, trained_looking

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.diagnosis.altered import Altered, distance
from policyscope.diagnosis.changed_game import Compared, variants
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.faults.behaviour import plays_by_clock
from policyscope.episodes.episode import Episode

module = importlib.import_module("policyscope.diagnosis.rules.by_heart")


def test_an_agent_that_plays_by_a_clock_is_found_however_its_observation_is_altered(
    breakout: tuple[Agent, Episode],
) -> None:
    agent = plays_by_clock(breakout[0])
    (found,) = asked("by_heart", agent, ps.play(agent, 100, seed=0))
    assert (found.severity, found.where.part, found.where.stream) == ("warning", "behaviour", "q")
    assert found.numbers == {f"kappa {kind}": 1.0 for kind in ("replaced", "removed", "moved")}
    assert found.picture is not None


def test_a_clock_s_actions_are_those_of_the_step_and_the_given_agent_stays_as_it_was(
    breakout: tuple[Agent, Episode],
) -> None:
    agent, before = breakout[0], breakout[0].fingerprint
    clock = plays_by_clock(agent)
    one, other = (ps.play(clock, 40, seed=seed, policy="greedy") for seed in (0, 1))
    assert np.array_equal(one.actions, other.actions)
    assert len(set(one.actions.tolist())) > 1
    assert (agent.fingerprint, agent.memory_size) == (before, 0)


def test_a_clock_leaves_the_merge_of_value_and_advantage_as_it_was(breakout: tuple[Agent, Episode]) -> None:
    agent = plays_by_clock(breakout[0])
    streams, _ = agent(agent.prepare(np.asarray(breakout[1].observations[:5])))
    merged = streams["value"] + streams["advantage"] - streams["advantage"].mean(dim=1, keepdim=True)
    assert torch.allclose(streams["q"], merged, atol=1e-4)


def test_a_trained_agent_acts_by_what_it_sees(breakout: tuple[Agent, Episode]) -> None:
    assert asked("by_heart", *breakout) == []


def test_decisions_with_what_was_seen_put_back_are_the_ones_taken(breakout: tuple[Agent, Episode]) -> None:
    altered = Altered(Examination(*breakout, following=False))
    seen = np.asarray(breakout[1].observations[altered.rows])[:, None]
    assert np.array_equal(altered.decided(altered.rows, seen), altered.taken)


def test_an_agent_with_one_action_for_everything_is_named_with_it() -> None:
    network = trained_looking(SmallDueling())
    with torch.no_grad():
        network.advantage[2].bias[2] += 1000  # type: ignore[union-attr,operator,index]
    (found,) = asked("by_heart", agent_of(network), episode_of(stacked(frames(60))))
    assert (found.severity, found.sure, found.where.part) == ("warning", "certain", "behaviour")
    assert "takes 2 in 100% of 60 states" in found.evidence


def test_nothing_is_said_of_a_few_states(breakout: tuple[Agent, Episode]) -> None:
    assert asked("by_heart", breakout[0], breakout[1][:12]) == []


def test_distances_are_total_variations() -> None:
    one, other = np.array([[1.0, 0, 0], [0.5, 0.5, 0]]), np.array([[0, 1.0, 0], [0.5, 0.25, 0.25]])
    assert distance(one, other).tolist() == [1.0, 0.25]


def test_kappa_is_nought_for_another_moment_s_decisions_and_one_for_the_same() -> None:
    random = np.random.default_rng(0)
    taken, unrelated = (np.eye(3)[random.integers(0, 3, 400)] for _ in range(2))
    chance = np.array([distance(own[None], taken).mean() for own in taken])
    kappa, low, high = module._kappa(distance(unrelated, taken), chance)
    assert low < 0 < high
    assert abs(kappa) < 0.15
    assert module._kappa(distance(taken, taken), chance) == (1.0, 1.0, 1.0)


def test_games_are_changed_by_a_switch_of_the_console(breakout: tuple[Agent, Episode]) -> None:
    protocol = breakout[0].protocol
    assert [(p.difficulty, p.mode) for _, p in variants(protocol)] == [(1, None), (None, 4)]
    assert variants(replace(protocol, game=None)) == []


@pytest.mark.parametrize(
    ("changed", "found"), [([2.0, 1, 3, 2], True), ([9.0, 10, 8, 9], False), ([6.0, 7, 6, 5], False)]
)
def test_a_collapse_in_a_changed_game_is_one_beyond_noise(
    breakout: tuple[Agent, Episode], monkeypatch: pytest.MonkeyPatch, changed: list[float], found: bool
) -> None:
    chance = np.array([2.0, 1, 3, 2])

    def compared(_: Any) -> tuple[Compared, list[Compared]]:
        usual = Compared("", np.array([10.0, 9, 11, 10]), chance)
        return usual, [Compared("difficulty 1 instead of 0", np.array(changed), chance)]

    monkeypatch.setattr(module, "compared", compared)
    said = list(module.by_heart(Examination(*breakout, following=True)))
    assert [(f.severity, f.sure, f.where.region) for f in said] == (
        [("warning", "possible", "difficulty 1 instead of 0")] if found else []
    )
