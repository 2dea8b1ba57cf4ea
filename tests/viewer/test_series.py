"""What the timeline shows of each step."""

import numpy as np
import pytest
import torch

import policyscope as ps
from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.viewer.series import columns

NAMES = ["NOOP", "RIGHT", "LEFT"]
N = 6


def episode(streams=None, actions=True, names=NAMES, **given):
    made = ps.Episode.from_arrays(
        np.zeros((N, 4, 84, 84), np.uint8), np.arange(N) % 3 if actions is True else actions, streams=streams, **given
    )
    made.meta["actions"] = names
    return made


def table(*given):
    found = columns(*given)
    assert all(column.values.dtype == np.float32 and column.values.shape == (N,) for column in found)
    assert len({(c.group, c.name) for c in found}) == len(found)
    return {(column.group, column.name): column.values for column in found}


def test_what_happened_comes_first():
    lives = np.array([3, 3, 2, 2, 2, 3])
    rewards = np.array([0, 1, 0, np.nan, -2, 0])
    ends = np.array([0, 0, 0, 0, 1, 0], bool)
    q = np.eye(3)[[0, 0, 2, 0, 0, 2]]
    found = table(episode({"q": q}, rewards=rewards, lives=lives, terminated=ends))
    assert list(found)[:7] == [(w, w) for w in ("reward", "lives", "action", "greedy", "start", "lost", "over")]
    assert np.array_equal(found["reward", "reward"], rewards.astype(np.float32), equal_nan=True)
    assert np.array_equal(found["lives", "lives"], lives)
    assert np.array_equal(found["action", "action"], [0, 1, 2, 0, 1, 2])
    assert np.array_equal(found["greedy", "greedy"], [1, 0, 1, 1, 0, 1])
    assert np.array_equal(found["start", "start"], [1, 0, 0, 0, 0, 1])
    assert np.array_equal(found["lost", "lost"], [0, 1, 0, 0, 1, 0])
    assert np.array_equal(found["over", "over"], ends)


def test_entries_are_called_by_their_actions_and_policies_are_told_as_probabilities_too():
    rng = np.random.default_rng(0)
    policy, value, q = rng.normal(size=(N, 3)), rng.normal(size=N), rng.normal(size=(N, 3))
    found = table(episode({"policy": policy, "value": value, "q": q}))
    odds = np.exp(policy) / np.exp(policy).sum(1, keepdims=True)
    for index, name in enumerate(NAMES):
        assert np.allclose(found["stream:policy", name], policy[:, index])
        assert np.allclose(found["stream:probability", name], odds[:, index])
        assert np.allclose(found["stream:q", name], q[:, index])
    assert np.allclose(found["stream:value", "value"], value)


def test_without_names_entries_are_numbered_and_attention_is_named_by_its_lags():
    streams = {"q": np.zeros((N, 3)), "attention_value": np.arange(N * 4).reshape(N, 4), "hidden": np.zeros((N, 2))}
    found = table(episode(streams, names=None))
    assert {name for group, name in found if group == "stream:q"} == {"action 0", "action 1", "action 2"}
    assert {name for group, name in found if group == "stream:hidden"} == {"hidden 0", "hidden 1"}
    assert np.array_equal(found["stream:attention_value", "t-0"], 3 + 4 * np.arange(N))  # the newest comes last


def test_continuous_actions_have_no_column_and_their_means_are_no_probabilities():
    streams = {"policy": np.ones((N, 2)), "value": np.zeros(N)}
    found = table(episode(streams, np.zeros((N, 2), np.float32), ["steer", "gas"]))
    assert ("action", "action") not in found
    assert ("stream:policy", "gas") in found
    assert not any(group == "stream:probability" for group, _ in found)


def test_an_episode_of_observations_alone_has_its_starts():
    found = table(episode(actions=None, names=None))
    assert set(found) == {(w, w) for w in ("reward", "start", "lost", "over")}


@pytest.fixture(scope="module")
def explained():
    torch.manual_seed(0)
    agent = ps.Agent(DuelingDQN(3).eval(), ps.Protocol(name="test"), ("q", "value", "advantage"), tuple(NAMES))
    observations = np.random.default_rng(0).integers(0, 256, (N, 4, 84, 84), np.uint8)
    played = ps.Episode.from_arrays(observations, np.arange(N) % 3, protocol=agent.protocol)
    return played, ps.explain(agent, played[:4], ["gradient", "grad_cam"])


def test_what_goes_along_with_the_maps_follows_and_is_unknown_where_there_are_none(explained):
    played, maps = explained
    found = table(played, maps)
    layers = ["body.0", "body.2", "body.4"]
    assert [name for group, name in found if group == "lags"] == ["t-0", "t-1", "t-2", "t-3"]
    assert [name for group, name in found if group == "alive"] == layers
    assert [name for group, name in found if group == "flow"] == [*layers, "input"]
    assert np.allclose(found["lags", "t-1"][:4], maps.lag_shares()[:, 1])
    assert np.allclose(found["alive", "body.2"][:4], maps.health().alive[:, 1])
    assert np.allclose(found["flow", "input"][:4], maps.health().flow[:, 3])
    assert np.allclose(found["disagreement", "disagreement"][:4], maps.disagreement())
    for group in ("lags", "alive", "flow", "disagreement"):
        assert all(np.isnan(values[4:]).all() for (g, _), values in found.items() if g == group)
