"""Stable-Baselines3's part of the bench of training faults: its DQN and PPO on Breakout, with our callbacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ale_py
import gymnasium
import torch
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.atari_wrappers import AtariWrapper
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

from policyscope.agents.presets import game_name
from policyscope.training.callbacks.stable_baselines3 import SaliencyCallback
from policyscope.training.callbacks.watching import WatchCallback

GAMES = 4
NARROW = {"features_extractor_kwargs": {"features_dim": 64}}
OPTIONS: dict[str, dict[str, Any]] = {
    "sb3-dqn": {
        "learning_starts": 2_000,
        "buffer_size": 8_000,
        "batch_size": 16,
        "train_freq": 4,
        "target_update_interval": 1_000,
        "exploration_fraction": 0.5,
        "exploration_final_eps": 0.05,
    },
    "sb3-ppo": {"n_steps": 64, "batch_size": 64, "n_epochs": 2, "ent_coef": 0.01, "clip_range": 0.1},
}
KINDS: dict[str, Any] = {"sb3-dqn": DQN, "sb3-ppo": PPO}


class NeverReset(gymnasium.Wrapper):
    """A game that is reset once, and stays over when it is over."""

    begun: Any = None

    def reset(self, **options: Any) -> Any:
        if self.begun is None:
            self.begun = self.env.reset(**options)
        return self.begun

    def step(self, action: Any) -> Any:
        if getattr(self, "over", False):
            return self.begun[0], 0.0, True, False, {}
        seen, reward, ended, cut, more = self.env.step(action)
        self.begun, self.over = (seen, {}), ended or cut
        return seen, reward, ended, cut, more


def rectified(model: Any) -> None:
    for network in (model.q_net, model.q_net_target):
        network.q_net.add_module("rectifier", torch.nn.ReLU())


def cut_off(model: Any) -> None:
    model.policy.action_net.register_forward_pre_hook(lambda module, given: (given[0].detach(),))


def louder(env: gymnasium.Env) -> gymnasium.Env:
    return gymnasium.wrappers.TransformReward(env, lambda reward: 1_000 * reward)


FAULTS: dict[str, dict[str, Any]] = {
    "sb3-dqn/never-explores": {
        "options": {"exploration_initial_eps": 0.0, "exploration_final_eps": 0.0, "learning_starts": 0}
    },
    "sb3-dqn/never-reset": {"wrap": NeverReset},
    "sb3-dqn/target-always": {"options": {"target_update_interval": 1}},
    "sb3-dqn/target-never": {"options": {"target_update_interval": 10**9}},
    "sb3-dqn/rectifier-on-q": {"change": rectified},
    "sb3-dqn/reward-scaled-up": {"wrap": louder},
    "sb3-dqn/rate-too-high": {"options": {"learning_rate": 0.1}},
    "sb3-ppo/rate-too-high": {"options": {"learning_rate": 0.3}},
    "sb3-ppo/policy-detached": {"change": cut_off},
}
"""Name -> options of the trainer, what is wrapped around a game, or what is changed in the model."""


def train(trainer: str, game: str, seed: int, steps: int, fault: dict[str, Any], out: Path) -> None:
    """Trains with a fault; findings go to the folder.

    Args:
        trainer: ``sb3-dqn`` or ``sb3-ppo``.
        game: Of Atari.
        seed: Of all.
        steps: Of the training.
        fault: One of ``FAULTS``, or nothing.
        out: The folder.
    """
    gymnasium.register_envs(ale_py)
    wrap: Callable[[gymnasium.Env], gymnasium.Env] = fault.get("wrap", lambda env: env)

    def make() -> gymnasium.Env:
        return wrap(AtariWrapper(gymnasium.make(f"ale_py:ALE/{game_id(game)}-v5", frameskip=1)))

    env = VecFrameStack(DummyVecEnv([make] * GAMES), 4)
    options = OPTIONS[trainer] | {"policy_kwargs": NARROW, "seed": seed, "verbose": 0} | fault.get("options", {})
    model = KINDS[trainer]("CnnPolicy", env, **options)
    fault.get("change", lambda model: None)(model)
    saliency = SaliencyCallback(every=4_000, states=32, spacing=4, pictures=0, films=0)
    model.learn(steps, callback=[saliency, WatchCallback(log=out, saliency=saliency)])
    env.close()


def game_id(game: str) -> str:
    """A game as Gymnasium writes it."""
    return "".join(word.capitalize() for word in game_name(game).split("_"))
