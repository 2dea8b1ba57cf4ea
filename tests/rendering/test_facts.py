from __future__ import annotations

import numpy as np

from policyscope.rendering.facts import facts, short_name
from policyscope.rendering.moments import interesting
from policyscope.rendering.words import detail, has_lags, number
from policyscope.saliency.maps import Panel


def test_returns_begin_anew_with_each_game(make_episode):
    episode = make_episode(6)
    episode.rewards[:] = [1, 2, -4, 8, 16, 32]
    episode.game_over[:] = [False, False, True, False, False, False]
    assert facts(episode).returns.tolist() == [1, 3, -1, 8, 24, 56]


def test_a_lost_life_belongs_to_the_step_that_lost_it_and_a_new_game_is_no_loss(make_episode):
    episode = make_episode(6)
    episode.lives[:] = [3, 3, 2, 2, 1, 1]
    assert np.flatnonzero(facts(episode).lost).tolist() == [1, 3]
    episode.game_over[3] = True
    assert np.flatnonzero(facts(episode).lost).tolist() == [1]
    episode.terminated[3] = True
    assert np.flatnonzero(facts(episode).lost).tolist() == [1, 3]


def test_an_action_is_greedy_where_its_q_is_the_largest(make_episode):
    assert facts(make_episode(6)).greedy.tolist() == [False, True, False, False, True, False]


def test_the_probability_of_the_action_is_the_softmax_of_the_policy(make_episode):
    episode = make_episode(3)
    logits = np.array([[0, 1, 2], [3, 0, 0], [0, 0, 1000]], np.float32)
    streams = {"policy": logits}
    episode.__dict__["streams"] = streams
    (curve,) = facts(episode).curves
    taken = [1 / (1 + np.e + np.e**2), 1 / (2 + np.e**3), 1.0]
    np.testing.assert_allclose(curve.values, taken, rtol=1e-6)


def test_continuous_actions_are_told_by_name_and_are_never_called_greedy(make_episode):
    episode = make_episode(2, actions=False)
    episode.__dict__["actions"] = np.array([[0.5, -1, 0], [0, 0.25, 1]], np.float32)
    episode.meta["actions"] = ["steer", "gas", "brake"]
    known = facts(episode)
    assert known.actions == ["steer +0.50 gas -1.00 brake +0.00", "steer +0.00 gas +0.25 brake +1.00"]
    assert known.greedy is None


def test_an_episode_without_actions_lives_or_streams_has_no_words_for_them(make_episode):
    episode = make_episode(4, actions=False)
    episode.__dict__["streams"] = {}
    episode.lives[:] = 0
    known = facts(episode)
    assert (known.actions, known.greedy, known.lives, known.curves) == (None, None, None, ())


def test_moments_have_the_largest_reward_the_lost_life_and_the_steepest_fall(make_episode):
    episode = make_episode(200)
    episode.rewards[:] = 0
    episode.rewards[[20, 160]] = [1, 7]
    q = np.zeros((200, 3), np.float32)
    q[60:] = -3
    episode.__dict__["streams"] = {"q": q}
    chosen = {moment.step: moment.reason for moment in interesting(facts(episode), 6)}
    assert chosen[160] == "reward +7"
    assert chosen[20] == "reward +1"
    assert chosen[99] == "life lost"
    assert chosen[60] == "Q(action) falls 3"
    assert len(chosen) == 6


def test_moments_keep_their_distance_and_never_repeat(make_episode):
    episode = make_episode(400)
    episode.rewards[100:110] = 5
    steps = [moment.step for moment in interesting(facts(episode), 8)]
    assert len(steps) == 8
    assert min(np.diff(steps)) >= 400 / 8 / 4


def test_a_short_episode_is_shown_whole(make_episode):
    assert [moment.step for moment in interesting(facts(make_episode(3)), 6)] == [0, 1, 2]


def test_numbers_are_short_and_true():
    written = [number(x) for x in (0, 1, -0.5, 1234.5, 0.000123, 2.5e7, 3.14159, float("nan"))]
    assert written == ["0", "1", "-0.5", "1234", "1.2e-4", "2.5e7", "3.14", "nan"]


def test_the_newest_frame_is_named_only_beside_older_ones():
    newest, older = Panel("gradient", "q", lag=0), Panel("gradient", "q", layer="conv1", lag=2)
    assert detail(newest, has_lags([newest])) == "q"
    assert detail(newest, has_lags([newest, older])) == "q · t-0"
    assert detail(older, True) == "q · conv1 · t-2"


def test_a_title_has_the_file_and_not_its_folders():
    assert short_name("/home/me/agents/breakout.zip") == "breakout.zip"
    assert short_name("zoo:breakout-dqn") == "zoo:breakout-dqn"
