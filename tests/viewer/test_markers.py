"""The steps that stand out."""

import time

import numpy as np
import pytest

import policyscope as ps
from policyscope.viewer.markers import advantage, closeness, markers, peaks, surprise

N = 100


class FakeMaps:
    def __init__(self, values):
        self.values = values

    def disagreement(self):
        return self.values


def episode(n=N, actions=None, names=("NOOP", "RIGHT", "LEFT"), **given):
    made = ps.Episode.from_arrays(
        np.broadcast_to(np.uint8(0), (n, 1, 8, 8)), np.zeros(n, int) if actions is None else actions, **given
    )
    made.meta["actions"] = list(names)
    return made


def at(kind, *given, **options):
    return [(m.step, m.text) for m in markers(*given, **options) if m.kind == kind]


def numbers(**at_steps):
    values = np.zeros(N)
    for step, value in at_steps.items():
        values[int(step[1:])] = value
    return values


def test_the_largest_rewards_are_marked_and_kept_apart():
    rewards = numbers(s10=1, s40=7, s41=6, s60=-3, s90=2)
    assert at("reward", episode(rewards=rewards)) == [(40, "reward +7"), (60, "reward -3"), (90, "reward +2")]
    assert at("reward", episode(rewards=rewards), per_kind=1) == [(40, "reward +7")]
    assert at("reward", episode()) == []


def test_lost_lives_are_marked_with_what_is_left():
    lives = np.repeat([3, 2, 1], [30, 50, 20])
    ended = np.arange(N) == 99
    found = at("loss", episode(lives=lives, terminated=ended))
    assert sorted(found) == [
        (29, "a life is lost, 2 left"),
        (79, "a life is lost, 1 left"),
        (99, "the last life is lost"),
    ]


def test_advantage_is_that_of_the_action_taken_over_the_mean_of_all():
    rng = np.random.default_rng(0)
    q, raw, taken = rng.normal(size=(N, 3)), rng.normal(size=(N, 3)), rng.integers(0, 3, N)
    by_q = [q[i, taken[i]] - q[i].mean() for i in range(N)]
    by_stream = [raw[i, taken[i]] - raw[i].mean() for i in range(N)]
    assert np.allclose(advantage(episode(actions=taken, streams={"q": q})), by_q, atol=1e-6)
    both = episode(actions=taken, streams={"q": q, "advantage": raw + 5})
    assert np.allclose(advantage(both), by_stream, atol=1e-5)
    assert advantage(episode(streams={"policy": q, "value": q[:, 0]})) is None
    found = at("advantage", both)
    assert len(found) == 6
    assert found[0][0] == np.argmax(by_stream)
    assert found[1][0] == np.argmin(by_stream)
    name = ("NOOP", "RIGHT", "LEFT")[taken[found[1][0]]]
    assert found[1][1] == f"{name} is {-min(by_stream):.3g} worse than the mean action"


def test_surprise_is_the_temporal_difference_error_and_never_crosses_a_start():
    rng = np.random.default_rng(0)
    value, rewards = rng.normal(size=12), rng.normal(size=12)
    starts, terminated, truncated = (np.zeros(12, bool) for _ in range(3))
    terminated[3] = truncated[6] = True
    starts[[0, 4, 7, 10]] = True
    made = ps.Episode.from_arrays(
        np.zeros((12, 1, 8, 8), np.uint8),
        rewards=rewards,
        starts=starts,
        terminated=terminated,
        truncated=truncated,
        streams={"value": value},
    )
    found = surprise(made)
    for step in range(12):
        if step == 3:
            assert np.isclose(found[step], rewards[step] - value[step], atol=1e-6)
        elif step in (6, 9, 11):
            assert np.isnan(found[step])
        else:
            assert np.isclose(found[step], rewards[step] + 0.99 * value[step + 1] - value[step], atol=1e-6)


def test_surprises_of_either_sign_are_marked_by_turns():
    rewards = numbers(s10=2, s50=-3, s80=1)
    found = at("surprise", episode(rewards=rewards, streams={"q": np.zeros((N, 3))}))
    assert found == [(10, "2 better than expected"), (50, "3 worse than expected"), (80, "1 better than expected")]


def test_jumps_of_the_value_are_marked_but_not_where_an_episode_begins():
    value = np.repeat([0.0, 1.0, -1.0, 5.0], [20, 30, 30, 20])
    starts = np.isin(np.arange(N), [0, 80])
    found = at("value", episode(streams={"value": value}, starts=starts))
    assert found == [(50, "the value falls by 2"), (20, "the value rises by 1")]


def test_close_calls_are_near_ties_of_the_two_best_actions_relative_to_the_spread():
    q = np.tile([1.0, 0.5, 0.0], (N, 1))
    q[30] = [1.0, 0.99, 0.0]  # 1 % of the spread
    q[60] = [10.0, 10.2, 0.0]  # 2 %
    q[80] = [1.0, 1.0, 1.0]  # nothing to choose between
    found = at("tie", episode(streams={"q": q}))
    assert found == [(30, "NOOP 1 or RIGHT 0.99"), (60, "RIGHT 10.2 or NOOP 10")]
    two = np.tile([1.0, 0.0], (N, 1))
    two[40] = [0.0, 0.03]
    name, gap = closeness(episode(names=("NOOP", "RIGHT"), streams={"q": two}))
    assert name == "q"
    assert np.isclose(gap[40], 0.03, atol=1e-6)
    assert np.isclose(gap[0], 1)


def test_close_calls_of_a_policy_are_told_in_probabilities():
    logits = np.log(np.tile([0.8, 0.1, 0.1], (N, 1)))
    logits[70] = np.log([0.1, 0.44, 0.46])
    assert at("tie", episode(streams={"policy": logits})) == [(70, "LEFT 46 % or RIGHT 44 %")]


def test_most_disagreement_is_marked_where_there_are_maps():
    values = np.full(60, np.nan)
    values[[5, 7, 40]] = [0.5, 0.9, 0.2]
    found = at("disagreement", episode(), FakeMaps(values))
    assert found == [(7, "the methods disagree by 0.90"), (40, "the methods disagree by 0.20")]
    assert at("disagreement", episode(), FakeMaps(None)) == []


@pytest.mark.parametrize("per_kind", [1, 3, 5])
def test_markers_of_a_kind_are_few_and_a_twentieth_of_the_episode_apart(per_kind):
    rng = np.random.default_rng(1)
    given = episode(
        N,
        rng.integers(0, 3, N),
        rewards=rng.normal(size=N),
        streams={"q": rng.normal(size=(N, 3)), "value": rng.normal(size=N)},
    )
    found = markers(given, per_kind=per_kind)
    for kind in {m.kind for m in found}:
        steps = sorted(m.step for m in found if m.kind == kind)
        assert len(steps) <= per_kind * (2 if kind in ("advantage", "surprise") else 1)
        assert np.diff(steps).min(initial=N) >= N / 20


def test_peaks_are_the_largest_first():
    assert peaks(np.array([0, 3, 2.9, np.nan, 1, np.inf]), 3, 2) == [1, 4]


@pytest.mark.parametrize("n", [1, 2])
def test_a_step_or_two_have_markers_too(n):
    given = episode(n, rewards=np.ones(n), streams={"q": np.arange(3 * n).reshape(n, 3)})
    assert (0, "reward +1") in at("reward", given)


def test_ten_thousand_steps_take_a_moment():
    rng = np.random.default_rng(0)
    n = 10_000
    given = episode(
        n,
        rng.integers(0, 3, n),
        rewards=rng.normal(size=n),
        lives=rng.integers(1, 4, n),
        streams={"q": rng.normal(size=(n, 3)), "policy": rng.normal(size=(n, 3))},
    )
    began = time.thread_time()
    markers(given)
    assert time.thread_time() - began < 0.5
