"""Sorts of states and the ways between them, on processes whose truth is known."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import policyscope as ps
from policyscope.errors import TargetError
from policyscope.evaluation.samdp import Samdp, samdp, state_values
from policyscope.evaluation.samdp_captions import captions
from policyscope.evaluation.samdp_clusters import clustered, embedded, entropy, intensity, windowed
from policyscope.evaluation.samdp_figure import figure
from policyscope.evaluation.samdp_model import modelled

GAMMA = 0.9


# -- clusters ------------------------------------------------------------------------------------------------------


def test_windows_are_means_that_do_not_reach_into_another_game():
    features = np.random.default_rng(0).normal(size=(12, 3))
    games = np.repeat([0, 1], 6)
    found = windowed(features, games, 2)
    for step in range(12):
        near = [j for j in range(step - 2, step + 3) if 0 <= j < 12 and games[j] == games[step]]
        np.testing.assert_allclose(found[step], features[near].mean(axis=0))


def test_a_state_is_assigned_with_its_neighbours_in_time():
    random = np.random.default_rng(0)
    truth = np.repeat([0, 1, 0, 1, 2, 0], 20)
    places = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])[truth] + 0.3 * random.normal(size=(120, 2))
    places[30] = [0.0, 0.0]  # a flash
    games = np.zeros(120, int)
    alone, together = clustered(places, games, 3, 0), clustered(places, games, 3, 2)
    assert alone.labels[30] == alone.labels[0]
    assert together.labels[30] == together.labels[25]
    assert [len(set(together.labels[truth == k])) for k in range(3)] == [1, 1, 1]


def test_without_a_window_it_is_scikit_learns_k_means():
    cluster = pytest.importorskip("sklearn.cluster")
    places = np.random.default_rng(3).normal(size=(150, 2))
    places[:50] += 6
    ours = clustered(places, np.zeros(150, int), 2, 0)
    theirs = cluster.KMeans(2, n_init=10, random_state=0).fit(places)
    assert ours.inertia == pytest.approx(theirs.inertia_, rel=1e-6)


def test_criteria_are_the_papers():
    counts = np.array([[0, 2, 2], [4, 0, 0], [1, 0, 0]])
    assert entropy(counts, np.array([10, 5, 5])) == pytest.approx(0.5 * np.log(2))
    assert intensity(np.array([0, 0, 0, 1, 1, 0]), np.zeros(6, int)) == 3 / 2
    assert intensity(np.array([0, 0, 1]), np.array([0, 0, 1])) == 1


def test_states_are_put_on_a_plane_with_those_that_are_alike():
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    sort = np.repeat([0, 1, 2], 30)
    places = embedded(random.normal(size=(90, 40)) + 10 * np.eye(40)[sort])
    within = max(places[sort == k].std(axis=0).max() for k in range(3))
    middles = np.stack([places[sort == k].mean(axis=0) for k in range(3)])
    assert min(np.linalg.norm(middles[i] - middles[j]) for i, j in ((0, 1), (0, 2), (1, 2))) > 2 * within
    np.testing.assert_allclose(places.std(axis=0), 1)


# -- the process ---------------------------------------------------------------------------------------------------


def test_values_of_a_cycle_are_those_of_the_sum():
    # Two states, two steps each, a reward of 1 on leaving the second: v(a) = g^2 v(b), v(b) = g (1) + g^2 v(a).
    labels = np.tile([0, 0, 1, 1], 50)
    rewards = np.tile([0.0, 0, 0, 1], 50)
    entry = np.linalg.solve([[1, -(GAMMA**2)], [-(GAMMA**2), 1]], [0, GAMMA])
    truth = np.array([entry[0], GAMMA * entry[1], entry[1], 1 + GAMMA * entry[0]])
    model = modelled(labels, np.zeros(200, int), rewards, np.zeros(200, bool), np.tile(truth, 50), GAMMA)
    np.testing.assert_allclose(model.values, [truth[:2].mean(), truth[2:].mean()])
    assert model.error == pytest.approx(0, abs=1e-9)
    assert model.vmse == pytest.approx(0, abs=1e-9)
    assert model.durations[0, 1] == 2
    assert model.rewards[1, 0] == pytest.approx(GAMMA)
    np.testing.assert_allclose(model.chances, [[0, 1], [1, 0]])


def test_a_game_that_ends_is_worth_nothing_afterwards():
    labels, games = np.tile([0, 1], 20), np.repeat(np.arange(20), 2)
    ended, rewards = np.tile([False, True], 20), np.tile([0.0, 1.0], 20)
    model = modelled(labels, games, rewards, ended, np.tile([GAMMA, 1.0], 20), GAMMA)
    np.testing.assert_allclose(model.values, [GAMMA, 1])
    assert model.ends.tolist() == [0, 20]
    assert model.chances[1].sum() == 0


def test_a_visit_that_the_recording_cuts_off_does_not_count():
    labels = np.array([0, 0, 1, 1, 0, 0])
    model = modelled(labels, np.zeros(6, int), np.zeros(6), np.zeros(6, bool), np.ones(6), GAMMA)
    assert model.counts.tolist() == [[0, 1], [1, 0]]
    # A game that is left in the middle, without an end, is cut off too.
    games = np.array([0, 0, 0, 1, 1, 1])
    model = modelled(labels, games, np.zeros(6), np.zeros(6, bool), np.ones(6), GAMMA)
    assert model.counts.tolist() == [[0, 1], [1, 0]]
    assert model.ends.tolist() == [0, 0]


def test_the_process_is_what_a_loop_over_visits_finds():
    random = np.random.default_rng(5)
    labels = np.repeat(random.integers(0, 3, 60), random.integers(1, 5, 60))
    count = len(labels)
    rewards, games = random.normal(size=count), np.repeat([0, 1], [count // 2, count - count // 2])
    ended = np.zeros(count, bool)
    ended[count // 2 - 1] = True
    model = modelled(labels, games, rewards, ended, random.normal(size=count), GAMMA)
    counts, gains = np.zeros((3, 3)), {}
    step = 0
    while step < count:
        last = step
        while last + 1 < count and labels[last + 1] == labels[step] and games[last + 1] == games[step]:
            last += 1
        if last + 1 < count and games[last + 1] == games[step]:
            way = labels[step], labels[last + 1]
            counts[way] += 1
            gains.setdefault(way, []).append(sum(GAMMA**k * r for k, r in enumerate(rewards[step : last + 1])))
        step = last + 1
    np.testing.assert_array_equal(model.counts, counts)
    for way, found in gains.items():
        assert model.rewards[way] == pytest.approx(np.mean(found))


# -- the whole way -------------------------------------------------------------------------------------------------


def pong_player(count=240, seed=0):
    """An agent and an episode of Pong's RAM in which the ball goes back and forth, worth more on the right."""
    from test_laplacian import pong

    random, episode = np.random.default_rng(seed), pong(count, seed)
    ram = np.array(episode.ram)
    there = 80 - np.abs(np.arange(count) % 160 - 80)
    ram[:, 49] = 60 + there + random.integers(0, 3, count)
    values = there / 80 + 0.01 * random.normal(size=count)
    rewards = (there == 79).astype(float)
    again = ps.Episode.from_arrays(
        np.asarray(episode.observations),
        actions=(np.gradient(there) > 0).astype(int),
        rewards=rewards,
        ram=ram,
        screens=np.asarray(episode.screens),
        streams={"q": np.stack([values, values - 1], axis=1)},
        protocol=episode.protocol,
    )
    torch.manual_seed(seed)

    class Flat(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.q = nn.Conv2d(4, 3, 8, 8), nn.Linear(300, 2)

        def forward(self, x):
            return {"q": self.q(self.conv(x).relu().flatten(1))}

    return ps.make_agent(Flat(), episode.protocol, actions=("LEFT", "RIGHT")), again


@pytest.fixture(scope="module")
def found():
    pytest.importorskip("sklearn")
    agent, episode = pong_player()
    return samdp(agent, episode, clusters=(3, 4), windows=(1,)), episode


def test_clusters_are_numbered_by_value_and_told_in_words(found):
    result, _ = found
    assert isinstance(result, Samdp)
    assert (np.diff(result.model.agent_values) <= 0).all()
    table = result.table()
    assert sum(row["share"] for row in table) == pytest.approx(1)
    assert "the highest of all" in table[0]["caption"]
    assert "ball" in table[0]["title"]
    assert sum(one["chosen"] for one in result.criteria) == 1
    assert all(result.clustering.labels[rows[0]] == k for k, rows in enumerate(result.representatives))


def test_the_document_is_plain_json(found, tmp_path):
    result, episode = found
    read = json.loads(result.write(tmp_path / "samdp.json").read_text())
    assert len(read["points"]) == len(episode)
    assert {row["cluster"] for row in read["clusters"]} == {point[3] for point in read["points"]}
    assert all(skill["times"] > 0 for skill in read["skills"])


def test_it_is_drawn(found, tmp_path):
    pytest.importorskip("matplotlib")
    result, episode = found
    figure(result, episode, tmp_path / "samdp.png")
    assert (tmp_path / "samdp.png").stat().st_size > 5000


def test_the_same_seed_gives_the_same_clusters(found):
    result, episode = found
    agent, _ = pong_player()
    again = samdp(agent, episode, clusters=(3, 4), windows=(1,))
    np.testing.assert_array_equal(again.clustering.labels, result.clustering.labels)


def test_captions_tell_what_sets_a_cluster_apart():
    _, episode = pong_player()
    from policyscope.evaluation.objects.extract import objects_of_episode

    right = (np.asarray(episode.ram)[:, 49] > 100).astype(int)
    told = captions(right, np.array([[0, 1], [1, 0.0]]), np.array([0.2, 0.8]), episode, objects_of_episode(episode))
    assert "on the left" in told[0].text
    assert "The ball" in told[1].title
    assert "on the right" in told[1].text
    assert "The value is 0.80, the highest of all." in told[1].text
    assert "Next it usually goes to 1 (100 %)." in told[1].text


def test_captions_without_objects_tell_value_and_action():
    _, episode = pong_player()
    told = captions(np.zeros(len(episode), int), np.zeros((1, 1)), np.array([0.5]), episode, None)
    assert "The value is 0.50" in told[0].text
    assert "It ends there." in told[0].text


def test_too_little_play_is_told():
    agent, episode = pong_player()
    with pytest.raises(TargetError, match="20 steps are too few"):
        samdp(agent, episode[:20])


def test_an_agent_without_values_is_told():
    episode = ps.Episode.from_arrays(np.zeros((3, 4, 84, 84), np.uint8), streams={"policy": np.zeros((3, 2))})
    with pytest.raises(TargetError, match=r"no value of states among its streams \(policy\)"):
        state_values(episode)
