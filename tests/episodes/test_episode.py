import json

import numpy as np
import pytest
import torch
import zarr
from players import breakout, recurrent

from policyscope.agents.protocol import Protocol
from policyscope.episodes.episode import Episode
from policyscope.episodes.play import play
from policyscope.errors import ProtocolError, RunError

RANDOM = np.random.default_rng(0)
PICTURES = RANDOM.integers(0, 256, (20, 4, 12, 12), dtype=np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    play(breakout(), 150, seed=3, policy="epsilon=0.3", out=folder)
    return folder


def test_a_run_is_opened_by_its_folder_or_by_the_arrays_in_it(run):
    by_folder, by_arrays = Episode.open(run), Episode.open(str(run / "episode.zarr"))
    assert by_folder.fingerprint == by_arrays.fingerprint
    assert (len(by_folder), by_folder.observations.shape) == (150, (150, 4, 84, 84))
    assert (by_folder.screens.shape, by_folder.ram.shape) == ((150, 210, 160, 3), (150, 128))
    assert (by_folder.screens.dtype, by_folder.lives.dtype, by_folder.rewards.dtype) == (np.uint8, np.int16, np.float32)
    assert by_folder.protocol == breakout().protocol
    assert by_folder.meta["actions"] == ["NOOP", "FIRE", "RIGHT", "LEFT"]
    assert by_folder.memories is None


def test_steps_are_walked_and_counted_from_either_end(run):
    episode = Episode.open(run)
    assert [step.index for step in episode] == list(range(150))
    assert episode[-1].index == 149
    np.testing.assert_array_equal(episode[-1].observation, episode.observations[149])
    with pytest.raises(IndexError):
        episode[150]


def test_a_slice_is_a_view_of_the_episode(run):
    whole = Episode.open(run)
    part = whole[40:90][10:30]
    assert len(part) == 20
    np.testing.assert_array_equal(part.observations[:], whole.observations[50:70])
    np.testing.assert_array_equal(part.streams["q"], whole.streams["q"][50:70])
    np.testing.assert_array_equal(part.actions, whole.actions[50:70])
    with pytest.raises(RunError, match="steps of 1"):
        whole[::2]


def test_returns_are_the_sums_of_rewards_of_the_games_that_ended():
    ends = np.isin(np.arange(20), [4, 10])
    episode = Episode.from_arrays(PICTURES, rewards=np.arange(20), terminated=ends)
    assert episode.returns().tolist() == [0 + 1 + 2 + 3 + 4, 5 + 6 + 7 + 8 + 9 + 10]
    assert episode[2:].returns().tolist() == [45.0]
    assert episode[5:].returns().tolist() == [45.0]
    assert episode[:10].returns().tolist() == [10.0]


def test_a_lost_life_ends_an_episode_but_no_game():
    episode = play(breakout(0, "sb3"), 260, seed=1, policy="epsilon=1")
    ends = episode.terminated | episode.truncated
    assert ends.sum() >= 5 * episode.game_over.sum() > 0
    assert len(episode.returns()) == episode.game_over.sum()
    over = int(np.flatnonzero(episode.game_over)[0])
    assert episode.returns()[0] == episode.rewards[: over + 1].sum()
    np.testing.assert_array_equal(episode.starts[1:], ends[:-1])


def test_a_window_holds_the_frames_up_to_a_step_and_none_of_an_earlier_episode():
    starts = np.isin(np.arange(20), [0, 8])
    memories = np.arange(40, dtype=np.float32).reshape(20, 2)
    episode = Episode.from_arrays(PICTURES, starts=starts, memories=memories)
    observations, memory, valid = episode.window([1, 7, 9, -1], 4)
    rows = [[0, 0, 0, 1], [4, 5, 6, 7], [8, 8, 8, 9], [16, 17, 18, 19]]
    np.testing.assert_array_equal(observations, PICTURES[np.array(rows)])
    np.testing.assert_array_equal(memory, memories[[0, 4, 8, 16]])
    assert valid.tolist() == [[False, False, True, True], [True] * 4, [False, False, True, True], [True] * 4]


def test_unrolling_a_window_from_its_memory_reaches_the_recorded_memory():
    agent = recurrent()
    episode = play(agent, 60, seed=2)
    observations, memory, valid = episode.window([30, 2], 5)
    for row, step in enumerate((30, 2)):
        state = torch.from_numpy(memory[[row]])
        with torch.no_grad():
            for lag in np.flatnonzero(valid[row])[:-1]:
                _, state = agent(agent.prepare(observations[row, [lag]]), state)
        np.testing.assert_allclose(state.numpy()[0], episode.memories[step], atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "dtype", "layout", "stack", "colour", "scale"),
    [
        ((4, 12, 16), np.uint8, "channels", 4, "grey", 255.0),
        ((3, 12, 16), np.uint8, "channels", 1, "rgb", 255.0),
        ((12, 16, 3), np.uint8, "channels_last", 1, "rgb", 255.0),
        ((12, 16, 4), np.float32, "channels_last", 4, "grey", 1.0),
        ((10, 1, 12, 16), np.float32, "time", 10, "grey", 1.0),
        ((10, 3, 12, 16), np.uint8, "time", 10, "rgb", 255.0),
    ],
)
def test_arrays_of_any_picture_describe_themselves(shape, dtype, layout, stack, colour, scale):
    protocol = Episode.from_arrays(np.ones((5, *shape), dtype)).protocol
    assert protocol.observation_shape == shape
    assert (protocol.layout, protocol.stack, protocol.colour, protocol.scale) == (layout, stack, colour, scale)


def test_arrays_without_channels_get_one():
    assert Episode.from_arrays(np.ones((5, 12, 16))).observations.shape == (5, 1, 12, 16)


def test_arrays_alone_are_an_episode_from_one_start():
    episode = Episode.from_arrays(torch.from_numpy(PICTURES))
    assert episode.actions is None
    assert episode.screens is episode.ram is episode.memories is None
    assert episode.starts.tolist() == [True] + [False] * 19
    assert (episode.rewards.sum(), episode.lives.sum(), len(episode.streams)) == (0, 0, 0)
    assert episode[3].action is None


def test_arrays_with_all_columns_come_back():
    q = RANDOM.normal(size=(20, 3))
    episode = Episode.from_arrays(
        PICTURES,
        np.arange(20)[:, None],
        truncated=np.arange(20) == 6,
        screens=np.zeros((20, 30, 40, 3), np.uint8),
        lives=np.full(20, 3),
        streams={"q": q, "value": q[:, 0]},
        protocol=Protocol(size=(12, 12)),
    )
    assert episode.actions.tolist() == list(range(20))
    assert np.flatnonzero(episode.starts).tolist() == [0, 7]
    assert episode.streams["value"].shape == (20, 1)
    np.testing.assert_array_equal(episode.streams["q"], q.astype(np.float32))
    assert episode[4].lives == 3


def test_arrays_that_do_not_fit_together_are_refused():
    with pytest.raises(RunError, match="rewards has 19 rows, observations 20"):
        Episode.from_arrays(PICTURES, rewards=np.zeros(19))
    with pytest.raises(ProtocolError, match=r"\(4, 12, 12\).*\(4, 84, 84\)"):
        Episode.from_arrays(PICTURES, protocol=Protocol())
    with pytest.raises(ProtocolError, match="no picture"):
        Episode.from_arrays(np.zeros((20, 7)))


def test_a_replay_memory_of_several_environments_is_laid_out_one_after_the_other(tmp_path):
    pytest.importorskip("stable_baselines3")
    from gymnasium import spaces
    from stable_baselines3.common.buffers import ReplayBuffer

    buffer = ReplayBuffer(10, spaces.Box(0, 255, (4, 12, 12), np.uint8), spaces.Discrete(5), "cpu", n_envs=2)
    for time in range(5):
        pair = PICTURES[2 * time : 2 * time + 2]
        done, timeout = time == 2, time == 2
        infos = [{"TimeLimit.truncated": timeout}, {}]
        buffer.add(pair, pair, np.array([time, 4]), np.array([time, 10.0]), np.array([done, time == 1]), infos)
    np.savez(
        tmp_path / "replay.npz",
        observations=buffer.observations,
        actions=buffer.actions,
        rewards=buffer.rewards,
        dones=buffer.dones,
        timeouts=buffer.timeouts,
    )
    episode = Episode.from_npz(tmp_path / "replay.npz")
    np.testing.assert_array_equal(episode.observations[:], np.concatenate([PICTURES[0:10:2], PICTURES[1:10:2]]))
    assert episode.actions.tolist() == [0, 1, 2, 3, 4, 4, 4, 4, 4, 4]
    assert np.flatnonzero(episode.truncated).tolist() == [2]
    assert np.flatnonzero(episode.terminated).tolist() == [6]
    assert np.flatnonzero(episode.starts).tolist() == [0, 3, 5, 7]


def test_an_npz_file_goes_by_the_names_people_use(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        states=PICTURES,
        action=np.arange(20),
        done=np.arange(20) == 3,
        **{"streams.q": np.ones((20, 2))},
    )
    episode = Episode.from_npz(tmp_path / "a.npz")
    assert np.flatnonzero(episode.terminated).tolist() == [3]
    assert episode.streams["q"].shape == (20, 2)


def test_bad_npz_files_are_told_in_one_line_and_nothing_in_them_runs(tmp_path):
    (tmp_path / "foreign.npz").write_bytes(b"not a zip file")
    np.savez(tmp_path / "pickle.npz", observations=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "other.npz", weights=np.ones(3))
    for name, told in (("foreign", "plain arrays"), ("pickle", "plain arrays"), ("other", "holds no observations")):
        with pytest.raises(RunError, match=told):
            Episode.from_npz(tmp_path / f"{name}.npz")
    with pytest.raises(RunError, match="there is no file"):
        Episode.from_npz(tmp_path / "missing.npz")


def test_foreign_folders_are_told_in_one_line(tmp_path):
    zarr.open_group(tmp_path / "foreign.zarr", mode="w").create_array("x", shape=(3,), dtype="u1")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "foreign.zarr"):
        with pytest.raises(RunError, match="is not a run of policyscope"):
            Episode.open(path)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda folder: (folder / "meta.json").write_text("{"), "damaged"),
        (lambda folder: (folder / "meta.json").write_text("{}"), "no protocol"),
        (lambda folder: (folder / "count.json").write_text('{"steps": 1000}'), "rows of 1000"),
        (lambda folder: (folder / "rewards" / "zarr.json").unlink(), "'rewards' is missing"),
        (lambda folder: _as_text(folder / "starts"), "'starts' is of shape"),
    ],
)
def test_damaged_runs_are_told_in_one_line(tmp_path, damage, told):
    play(breakout(), 5, out=tmp_path)
    damage(tmp_path / "episode.zarr")
    with pytest.raises(RunError, match=told) as error:
        Episode.open(tmp_path)
    assert "\n" not in str(error.value)


def _as_text(folder) -> None:
    told = json.loads((folder / "zarr.json").read_text())
    (folder / "zarr.json").write_text(json.dumps(told | {"data_type": "float32", "fill_value": 0.0}))
