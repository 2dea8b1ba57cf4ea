import os
import signal
import threading
import time
from dataclasses import replace

import ale_py
import numpy as np
import pytest
import torch
from players import breakout, recurrent

from policyscope import storage
from policyscope.episodes.atari import AtariGame
from policyscope.episodes.episode import Episode
from policyscope.episodes.play import play
from policyscope.errors import PolicyscopeError, ProtocolError, RunError

COLUMNS = ("observations", "screens", "actions", "rewards", "terminated", "truncated", "lives", "starts", "ram")


def assert_equal(one: Episode, other: Episode) -> None:
    for name in COLUMNS:
        np.testing.assert_array_equal(np.asarray(getattr(one, name)), np.asarray(getattr(other, name)), err_msg=name)
    assert one.streams.keys() == other.streams.keys()
    for name in one.streams:
        np.testing.assert_array_equal(one.streams[name], other.streams[name])
    if one.memories is not None:
        np.testing.assert_array_equal(np.asarray(one.memories), np.asarray(other.memories))
    assert one.fingerprint == other.fingerprint


def test_an_episode_holds_what_a_plain_loop_over_the_game_sees():
    agent = breakout()
    episode = play(agent, 230, seed=3, policy="epsilon=0.3")
    game = AtariGame(agent.protocol)
    game.reset(3)
    start = True
    for step in episode:
        np.testing.assert_array_equal(step.observation, game.observation)
        np.testing.assert_array_equal(step.screen, game.screen)
        np.testing.assert_array_equal(step.ram, game.ram)
        assert (step.lives, step.start) == (game.lives, start)
        with torch.no_grad():
            q = agent.network(torch.from_numpy(step.observation)[None].float() / 255)["q"][0]
        np.testing.assert_array_equal(step.streams["q"], q.numpy())
        outcome = game.step(step.action)
        assert (step.reward, step.terminated, step.truncated) == (outcome.reward, outcome.terminated, False)
        start = outcome.terminated
        if start:
            game.reset()
    assert len(episode) == 230
    assert episode.starts.sum() == 1 + episode.terminated[:-1].sum()


def test_a_greedy_agent_takes_the_action_of_the_largest_value():
    episode = play(breakout(), 30)
    np.testing.assert_array_equal(episode.actions, episode.streams["q"].argmax(axis=1))
    assert episode.actions.dtype == np.int64
    assert episode.meta["policy"] == "greedy"


def test_epsilon_takes_about_that_many_random_actions():
    episode = play(breakout(), 300, policy="epsilon=0.4")
    other = (episode.actions != episode.streams["q"].argmax(axis=1)).mean()
    assert 0.2 < other < 0.4  # a random one is the best one in a quarter of the cases


def test_the_same_seed_gives_the_same_episode_and_another_one_does_not():
    agent = breakout()
    first, again, other = (play(agent, 80, seed=seed, policy="epsilon=0.5") for seed in (1, 1, 2))
    assert_equal(first, again)
    assert first.fingerprint != other.fingerprint


def test_a_recurrent_agent_starts_each_episode_with_an_empty_memory_and_carries_it_on():
    agent = recurrent()
    episode = play(agent, 420, seed=1)
    starts = np.flatnonzero(episode.starts)
    assert len(starts) >= 2
    assert not episode.memories[starts].any()
    for step in (0, int(starts[1]) - 2, int(starts[1])):
        with torch.no_grad():
            _, memory = agent(agent.prepare(episode.observations[[step]]), torch.from_numpy(episode.memories[[step]]))
        np.testing.assert_array_equal(memory.numpy()[0], episode.memories[step + 1])
    assert episode.meta["policy"] == "sample"


def test_a_sampling_agent_draws_actions_with_the_chances_of_its_logits():
    episode = play(recurrent(), 400, seed=1)
    logits = torch.from_numpy(episode.streams["policy"]).double()
    expected = logits.softmax(dim=1).mean(dim=0).numpy()
    found = np.bincount(episode.actions, minlength=4) / len(episode)
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize(("make", "stops"), [(breakout, (64, 128)), (recurrent, (1, 70, 150))])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not(tmp_path, make, stops):
    agent = make()
    whole = play(agent, 200, seed=5)
    for steps in (*stops, 200):
        episode = play(agent, steps, seed=5, out=tmp_path, resume=True)
        assert len(episode) == steps
    assert_equal(episode, whole)
    assert episode.meta["complete"] is True


def test_a_killed_run_goes_on_from_its_last_whole_chunk(tmp_path):
    agent = breakout()
    whole = play(agent, 150, out=tmp_path / "whole")
    play(agent, 100, out=tmp_path / "killed")
    # A kill leaves the count behind the arrays, and half a file.
    storage.write_json(tmp_path / "killed/episode.zarr/count.json", {"steps": 64})
    (tmp_path / "killed/episode.zarr/observations/c/1/0/0/0.part").write_bytes(b"half")
    assert len(Episode.open(tmp_path / "killed")) == 64
    assert_equal(play(agent, 150, out=tmp_path / "killed", resume=True), whole)


def test_resuming_an_empty_folder_begins_a_run(tmp_path):
    assert len(play(breakout(), 5, out=tmp_path / "new", resume=True)) == 5


def test_a_longer_run_is_not_shortened_by_resuming(tmp_path):
    play(breakout(), 20, out=tmp_path)
    assert len(play(breakout(), 10, out=tmp_path, resume=True)) == 20


def test_a_folder_that_holds_a_run_is_not_overwritten(tmp_path):
    play(breakout(), 5, out=tmp_path)
    with pytest.raises(RunError, match="already holds a run"):
        play(breakout(), 5, out=tmp_path)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"agent": breakout(1)}, "another agent"),
        ({"seed": 1}, "another seed: 0, now 1"),
        ({"policy": "epsilon=0.1"}, "another policy: 'greedy', now 'epsilon=0.1'"),
        (
            {"agent": replace(breakout(), protocol=replace(breakout().protocol, sticky=0.0))},
            r"another protocol: sticky 0\.25, now 0\.0",
        ),
    ],
)
def test_a_run_is_not_continued_in_another_way(tmp_path, changed, told):
    play(breakout(), 5, out=tmp_path)
    with pytest.raises(RunError, match=told):
        play(**({"agent": breakout(), "steps": 9, "out": tmp_path, "resume": True} | changed))


def test_a_run_that_comes_out_differently_is_not_continued(tmp_path):
    play(breakout(), 70, out=tmp_path)
    columns = storage.Columns(tmp_path / "episode.zarr", {"ram": ((128,), np.uint8)})
    ram = Episode.open(tmp_path).ram[:]
    ram[40, 7] ^= 1
    columns.truncate(0)
    columns.append({"ram": ram})
    columns.close()
    with pytest.raises(RunError, match="step 40 comes out differently"):
        play(breakout(), 80, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)], ids=["ctrl-c", "terminate"]
)
def test_a_run_that_is_interrupted_is_shorter_and_valid_and_goes_on(tmp_path, number, error):
    agent = breakout()

    def interrupt_once_there_is_a_chunk() -> None:
        count = tmp_path / "episode.zarr" / "count.json"
        while not count.exists() or storage.read_count(count.parent) < 64:
            time.sleep(0.005)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt_once_there_is_a_chunk)
    thread.start()
    with pytest.raises(error):
        play(agent, 100_000, out=tmp_path)
    thread.join()
    episode = Episode.open(tmp_path)
    assert 64 <= len(episode) < 100_000
    assert episode.meta["complete"] is False
    steps = len(episode) + 3
    assert_equal(play(agent, steps, out=tmp_path, resume=True), play(agent, steps))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_of_the_network_keeps_what_was_played(tmp_path):
    agent = breakout()
    calls = iter(range(100))

    def fails_at_forty(outputs):
        if next(calls) == 41:  # the first call tries a blank observation
            raise FloatingPointError
        return outputs

    with pytest.raises(FloatingPointError):
        play(replace(agent, read=fails_at_forty), 100, out=tmp_path)
    assert len(Episode.open(tmp_path)) == 40


def test_a_full_disk_is_told_in_one_line_and_leaves_a_valid_run(tmp_path, monkeypatch):
    put, written = storage._put, []

    def fills_up(path, data):
        written.append(path)
        if len(written) > 20:
            raise OSError(28, "No space left on device")
        put(path, data)

    monkeypatch.setattr(storage, "_put", fills_up)
    with pytest.raises(RunError, match="No space left on device; free space or choose another"):
        play(breakout(), 300, out=tmp_path)
    assert len(Episode.open(tmp_path)) == 64


def test_a_temporary_run_lives_as_long_as_its_episode():
    episode = play(breakout(), 5)
    folder, part = episode.path, episode[1:3]
    del episode
    assert part.observations[0].any()
    assert folder.exists()
    del part
    assert not folder.exists()


@pytest.mark.parametrize("policy", ["best", "epsilon", "epsilon=2", "epsilon=x", "greedy=1"])
def test_an_unknown_policy_is_told_in_one_line(policy):
    with pytest.raises(PolicyscopeError, match="'greedy', 'sample'"):
        play(breakout(), 5, policy=policy)


def test_values_cannot_be_sampled_from():
    with pytest.raises(PolicyscopeError, match="needs a 'policy' stream"):
        play(breakout(), 5, policy="sample")


def test_an_agent_of_another_number_of_actions_is_refused():
    agent = replace(breakout(), protocol=replace(breakout().protocol, game="pong"))
    with pytest.raises(ProtocolError, match="pong has 6 actions, a test's 4"):
        play(agent, 5)


@pytest.mark.parametrize(("steps", "seed"), [(0, 0), (5, -1)])
def test_steps_and_seeds_below_their_least_are_refused(steps, seed):
    with pytest.raises(PolicyscopeError, match="at least"):
        play(breakout(), steps, seed)


def test_a_progress_bar_is_shown_when_asked_for(capsys):
    play(breakout(), 20, progress=True)
    assert "20/20" in capsys.readouterr().err


def test_a_network_that_does_not_take_the_observations_is_refused_before_the_game():
    agent = replace(breakout(), protocol=replace(breakout().protocol, stack=3))
    with pytest.raises(ProtocolError, match=r"observations of shape \(3, 84, 84\)"):
        play(agent, 5)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"game": None}, "names no game"),
        ({"crop": (100, 0, 160, 160)}, "beyond the screen of breakout, which is 210 x 160"),
        ({"mode": 7}, "breakout has no mode 7; it has 0, 4, 8"),
        ({"difficulty": 9}, "breakout has no difficulty 9; it has 0, 1"),
    ],
)
def test_a_game_that_cannot_be_run_so_is_told_in_one_line(changes, told):
    with pytest.raises(ProtocolError, match=told):
        AtariGame(replace(breakout().protocol, **changes))


def test_a_mode_and_all_actions_are_set_as_gymnasium_sets_them():
    protocol = replace(breakout().protocol, mode=4, difficulty=1, full_action_space=True, frame_skip=1)
    game = AtariGame(protocol)
    env = ale_py.AtariEnv("breakout", mode=4, difficulty=1, full_action_space=True, frameskip=1)
    assert list(game.actions) == env.get_action_meanings()
    game.reset(2)
    screen, _ = env.reset(seed=2)
    for action in (1, 11, 11, 12, 0) * 8:
        np.testing.assert_array_equal(game.screen, screen)
        game.step(action)
        screen = env.step(action)[0]
