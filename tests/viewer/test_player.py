"""Live play: what ``play`` records as long as nobody interferes, and the same game again from any step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.agents.environments import protocol_of
from policyscope.agents.presets import preset
from policyscope.episodes.atari import AtariGame
from policyscope.episodes.environment import make_environment
from policyscope.episodes.episode import Episode
from policyscope.errors import RunError
from policyscope.viewer.player import Player
from policyscope.viewer.snapshots import Snapshots


class Dots(gymnasium.Env):
    """Four pictures of noise a step; ends after ten."""

    observation_space = spaces.Box(0, 255, (84, 84, 4), np.uint8)
    action_space = spaces.Discrete(4)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._time = 0
        return self.np_random.integers(256, size=(84, 84, 4), dtype=np.uint8), {}

    def step(self, action):
        self._time += 1
        return self.np_random.integers(256, size=(84, 84, 4), dtype=np.uint8), 1.0, self._time == 10, False, {}


def same(first: Episode, second: Episode) -> None:
    """Two episodes hold the same, bit for bit."""
    assert len(first) == len(second)
    for name in ("observations", "screens", "ram", "actions", "rewards", "terminated", "lives", "starts", "game_over"):
        np.testing.assert_array_equal(np.asarray(getattr(first, name)), np.asarray(getattr(second, name)), name)
    for name, values in first.streams.items():
        np.testing.assert_array_equal(values, second.streams[name], name)
    if first.memories is not None:
        np.testing.assert_array_equal(np.asarray(first.memories), np.asarray(second.memories))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(params=["duel", "recurrent"])
def agent(request: pytest.FixtureRequest) -> Agent:
    return request.getfixturevalue(request.param)


def test_left_alone_a_player_records_what_play_does_byte_for_byte(agent: Agent, tmp_path: Path) -> None:
    ps.play(agent, steps=150, seed=3, out=tmp_path / "played")
    player = Player(agent, tmp_path / "live", seed=3)
    for _ in range(150):
        player.step()
    player.close()
    assert files(tmp_path / "live") == files(tmp_path / "played")


def test_a_track_can_be_read_while_it_grows(agent: Agent, tmp_path: Path) -> None:
    whole = ps.play(agent, steps=140, seed=0)
    player = Player(agent, tmp_path)
    early = None
    for step in range(140):
        player.step()
        if step in (0, 63, 64, 100):
            early = player.track.episode()
            same(early, whole[: step + 1])
    assert early is not None
    assert len(early) == 101
    episode = player.track.episode()
    np.testing.assert_array_equal(episode.observations[[3, 130, 64]], whole.observations[[3, 130, 64]])
    np.testing.assert_array_equal(episode.screens[-1], whole.screens[-1])
    for given, wanted in zip(episode.window([5, 139], 4), whole.window([5, 139], 4), strict=True):
        if wanted is not None:
            np.testing.assert_array_equal(given, wanted)


def test_the_same_action_on_a_branch_gives_the_same_game_and_another_gives_another(
    agent: Agent, tmp_path: Path
) -> None:
    player = Player(agent, tmp_path, seed=2)
    for _ in range(120):
        player.step()
    main = player.track.episode()
    actions = main.actions
    assert actions is not None
    again = player.branch(0, 41, int(actions[41]))
    for _ in range(78):
        player.step()
    same(again.episode(), main[41:])
    other = player.branch(0, 41, (int(actions[41]) + 1) % 4)
    for _ in range(78):
        player.step()
    assert other.episode().actions[0] != actions[41]
    np.testing.assert_array_equal(other.episode().observations[0], main.observations[41])
    assert not np.array_equal(np.asarray(other.episode().ram), np.asarray(main[41:].ram))
    player.close()
    told = json.loads((tmp_path / "branches" / "2" / "episode.zarr" / "meta.json").read_text())
    assert told["branch"] == {"parent": 0, "from": 41}
    assert len(Episode.open(tmp_path / "branches" / "2")) == 79


def test_after_branches_the_first_track_goes_on_as_if_nothing_had_been(agent: Agent, tmp_path: Path) -> None:
    whole = ps.play(agent, steps=100, seed=5)
    player = Player(agent, tmp_path, seed=5)
    for _ in range(50):
        player.step()
    player.branch(0, 20, 2)
    player.step()
    player.branch(1, 1, 3)
    player.reset()
    player.step()
    player.branch(0, 50, 1)
    player.switch(0)
    for _ in range(50):
        player.step()
    player.close()
    same(Episode.open(tmp_path), whole)
    assert "interfered" not in Episode.open(tmp_path).meta
    assert [track.origin.parent for track in player.tracks] == [None, 0, 1, None, 0]
    assert player.tracks[3].origin.seed == 6


def test_a_branch_reaches_over_lost_games_drawn_idle_frames_and_resets(tmp_path: Path, duel: Agent) -> None:
    protocol = replace(preset("sb3", "breakout"), sticky=0.25, frame_skip=(2, 4))
    player = Player(replace(duel, protocol=protocol), tmp_path, seed=1, policy="epsilon=1")
    for _ in range(400):
        player.step()
    main = player.track.episode()
    assert main.game_over.any()
    assert main.starts.sum() > 5
    last_reset = int(np.flatnonzero(main.starts)[-2])
    player.branch(0, last_reset - 3, int(main.actions[last_reset - 3]))
    while len(player.track) < 400 - (last_reset - 3):
        player.step()
    same(player.track.episode(), main[last_reset - 3 :])


def test_a_person_may_act_and_the_run_says_so(duel: Agent, tmp_path: Path) -> None:
    player = Player(duel, tmp_path)
    player.step()
    player.step(3)
    player.step(0)
    player.close()
    episode = Episode.open(tmp_path)
    assert episode.actions.tolist()[1:] == [3, 0]
    assert episode.meta["interfered"] == 1
    assert episode.meta["complete"]
    # It can still be continued: recorded actions are taken again.
    assert len(ps.play(duel, steps=10, out=tmp_path, resume=True)) == 10


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda p: p.branch(0, 4, 1), "track 0 has 3 steps"),
        (lambda p: p.branch(7, 0, 1), "no track 7: there are 0 to 0"),
        (lambda p: p.branch(0, 1, 4), "no action 4; there are 0 to 3: NOOP, FIRE"),
        (lambda p: p.switch(-1), "no track -1"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(duel: Agent, tmp_path: Path, call, line: str) -> None:
    player = Player(duel, tmp_path)
    for _ in range(3):
        player.step()
    with pytest.raises(RunError, match=line):
        call(player)


def test_a_game_that_comes_out_differently_is_not_branched_from(duel: Agent, tmp_path: Path) -> None:
    whole = ps.play(duel, steps=60, seed=0)
    player = Player(duel, tmp_path)
    for _ in range(40):
        player.step()
    player.track._small["actions"]._rows[33] = (player.track._small["actions"]._rows[33] + 2) % 4
    player.track._small["rewards"]._rows[34] += 1
    with pytest.raises(RunError, match=r"step 38 cannot be gone back to: the game comes out differently at step 3\d"):
        player.branch(0, 38, 1)
    for _ in range(20):
        player.step()
    np.testing.assert_array_equal(np.asarray(player.track.episode().ram), np.asarray(whole.ram))


def test_other_environments_are_played_but_say_that_they_cannot_be_put_back(duel: Agent, tmp_path: Path) -> None:
    env = Dots()
    protocol = protocol_of(env)
    names = tuple(make_environment(protocol, env).actions)
    player = Player(replace(duel, protocol=protocol, actions=names), tmp_path, env=env)
    for _ in range(15):
        player.step()
    assert not player.branches
    for refused in (lambda: player.branch(0, 3, 1), player.reset):
        with pytest.raises(RunError, match="needs a game that can be put back where it was: Dots cannot"):
            refused()
    player.step()
    player.close()
    assert len(Episode.open(tmp_path)) == 16


def test_snapshots_grow_rarer_rather_than_many(duel: Agent) -> None:
    game = AtariGame(duel.protocol)
    game.reset(0)
    snapshots = Snapshots(every=2, most=8)
    seen = []
    for step in range(100):
        seen.append(game.observation)
        snapshots.offer(step, game)
        game.step(step % 4)
    assert len(snapshots) <= 8
    for step in (0, 1, 57, 99):
        near, state = snapshots.nearest(step)
        assert near <= step < near + 16
        game.restore(state)
        np.testing.assert_array_equal(game.observation, seen[near])
    assert snapshots.nearest(15)[0] == 0


def test_a_folder_that_holds_a_run_is_left_alone(duel: Agent, tmp_path: Path) -> None:
    ps.play(duel, steps=2, out=tmp_path)
    with pytest.raises(RunError, match="already holds a run"):
        Player(duel, tmp_path)
