"""CleanRL's PPO and PQN, re-created step by step, and Stable-Baselines3's A2C, PPO and DQN, under a stopwatch.

The CleanRL loops do what its ``ppo_atari.py`` and ``pqn_atari_envpool.py`` do (Huang et al., 2022, MIT license):
the same wrappers, network, float32 storage, minibatches, losses and numbers read back for its log, less the log.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import ale_py
import gymnasium as gym
import numpy as np
import torch
from gymnasium import wrappers
from torch import Tensor, nn
from torch.distributions.categorical import Categorical
from training_clock import Stopwatch

Contender = Callable[[Stopwatch], None]


@dataclass(frozen=True)
class Shape:
    """What decides how much is computed for a step; the same for ours and the peer."""

    games: int
    length: int
    batch: int
    epochs: int

    @property
    def states(self) -> int:
        return self.games * self.length


# -- environments --


def gym_id(game: str) -> str:
    """The name of gymnasium's environment without frame skip and sticky actions."""
    return "".join(word.capitalize() for word in game.split("_")) + "NoFrameskip-v4"


def wrapped_games(game: str, count: int) -> gym.vector.VectorEnv:
    """The wrappers of CleanRL's ``ppo_atari.py``, which takes five of them from Stable-Baselines3."""
    from stable_baselines3.common import atari_wrappers as sb3

    gym.register_envs(ale_py)

    def make() -> gym.Env:
        env = wrappers.RecordEpisodeStatistics(gym.make(gym_id(game)))
        env = sb3.NoopResetEnv(env, noop_max=30)
        env = sb3.MaxAndSkipEnv(env, skip=4)
        env = sb3.EpisodicLifeEnv(env)
        if "FIRE" in env.unwrapped.get_action_meanings():
            env = sb3.FireResetEnv(env)
        env = sb3.ClipRewardEnv(env)
        env = wrappers.ResizeObservation(env, (84, 84))
        env = wrappers.GrayscaleObservation(env)
        return wrappers.FrameStackObservation(env, 4)

    return gym.vector.SyncVectorEnv([make] * count, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)


def compiled_games(game: str, count: int, threads: int = 1) -> gym.vector.VectorEnv:
    """ale-py's own vector environment, in place of envpool: emulators, frame skip, resizing and stacking in C++."""
    return ale_py.AtariVectorEnv(
        game,
        num_envs=count,
        num_threads=threads,
        repeat_action_probability=0.0,
        life_loss_info=True,
        autoreset_mode="SameStep",
    )


# -- CleanRL --


def _initialised(layer: Any, gain: float = 2**0.5) -> Any:
    nn.init.orthogonal_(layer.weight, gain)
    nn.init.zeros_(layer.bias)
    return layer


def _nature_layers(normalise: bool) -> Iterator[nn.Module]:
    for convolution, shape in (
        (nn.Conv2d(4, 32, 8, stride=4), (32, 20, 20)),
        (nn.Conv2d(32, 64, 4, stride=2), (64, 9, 9)),
        (nn.Conv2d(64, 64, 3, stride=1), (64, 7, 7)),
    ):
        yield _initialised(convolution)
        yield from [nn.LayerNorm(shape)] if normalise else []
        yield nn.ReLU()
    yield nn.Flatten()
    yield _initialised(nn.Linear(3136, 512))
    yield from [nn.LayerNorm(512)] if normalise else []
    yield nn.ReLU()


class _Agent(nn.Module):
    def __init__(self, actions: int) -> None:
        super().__init__()
        self.network = nn.Sequential(*_nature_layers(False))
        self.actor = _initialised(nn.Linear(512, actions), 0.01)
        self.critic = _initialised(nn.Linear(512, 1), 1.0)

    def value(self, x: Tensor) -> Tensor:
        return self.critic(self.network(x / 255.0))

    def act(self, x: Tensor, action: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        hidden = self.network(x / 255.0)
        chances = Categorical(logits=self.actor(hidden))
        if action is None:
            action = chances.sample()
        return action, chances.log_prob(action), chances.entropy(), self.critic(hidden)


def cleanrl_ppo(make: Callable[[], gym.vector.VectorEnv], shape: Shape, watch: Stopwatch) -> None:
    """``ppo_atari.py`` with its own coefficients."""
    gamma, trace, clip, entropy_weight, value_weight = 0.99, 0.95, 0.1, 0.01, 0.5
    envs = make()
    agent = _Agent(int(envs.single_action_space.n))
    optimiser = torch.optim.Adam(agent.parameters(), lr=2.5e-4, eps=1e-5)
    size = (shape.length, shape.games)
    obs = torch.zeros(*size, 4, 84, 84)
    actions, log_chances, rewards, dones, values = (torch.zeros(size) for _ in range(5))
    next_obs = torch.Tensor(envs.reset(seed=1)[0])
    next_done = torch.zeros(shape.games)
    done_steps = 0
    while watch.going(done_steps):
        for step in range(shape.length):
            done_steps += shape.games
            obs[step], dones[step] = next_obs, next_done
            with torch.no_grad():
                action, log_chance, _, value = agent.act(next_obs)
                values[step] = value.flatten()
            actions[step], log_chances[step] = action, log_chance
            frames, reward, terminated, truncated, _ = envs.step(action.numpy())
            rewards[step] = torch.tensor(reward).view(-1)
            next_obs, next_done = torch.Tensor(frames), torch.Tensor(np.logical_or(terminated, truncated))

        with torch.no_grad():
            after = agent.value(next_obs).reshape(1, -1)
            advantages = torch.zeros_like(rewards)
            carried: Any = 0
            for step in reversed(range(shape.length)):
                last = step == shape.length - 1
                alive = 1.0 - (next_done if last else dones[step + 1])
                delta = rewards[step] + gamma * (after if last else values[step + 1]) * alive - values[step]
                advantages[step] = carried = delta + gamma * trace * alive * carried
            returns = advantages + values

        b_obs, b_actions = obs.reshape(-1, 4, 84, 84), actions.reshape(-1)
        b_log_chances, b_values = log_chances.reshape(-1), values.reshape(-1)
        b_advantages, b_returns = advantages.reshape(-1), returns.reshape(-1)
        order, clipped = np.arange(shape.states), []
        for _ in range(shape.epochs):
            np.random.shuffle(order)
            for start in range(0, shape.states, shape.batch):
                rows = order[start : start + shape.batch]
                _, now, entropy, value = agent.act(b_obs[rows], b_actions.long()[rows])
                log_ratio = now - b_log_chances[rows]
                ratio = log_ratio.exp()
                with torch.no_grad():
                    old_divergence = (-log_ratio).mean()
                    divergence = ((ratio - 1) - log_ratio).mean()
                    clipped.append(((ratio - 1.0).abs() > clip).float().mean().item())
                advantage = b_advantages[rows]
                advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
                policy_loss = torch.max(-advantage * ratio, -advantage * ratio.clamp(1 - clip, 1 + clip)).mean()
                value = value.view(-1)
                plain = (value - b_returns[rows]) ** 2
                held = (b_values[rows] + (value - b_values[rows]).clamp(-clip, clip) - b_returns[rows]) ** 2
                value_loss = 0.5 * torch.max(plain, held).mean()
                loss = policy_loss - entropy_weight * entropy.mean() + value_weight * value_loss
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
                optimiser.step()
        _ = [number.item() for number in (value_loss, policy_loss, entropy.mean(), old_divergence, divergence)]
        _ = 1 - np.var((b_returns - b_values).numpy()) / max(float(np.var(b_returns.numpy())), 1e-9)
    envs.close()


def cleanrl_pqn(make: Callable[[], gym.vector.VectorEnv], shape: Shape, watch: Stopwatch) -> None:
    """``pqn_atari_envpool.py``; the chance of a random action is what it is after a tenth of the training."""
    gamma, trace, epsilon = 0.99, 0.65, 0.01
    envs = make()
    choices = int(envs.single_action_space.n)
    network = nn.Sequential(*_nature_layers(True), _initialised(nn.Linear(512, choices)))
    optimiser = torch.optim.RAdam(network.parameters(), lr=2.5e-4)
    size = (shape.length, shape.games)
    obs = torch.zeros(*size, 4, 84, 84)
    actions, rewards, dones, values = (torch.zeros(size) for _ in range(4))
    next_obs = torch.Tensor(envs.reset(seed=1)[0])
    next_done = torch.zeros(shape.games)
    done_steps = 0
    while watch.going(done_steps):
        for step in range(shape.length):
            done_steps += shape.games
            obs[step], dones[step] = next_obs, next_done
            by_chance = torch.randint(0, choices, (shape.games,))
            with torch.no_grad():
                q = network(next_obs / 255.0)
                best = q.argmax(dim=1)
                values[step] = q[torch.arange(shape.games), best].flatten()
            action = torch.where(torch.rand(shape.games) < epsilon, by_chance, best)
            actions[step] = action
            frames, reward, terminated, truncated, _ = envs.step(action.numpy())
            rewards[step] = torch.tensor(reward).view(-1)
            next_obs, next_done = torch.Tensor(frames), torch.Tensor(np.logical_or(terminated, truncated))

        with torch.no_grad():
            returns = torch.zeros_like(rewards)
            for step in reversed(range(shape.length)):
                if step == shape.length - 1:
                    after = network(next_obs / 255.0).max(dim=-1).values
                    returns[step] = rewards[step] + gamma * after * (1.0 - next_done)
                else:
                    after = (1 - trace) * values[step + 1] * (1.0 - dones[step + 1])
                    returns[step] = rewards[step] + gamma * (trace * returns[step + 1] + after)

        b_obs, b_actions, b_returns = obs.reshape(-1, 4, 84, 84), actions.reshape(-1), returns.reshape(-1)
        order = np.arange(shape.states)
        for _ in range(shape.epochs):
            np.random.shuffle(order)
            for start in range(0, shape.states, shape.batch):
                rows = order[start : start + shape.batch]
                guess = network(b_obs[rows] / 255.0).gather(1, b_actions[rows].unsqueeze(-1).long()).squeeze()
                loss = nn.functional.mse_loss(b_returns[rows], guess)
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 10.0)
                optimiser.step()
        _ = loss.item(), guess.mean().item()
    envs.close()


# -- Stable-Baselines3 --


def sb3(algorithm: str, game: str, games: int, watch: Stopwatch, **values: Any) -> None:
    """One of its algorithms on its own Atari environment, with CnnPolicy."""
    import stable_baselines3
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_atari_env
    from stable_baselines3.common.vec_env import VecFrameStack

    class Watched(BaseCallback):
        going = True

        def _on_rollout_start(self) -> None:
            self.going = watch.going(self.num_timesteps)

        def _on_step(self) -> bool:
            return self.going

    gym.register_envs(ale_py)
    env = VecFrameStack(make_atari_env(gym_id(game), n_envs=games, seed=1), n_stack=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # DQN warns that its replay might outgrow the memory; it is never filled here
        model = getattr(stable_baselines3, algorithm)("CnnPolicy", env, device="cpu", verbose=0, **values)
    model.learn(10_000_000, callback=Watched())
    env.close()


def sb3_a2c(game: str, shape: Shape, watch: Stopwatch) -> None:
    """A2C as rl-baselines3-zoo trains it on Atari."""
    from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike

    policy = {"optimizer_class": RMSpropTFLike, "optimizer_kwargs": {"eps": 1e-5}}
    values = {"n_steps": shape.length, "ent_coef": 0.01, "vf_coef": 0.25, "policy_kwargs": policy}
    sb3("A2C", game, shape.games, watch, **values)


def sb3_ppo(game: str, shape: Shape, watch: Stopwatch) -> None:
    """PPO as rl-baselines3-zoo trains it on Atari."""
    values = {"n_steps": shape.length, "batch_size": shape.batch, "n_epochs": shape.epochs}
    values |= {"learning_rate": lambda left: 2.5e-4 * left, "clip_range": lambda left: 0.1 * left}
    sb3("PPO", game, shape.games, watch, ent_coef=0.01, vf_coef=0.5, **values)


def sb3_dqn(game: str, learn_after: int, watch: Stopwatch) -> None:
    """DQN as rl-baselines3-zoo trains it on Atari, but learning begins sooner and explores as it does in the end."""
    values = {"buffer_size": 100_000, "learning_rate": 1e-4, "batch_size": 32, "target_update_interval": 1000}
    values |= {"train_freq": 4, "gradient_steps": 1, "exploration_final_eps": 0.01, "exploration_initial_eps": 0.01}
    sb3("DQN", game, 1, watch, learning_starts=learn_after, **values)


def rivals(algorithm: str, game: str, shape: Shape, learn_after: int, threads: int) -> dict[str, Contender]:
    """The peers of an algorithm by name."""
    wrapped = partial(wrapped_games, game, shape.games)
    compiled = partial(compiled_games, game, shape.games, threads)
    found: dict[str, dict[str, Contender]] = {
        "ppo": {
            "CleanRL ppo_atari": partial(cleanrl_ppo, wrapped, shape),
            "CleanRL ppo_atari_envpool": partial(cleanrl_ppo, compiled, shape),
            "Stable-Baselines3 PPO": partial(sb3_ppo, game, shape),
        },
        "a2c": {"Stable-Baselines3 A2C": partial(sb3_a2c, game, shape)},
        "pqn": {
            "CleanRL pqn, wrappers of ppo_atari": partial(cleanrl_pqn, wrapped, shape),
            "CleanRL pqn_atari_envpool": partial(cleanrl_pqn, compiled, shape),
        },
        "dqn": {"Stable-Baselines3 DQN": partial(sb3_dqn, game, learn_after)},
    }
    return found[algorithm]
