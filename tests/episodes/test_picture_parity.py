"""Our pictures against those of the libraries that agents are trained with: the same bits on the same games."""

from dataclasses import replace

import ale_py
import cv2
import gymnasium as gym
import numpy as np
import pytest
from ale_py import ALEInterface, AtariVectorEnv, LoggerMode, roms
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation, ResizeObservation, TransformObservation
from PIL import Image

from policyscope.agents.presets import games, preset
from policyscope.agents.protocol import Protocol
from policyscope.episodes.atari import AtariGame

gym.register_envs(ale_py)
SEED = 7


def ours(protocol: Protocol, actions: np.ndarray, seed: int = SEED):
    """Observations before each action, and (reward, terminated, truncated) of each."""
    game = AtariGame(protocol)
    game.reset(seed)
    seen, outcomes = [], []
    for action in actions:
        seen.append(game.observation)
        outcome = game.step(int(action))
        outcomes.append((outcome.reward, outcome.terminated, outcome.truncated))
        if outcome.terminated or outcome.truncated:
            game.reset()
    return np.array(seen), outcomes


def theirs(env: gym.Env, actions: np.ndarray, seed: int = SEED):
    observation, _ = env.reset(seed=seed)
    seen, outcomes = [], []
    for action in actions:
        seen.append(np.array(observation))
        observation, reward, terminated, truncated, _ = env.step(int(action))
        outcomes.append((float(reward), bool(terminated), bool(truncated)))
        if terminated or truncated:
            observation, _ = env.reset()
    return np.array(seen), outcomes


def random_actions(count: int, names: int) -> np.ndarray:
    return np.random.default_rng(1).integers(names, size=count)


def assert_same(mine, reference, ends: int) -> None:
    (observations, outcomes), (expected, expected_outcomes) = mine, reference
    assert outcomes == expected_outcomes
    assert sum(terminated or truncated for _, terminated, truncated in outcomes) >= ends
    assert observations.dtype == expected.dtype
    np.testing.assert_array_equal(observations, expected)


@pytest.mark.parametrize(("game", "name", "ends"), [("breakout", "Breakout", 1), ("ms_pacman", "MsPacman", 0)])
def test_v5_plays_as_gymnasiums_atari_preprocessing_does(game, name, ends):
    env = AtariPreprocessing(gym.make(f"ALE/{name}-v5", frameskip=1), noop_max=30)
    actions = random_actions(250, env.action_space.n)
    assert_same(ours(preset("v5", game), actions), theirs(FrameStackObservation(env, 4), actions), ends)


def test_v5_in_colour_plays_as_gymnasiums_atari_preprocessing_does():
    env = AtariPreprocessing(
        gym.make("ALE/Seaquest-v5", frameskip=1), noop_max=0, grayscale_obs=False, screen_size=(80, 64)
    )
    actions = random_actions(60, env.action_space.n)
    protocol = Protocol(
        game="seaquest", max_pool="screens", colour="rgb", size=(64, 80), stack=2, pad="repeat", layout="time"
    )
    observations, outcomes = theirs(FrameStackObservation(env, 2), actions)
    assert_same(ours(protocol, actions), (observations.transpose(0, 1, 4, 2, 3), outcomes), 0)


@pytest.mark.parametrize(("game", "name", "ends"), [("breakout", "Breakout", 6), ("seaquest", "Seaquest", 1)])
def test_sb3_plays_as_stable_baselines3s_wrapper_and_frame_stack_do(game, name, ends):
    pytest.importorskip("stable_baselines3")
    from stable_baselines3.common.atari_wrappers import AtariWrapper
    from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecTransposeImage

    env = VecTransposeImage(
        VecFrameStack(
            DummyVecEnv([lambda: AtariWrapper(gym.make(f"{name}NoFrameskip-v4"), clip_reward=False)]), n_stack=4
        )
    )
    actions = random_actions(400, env.action_space.n)
    env.seed(SEED)
    observation = env.reset()
    seen, outcomes = [], []
    for action in actions:
        seen.append(observation[0].copy())
        observation, reward, done, info = env.step([action])
        truncated = bool(info[0]["TimeLimit.truncated"])
        outcomes.append((float(reward[0]), bool(done[0]) and not truncated, truncated))
    assert_same(ours(preset("sb3", game), actions), (np.array(seen), outcomes), ends)


def test_cleanrl_plays_as_its_stack_of_wrappers_does():
    wrappers = pytest.importorskip("stable_baselines3.common.atari_wrappers")
    env = gym.make("BreakoutNoFrameskip-v4")
    env = wrappers.NoopResetEnv(env, noop_max=30)
    env = wrappers.MaxAndSkipEnv(env, skip=4)
    env = wrappers.EpisodicLifeEnv(env)
    env = wrappers.FireResetEnv(env)
    env = ResizeObservation(env, (84, 84))
    # CleanRL pins a Gymnasium whose grey is OpenCV's; later ones have weights of their own.
    grey = gym.spaces.Box(0, 255, (84, 84), np.uint8)
    env = TransformObservation(env, lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), grey)
    actions = random_actions(400, env.action_space.n)
    assert_same(ours(preset("cleanrl", "breakout"), actions), theirs(FrameStackObservation(env, 4), actions), 6)


class Vector:
    """One game of ale-py's vector environment, as a plain environment."""

    def __init__(self, game: str, noops: int) -> None:
        self.env = AtariVectorEnv(
            game,
            num_envs=1,
            repeat_action_probability=0.25,
            use_fire_reset=False,
            noop_max=noops,
            reward_clipping=False,
            autoreset_mode="SameStep",
        )
        self.observation = None

    def reset(self, seed=None):
        if seed is not None:
            # AtariEnv, whose seeding is ours, hands the emulator the second word.
            emulator = int(np.random.SeedSequence(seed).generate_state(2)[1])
            assert emulator < 2**31
            self.observation = self.env.reset(seed=np.array([emulator]))[0][0].copy()
        return self.observation, {}

    def step(self, action):
        observation, reward, terminated, truncated, _ = self.env.step(np.array([action]))
        self.observation = observation[0].copy()
        return self.observation, reward[0], terminated[0], truncated[0], {}


@pytest.mark.parametrize(("game", "ends"), [("breakout", 1), ("seaquest", 0), ("pong", 0)])
def test_ale_vector_plays_as_the_vector_environment_does(game, ends):
    seed = next(s for s in range(100) if np.random.SeedSequence(s).generate_state(2)[1] < 2**31)
    protocol = replace(preset("ale-vector", game), noops=0)
    actions = random_actions(450, len(AtariGame(protocol).actions))
    assert_same(ours(protocol, actions, seed), theirs(Vector(game, 0), actions, seed), ends)


def test_ale_vector_starts_are_among_the_vector_environments():
    seed = next(s for s in range(100) if np.random.SeedSequence(s).generate_state(2)[1] < 2**31)
    first, _ = Vector("seaquest", 30).reset(seed)
    game = AtariGame(replace(preset("ale-vector", "seaquest"), noops=0, frame_skip=1))
    game.reset(seed)
    starts = []
    for _ in range(30):
        starts.append(game.observation[-1])
        game.step(0)
    assert not first[:-1].any()
    assert any(np.array_equal(first[-1], start) for start in starts)


def atari_agents(game: str, actions: np.ndarray, sticky: float, idle: list[int]):
    """The protocol of floringogianu/atari-agents, written down from its description."""
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.setFloat("repeat_action_probability", sticky)
    ale.setInt("max_num_frames_per_episode", 108_000)
    ale.setInt("random_seed", np.int32(np.random.SeedSequence(SEED).generate_state(2)[1]))
    ale.loadROM(roms.get_rom_path(game))

    def small():
        return cv2.resize(ale.getScreenGrayscale(), (84, 84), interpolation=cv2.INTER_AREA)

    def reset():
        ale.reset_game()
        for _ in range(idle.pop(0) if idle else 0):
            ale.act(0)
        return [np.zeros((84, 84), np.uint8)] * 3 + [small()]

    legal, stack, seen, outcomes = ale.getMinimalActionSet(), reset(), [], []
    for action in actions:
        seen.append(np.stack(stack))
        pictures, reward = np.zeros((2, 84, 84), np.uint8), 0.0
        for frame in range(4):
            reward += ale.act(legal[action])
            if frame >= 2:
                pictures[frame - 2] = small()
            if ale.game_over():
                break
        stack = [*stack[1:], pictures.max(axis=0)]
        outcomes.append((reward, ale.game_over(with_truncation=False), ale.game_truncated()))
        if ale.game_over():
            stack = reset()
    return np.array(seen), outcomes


def test_modern_plays_as_atari_agents_does():
    actions = random_actions(250, 4)
    assert_same(ours(preset("modern", "breakout"), actions), atari_agents("breakout", actions, 0.25, []), 1)


def test_classic_plays_as_atari_agents_does_after_as_many_idle_frames():
    draws = np.random.default_rng(int(np.random.SeedSequence(SEED).generate_state(2)[0]))
    actions = random_actions(250, 4)
    idle = [int(draws.integers(0, 30)) for _ in range(4)]
    assert_same(ours(preset("classic", "breakout"), actions), atari_agents("breakout", actions, 0.0, idle), 1)


def test_baby_a3c_sees_what_scipys_old_imresize_made():
    def prepared(screen):
        mean = screen[35:195].mean(2)
        low, high = mean.min(), mean.max()
        stretched = ((mean - low) * (255.0 / (high - low)) + 0.5).astype(np.uint8)
        return np.array(Image.fromarray(stretched).resize((80, 80), resample=Image.BILINEAR))[None]

    env = gym.make("Breakout-v4")
    env = TransformObservation(env, prepared, gym.spaces.Box(0, 255, (1, 80, 80), np.uint8))
    actions = random_actions(400, 4)
    assert_same(ours(preset("baby-a3c", "Breakout-v4"), actions), theirs(env, actions), 1)


def test_paper_skips_the_frames_that_gyms_v0_skips():
    grey = gym.spaces.Box(0, 255, (84, 84), np.uint8)
    env = TransformObservation(
        gym.make("Seaquest-v0"),
        lambda s: cv2.resize(cv2.cvtColor(s, cv2.COLOR_RGB2GRAY), (84, 84), interpolation=cv2.INTER_AREA),
        grey,
    )
    actions = random_actions(300, 18)
    expected, outcomes = theirs(FrameStackObservation(env, 10), actions)
    assert_same(ours(preset("paper-recurrent", "Seaquest-v0"), actions), (expected[:, :, None], outcomes), 0)


# Air Raid and Laser Gates are European cartridges, on which the emulator's grey is not the grey of its colours.
@pytest.mark.parametrize("name", ["air_raid", "laser_gates", "double_dunk", "pitfall2"])
def test_odd_games_are_seen_as_gymnasium_sees_them(name):
    env = FrameStackObservation(AtariPreprocessing(ale_py.AtariEnv(name, frameskip=1), noop_max=0), 4)
    actions = np.array([0, 1, env.action_space.n - 1])
    assert_same(ours(replace(preset("v5", name), noops=0), actions), theirs(env, actions), 0)


def test_every_game_of_ale_py_can_be_played():
    assert len(games()) >= 100
    for name in games():
        game = AtariGame(preset("modern", name))
        game.reset()
        for action in (0, 1, len(game.actions) - 1):
            game.step(action)
        assert game.observation.shape == (4, 84, 84), name
        assert game.observation.dtype == np.uint8, name
        assert game.screen.shape[0] >= 210, name
        assert game.screen.shape[1:] == (160, 3), name
        assert game.ram.shape == (128,), name


def test_a_screen_comes_in_full_with_its_ram():
    env = gym.make("ALE/Pong-v5", frameskip=1)
    game = AtariGame(replace(preset("v5", "pong"), noops=0, frame_skip=1))
    game.reset(SEED)
    screen, _ = env.reset(seed=SEED)
    for action in random_actions(70, 6):
        np.testing.assert_array_equal(game.screen, screen)
        np.testing.assert_array_equal(game.ram, env.unwrapped.ale.getRAM())
        assert game.lives == env.unwrapped.ale.lives()
        game.step(int(action))
        screen = env.step(action)[0]
