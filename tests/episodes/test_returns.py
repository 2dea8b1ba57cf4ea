"""Returns of whole games: those of games played one at a time, and how sure they make us."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from players import BREAKOUT, Values, breakout, recurrent
from torch import nn

from policyscope.agents.agent import Agent
from policyscope.agents.presets import preset
from policyscope.episodes.environment import make_environment
from policyscope.episodes.play import play
from policyscope.episodes.policy import choose, policy_of
from policyscope.episodes.returns import play_returns
from policyscope.episodes.statistics import mean_interval, same_mean
from policyscope.errors import PolicyscopeError, ProtocolError


def one_at_a_time(agent: Agent, games: int, seed: int, limit: int) -> list[float]:
    """The same, as slowly and plainly as it can be done."""
    returns = []
    for game in range(seed, seed + games):
        environment = make_environment(agent.protocol)
        environment.reset(game)
        memory = torch.zeros(1, agent.memory_size) if agent.memory_size else None
        rewards = []
        for step in range(limit):
            with torch.no_grad():
                streams, memory = agent(agent.prepare(environment.observation[None]), memory)
            row = {name: values[0].numpy() for name, values in streams.items()}
            outcome = environment.step(choose(policy_of(agent.policy, agent), agent, row, game, step))
            rewards.append(outcome.reward)
            if outcome.game_over:
                break
            if outcome.terminated:
                environment.reset()
                memory = None if memory is None else torch.zeros_like(memory)
        returns.append(sum(rewards))
    return returns


def invader() -> Agent:
    torch.manual_seed(0)
    names = ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    agent = Agent(Values(6, 4).eval(), preset("modern", "space_invaders"), ("q",), names, policy="epsilon=0.7")
    agent.check_inputs()
    return agent


def test_returns_are_those_of_games_played_one_at_a_time() -> None:
    agent = invader()
    returns = play_returns(agent, 3, seed=7)
    assert returns.tolist() == one_at_a_time(agent, 3, 7, 27_000)
    assert len(set(returns)) > 1, "games that are all alike would hide a mix-up"
    assert returns.max() > 100, "a clipped reward is one point"


def test_a_return_can_be_looked_at_as_an_episode() -> None:
    agent = replace(breakout(), policy="epsilon=0.6")
    returns = play_returns(agent, 2, seed=3)
    for game, value in enumerate(returns):
        assert play(agent, 600, seed=3 + game).returns()[0] == value


class Remembering(nn.Module):
    """Acts by all it has seen since its memory was empty, so that another's memory is another game."""

    memory_size = 1

    def forward(self, inputs, memory):
        seen = (inputs * 255).round().long().flatten(1).sum(dim=1)
        memory = (memory[:, 0].long() * 31 + seen) % 65_521
        return {"q": nn.functional.one_hot(memory % 6, 6).float()}, memory[:, None].float()


@pytest.mark.parametrize("life_ends_episode", [False, True])
def test_each_game_keeps_its_own_memory_while_others_end(life_ends_episode: bool) -> None:
    protocol = replace(preset("modern", "space_invaders"), life_ends_episode=life_ends_episode)
    agent = replace(invader(), network=Remembering(), protocol=protocol, policy="greedy")
    returns = play_returns(agent, 3, seed=1)
    assert returns.tolist() == one_at_a_time(agent, 3, 1, 27_000)
    assert len(set(returns)) > 1


def test_a_recurrent_actor_critic_draws_its_actions_from_its_policy() -> None:
    agent = recurrent()
    assert play_returns(agent, 2, seed=4).tolist() == one_at_a_time(agent, 2, 4, 27_000)


class Counting(Values):
    """Counts the states it is asked about, and never fires."""

    asked = 0

    def forward(self, inputs):
        self.asked += len(inputs)
        return {"q": torch.tensor([[1.0, 0, 0, 0]]).expand(len(inputs), -1)}


def test_a_game_that_never_begins_is_cut_off() -> None:
    agent = Agent(Counting(4, 4).eval(), preset("modern", "breakout"), ("q",), BREAKOUT)
    before = play_returns(agent, 2, limit=1), agent.network.asked
    agent.network.asked = 0
    assert play_returns(agent, 2, limit=31).tolist() == [0, 0]
    assert agent.network.asked == before[1] + 2 * 30
    assert play_returns(invader(), 2, limit=60).tolist() == one_at_a_time(invader(), 2, 0, 60)


def test_a_seed_gives_the_same_returns_and_another_others() -> None:
    agent = invader()
    first = play_returns(agent, 3, seed=5, limit=150)
    assert np.array_equal(first, play_returns(agent, 3, seed=5, limit=150))
    assert not np.array_equal(first, play_returns(agent, 3, seed=50, limit=150))
    assert np.array_equal(first[1:], play_returns(agent, 2, seed=6, limit=150))


def test_another_protocol_is_played_under_another() -> None:
    agent = invader()
    sure = replace(agent.protocol, sticky=0.0, frame_skip=2)
    played = play_returns(agent, 2, protocol=sure, limit=200)
    assert played.tolist() == one_at_a_time(replace(agent, protocol=sure), 2, 0, 200)


def test_what_is_watched_counts_the_games_that_are_over() -> None:
    told: list[tuple[int, int]] = []
    play_returns(invader(), 2, watch=lambda over, games: told.append((over, games)))
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)
    assert [over for over, _ in told] == sorted(over for over, _ in told)


def test_what_cannot_be_played_is_refused() -> None:
    agent = breakout()
    for wrong in ({"games": 0}, {"limit": 0}, {"seed": -1}):
        with pytest.raises(PolicyscopeError, match="at least 1 and the seed at least 0"):
            play_returns(agent, **wrong)
    with pytest.raises(PolicyscopeError, match="drawing actions needs a 'policy' stream"):
        play_returns(agent, policy="sample")
    with pytest.raises(ProtocolError, match="pong has 6 actions, a test's 4"):
        play_returns(agent, protocol=agent.protocol.on("pong"))


def test_the_interval_of_many_normal_returns_is_the_textbooks() -> None:
    values = np.random.default_rng(0).normal(50, 10, 2000)
    low, high = mean_interval(values)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=0.02)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / np.sqrt(2000), rel=0.03)
    assert mean_interval([-21.0] * 30) == (-21, -21)


@pytest.mark.parametrize(
    ("one", "other"), [([1, 2, 3, 9], [4, 5, 11, 12]), ([0, 0, 1, 1], [0, 1, 1, 0]), ([1, 2, 3], [7, 8, 9, 10, 11])]
)
def test_the_chance_of_a_difference_is_that_of_all_ways_to_deal(one: list[int], other: list[int]) -> None:
    games = [*one, *other]
    apart = [
        abs(np.mean([games[i] for i in dealt]) - np.mean([games[i] for i in range(len(games)) if i not in dealt]))
        for dealt in combinations(range(len(games)), len(one))
    ]
    exact = np.mean(np.array(apart) >= abs(np.mean(one) - np.mean(other)) - 1e-12)
    assert same_mean(one, other) == pytest.approx(exact, abs=0.01)


def test_equal_returns_do_not_differ_and_constant_others_surely_do() -> None:
    assert same_mean([-21.0] * 30, [-21.0] * 30) == 1
    assert same_mean([-21.0] * 30, [20.0] * 30) < 0.001
    assert same_mean([0.1] * 30, [0.1] * 7) == 1
