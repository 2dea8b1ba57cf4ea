"""Playing with a part of the picture hidden."""

import numpy as np
import pytest
import torch
from little import AGENTS, SIDE, episode_for, q_agent

import policyscope as ps
from policyscope.errors import PolicyscopeError
from policyscope.evaluation.hidden_return import hidden_from, hidden_returns
from policyscope.evaluation.hiding import Hiding, ranks, top
from policyscope.evaluation.method_maps import MethodMaps


@pytest.mark.parametrize("kind", AGENTS)
def test_an_agent_that_sees_less_says_what_hiding_says(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    rows = np.array([5, 9, 20])
    less = hidden_from(agent, "gradient", 0.1, "salient", sigma=2.0)
    memory = None if episode.memories is None else torch.as_tensor(np.asarray(episode.memories[rows]))
    with torch.inference_mode():
        streams, following = less(less.prepare(np.asarray(episode.observations[rows])), memory)
    maps = MethodMaps(agent, episode, ("gradient",), action="greedy")(rows)["gradient"]
    masks = top(ranks(maps), 0.1)
    wanted = Hiding(agent, episode, sigma=2.0).states(rows).answered(np.arange(3), masks).acting
    assert np.allclose(streams["q" if "q" in streams else "policy"].numpy(), wanted, atol=1e-5)
    assert (following is not None) == bool(agent.memory_size)


def test_the_least_salient_are_the_other_end_of_the_same_order():
    agent = q_agent()
    episode = episode_for(agent)
    network = hidden_from(agent, "gradient", 0.5, "least", seed=3).network
    other = hidden_from(agent, "gradient", 0.5, "salient", seed=3).network
    pictures = agent.prepare(np.asarray(episode.observations[np.array([8, 9])]))
    assert np.array_equal(network._mask(pictures, ()), ~other._mask(pictures, ()))


def test_a_random_part_has_the_size_and_is_another_each_time():
    agent = q_agent()
    network = hidden_from(agent, None, 0.25, "random").network
    first, second = (network._mask(torch.zeros(3, 2, SIDE, SIDE), ()) for _ in range(2))
    assert first.sum(axis=(1, 2)).tolist() == [round(0.25 * SIDE * SIDE)] * 3
    assert not np.array_equal(first, second)


def test_games_are_played_with_and_without():
    from policyscope.agents.networks import build

    torch.manual_seed(0)
    network = build("dqn", actions=4)
    agent = ps.make_agent(network, ps.Protocol(game="breakout"))
    played = hidden_returns(agent, ("gradient",), share=0.02, games=2, limit=12)
    assert set(played.returns) == {"nothing", "random", "gradient salient", "gradient least"}
    assert all(values.shape == (2,) for values in played.returns.values())
    assert played.drop("random").n == 2


def test_a_share_is_a_share():
    with pytest.raises(PolicyscopeError, match="between 0 and 1"):
        hidden_from(q_agent(), None, 1.5, "random")
