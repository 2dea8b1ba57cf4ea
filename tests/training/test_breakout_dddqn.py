"""The replay memory of the first agent's recipe, against a walk through the same history."""

import numpy as np
import pytest
from breakout_dddqn import Recipe, Replay, train

import policyscope as ps

GAMES, N, GAMMA = 3, 3, 0.9


def history(steps, seed=0):
    """Frames whose first pixel tells game and time, with ends of lives and of games."""
    rng = np.random.default_rng(seed)
    age, rows = np.zeros(GAMES, np.int32), []
    for step in range(steps):
        frames = np.zeros((GAMES, 84, 84), np.uint8)
        frames[:, 0, 0] = 10 * np.arange(GAMES) + step % 10 + 1
        frames[:, 0, 1] = step
        ends = rng.random(GAMES) < 0.15
        over = ends & (rng.random(GAMES) < 0.5)
        rows.append((frames, age.copy(), rng.integers(0, 4, GAMES), rng.random(GAMES).astype(np.float32), ends))
        age = np.where(over, 0, age + 1).astype(np.int32)
    return rows


@pytest.mark.parametrize("priority", [0.0, 0.5])
def test_what_is_sampled_is_what_happened(priority):
    rows = history(100)
    replay = Replay(40 * GAMES, GAMES, N, GAMMA, priority)
    for row in rows:
        replay.append(*row)
    _, now, actions, returns, later, discounts, _ = replay.sample(400, np.random.default_rng(1))
    times = set()
    for index in range(400):
        time, game = int(now[index, -1, 0, 1]), (int(now[index, -1, 0, 0]) - 1) // 10
        times.add(time)
        age = rows[time][1][game]
        for back in range(4):
            frame = now[index, -1 - back]
            assert int(frame[0, 1]) == (time - back if back <= age else 0)
        wanted, alive = 0.0, True
        for ahead in range(N):
            wanted += alive * GAMMA**ahead * rows[time + ahead][3][game]
            alive = alive and not rows[time + ahead][4][game]
        assert actions[index] == rows[time][2][game]
        assert np.isclose(float(returns[index]), wanted, atol=1e-6)
        assert np.isclose(float(discounts[index]), GAMMA**N * alive)
        if alive:
            assert int(later[index, -1, 0, 1]) == time + N
    # Of the last 40, neither those whose return is not known nor those whose older frames are overwritten.
    assert min(times) >= 100 - 40 + 3
    assert max(times) <= 100 - 1 - N


def test_a_short_training_leaves_weights_that_play_and_can_go_on(tmp_path):
    recipe = Recipe(out=tmp_path, steps=320, games=8, batch=8, replay=4000, learn_after=160, minutes=2, save_every=160)
    train(recipe)
    curve = (tmp_path / "curve.csv").read_text().splitlines()
    assert curve[0].startswith("step,seconds")
    recipe.resume, recipe.steps = True, 480
    train(recipe)
    assert len((tmp_path / "curve.csv").read_text().splitlines()) > len(curve)
    agent = ps.load_agent(
        tmp_path / "weights.safetensors", network="breakout_dddqn:make_network", protocol="ale-vector", game="breakout"
    )
    assert len(ps.play(agent, 5)) == 5
