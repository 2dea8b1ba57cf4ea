"""Replay against a walk through the same history."""

import numpy as np
import pytest
import torch

from policyscope.training.replay import Replay

GAMES, N, GAMMA, STACK = 3, 3, 0.9, 4


def history(steps, seed=0):
    """Frames whose first pixels tell game and time, with ends of lives and of games."""
    rng = np.random.default_rng(seed)
    age, rows = np.zeros(GAMES, np.int64), []
    for step in range(steps):
        frames = np.zeros((GAMES, 84, 84), np.uint8)
        frames[:, 0, 0] = 1 + np.arange(GAMES)
        frames[:, 0, 1] = step
        ends = rng.random(GAMES) < 0.15
        over = ends & (rng.random(GAMES) < 0.5)
        rows.append((frames, age.copy(), rng.integers(0, 4, GAMES), rng.random(GAMES).astype(np.float32), ends))
        age = np.where(over, 0, age + 1)
    return rows


def filled(steps=100, capacity=40, **options):
    replay = Replay(capacity * GAMES, GAMES, stack=STACK, n_step=N, gamma=GAMMA, labels=2, **options)
    rows = history(steps)
    for step, row in enumerate(rows):
        replay.append(*row, labels=np.stack([np.full(GAMES, step), np.arange(GAMES)], axis=1))
    return replay, rows


def naive_return(rows, time, game):
    wanted, alive = 0.0, True
    for ahead in range(N):
        wanted += alive * GAMMA**ahead * rows[time + ahead][3][game]
        alive = alive and not rows[time + ahead][4][game]
    return wanted, alive


def check_stack(stack, rows, time, game):
    age = rows[time][1][game]
    for back in range(STACK):
        assert int(stack[-1 - back, 0, 1]) == (time - back if back <= age else 0)


@pytest.mark.parametrize("priority", [0.0, 0.5])
def test_what_is_drawn_is_what_happened(priority):
    replay, rows = filled(priority=priority)
    batch = replay.draw(400, np.random.default_rng(1))
    times = set()
    for index in range(400):
        time, game = int(batch.observations[index, -1, 0, 1]), int(batch.observations[index, -1, 0, 0]) - 1
        times.add(time)
        check_stack(batch.observations[index], rows, time, game)
        wanted, alive = naive_return(rows, time, game)
        assert batch.actions[index] == rows[time][2][game]
        assert batch.labels[index].tolist() == [time, game]
        assert np.isclose(float(batch.returns[index]), wanted, atol=1e-6)
        assert np.isclose(float(batch.discounts[index]), GAMMA**N * alive)
        if alive:
            check_stack(batch.later[index], rows, time + N, game)
    # Of the last 40, neither those whose return is not known nor those whose older frames are overwritten.
    assert times == set(range(100 - 40 + STACK - 1, 100 - N))


def test_stretches_are_states_in_a_row_with_the_frames_of_all_their_windows():
    replay, rows = filled()
    states = 5
    drawn = replay.draw_stretches(100, states, np.random.default_rng(2))
    assert drawn.frames.shape == (100, STACK - 1 + states + N, 84, 84)
    for index in range(100):
        newest = [int(frame[0, 1]) for frame in drawn.frames[index]]
        first, game = newest[STACK - 1], int(drawn.frames[index, STACK - 1, 0, 0]) - 1
        assert newest == list(range(first - STACK + 1, first + states + N))
        assert drawn.age[index].tolist() == [rows[first + ahead][1][game] for ahead in range(states + N)]
        for state in range(states):
            wanted, alive = naive_return(rows, first + state, game)
            assert np.isclose(float(drawn.batch.returns[index * states + state]), wanted, atol=1e-6)
            assert bool(drawn.batch.discounts[index * states + state] > 0) == alive
            assert drawn.batch.actions[index * states + state] == rows[first + state][2][game]
            assert drawn.batch.labels[index * states + state].tolist() == [first + state, game]


def test_priorities_decide_how_often_a_transition_is_drawn():
    replay, _ = filled(priority=1.0, correction=1.0)
    rng = np.random.default_rng(3)
    batch = replay.draw(3000, rng)
    wrong = batch.labels[:, 1] == 0  # those of game 0
    replay.update(batch, torch.where(wrong, 9.0, 1.0))
    again = replay.draw(6000, rng)
    share = float((again.labels[:, 1] == 0).float().mean())
    assert share == pytest.approx(9.01 / (9.01 + 2 * 1.01), abs=0.03)
    # The weights undo it: what is drawn nine times as often counts a ninth.
    ratio = again.weights[again.labels[:, 1] == 0].mean() / again.weights[again.labels[:, 1] == 1].mean()
    assert float(ratio) == pytest.approx(1.01 / 9.01, rel=0.05)
