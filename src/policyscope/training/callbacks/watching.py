"""Stable-Baselines3: a callback that watches a training for faults, and says what it finds while there is time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policyscope.errors import MissingExtraError
from policyscope.training.callbacks.stable_baselines3 import SaliencyCallback, forward_of, network_of
from policyscope.training.watch import Detected, Watcher
from policyscope.training.watch.told import Clipping

try:
    from stable_baselines3.common.atari_wrappers import ClipRewardEnv, EpisodicLifeEnv
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.vec_env import VecNormalize, unwrap_vec_normalize
except ImportError as missing:
    raise MissingExtraError("stable-baselines3", "sb3", "the watching callback") from missing


class WatchCallback(BaseCallback):
    """Looks for faults in the training of a DQN, QR-DQN, A2C or PPO with ``CnnPolicy``.

    Whether actions agree with the network's outputs is looked at in as many steps as the budget allows. What the loss
    is made of cannot be seen from a callback.

    Args:
        every: Environment steps between two rounds of the rules, at least.
        budget: Share of the training's time that watching may take.
        log: A folder, a run of Weights & Biases, or several places; scalars go to the trainer's logger anyway.
        rewards: How they come to the learner, as for ``Watcher``; by default what the environment's wrappers say.
        saliency: A ``SaliencyCallback`` before this one, whose measurements are looked at too.
        stop: End the training at the first grave finding.
        verbose: 1 prints findings.

    Attributes:
        watcher: The ``Watcher``; None before training.

    Example:
        >>> model.learn(1_000_000, callback=WatchCallback(log="runs/pong", verbose=1))
    """

    def __init__(
        self,
        every: int = 1_000,
        budget: float = 0.02,
        log: Any = None,
        rewards: Clipping | None = None,
        saliency: SaliencyCallback | None = None,
        stop: bool = False,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self.every, self.budget, self.log = every, budget, log
        self.rewards, self.saliency, self.stop = rewards, saliency, stop
        self.watcher: Watcher | None = None
        self._updates = 0
        self._probed = -1

    @property
    def found(self) -> list[Detected]:
        """All findings so far, the gravest first."""
        return self.watcher.found if self.watcher is not None else []

    def _on_training_start(self) -> None:
        if self.watcher is not None:
            return
        model: Any = self.model
        others = self.log if isinstance(self.log, list | tuple) else [] if self.log is None else [self.log]
        normal: VecNormalize | None = unwrap_vec_normalize(self.training_env)
        clipped = any(self.training_env.env_is_wrapped(ClipRewardEnv))
        said: Clipping = "sign" if clipped else "none" if normal is not None and normal.norm_reward else "unknown"
        tau = getattr(model, "tau", 1.0)
        self.watcher = Watcher(
            network_of(model),
            target=getattr(model, "q_net_target", None),
            optimiser=model.policy.optimizer,
            steps=model._total_timesteps,
            gamma=model.gamma,
            rewards=self.rewards or said,
            target_every=_target_every(model),
            target_mixed=tau < 1,
            lives=True if any(self.training_env.env_is_wrapped(EpisodicLifeEnv)) else None,
            every=self.every,
            budget=self.budget,
            log=[_Logger(self), *others],
            step=self.num_timesteps,
            forward=forward_of,
            told=self._say,
        )
        self._updates = _updates(model)

    def _on_rollout_start(self) -> None:
        assert self.watcher is not None
        now = _updates(self.model)
        if now > self._updates:
            loss = self.model.logger.name_to_value.get("train/loss")
            self.watcher.learnt(loss, updates=now - self._updates)
            self._updates = now

    def _on_step(self) -> bool:
        assert self.watcher is not None
        model: Any = self.model
        if self.saliency is not None and self.saliency.measured[0] > self._probed:
            self._probed = self.saliency.measured[0]
            self.watcher.probed(*self.saliency.measured)
        dones = np.asarray(self.locals["dones"], bool)
        cut = np.array([bool(info.get("TimeLimit.truncated")) for info in self.locals["infos"]], bool)
        self.watcher.acted(
            self.num_timesteps,
            model._last_obs,
            self.locals["actions"],
            self.locals["rewards"],
            dones & ~cut,
            cut,
            epsilon=self._epsilon(model),
        )
        return not (self.stop and any(one.finding.severity == "grave" for one in self.found))

    def _epsilon(self, model: Any) -> float | None:
        if not hasattr(model, "exploration_rate"):
            return None
        random = self.num_timesteps - self.training_env.num_envs < model.learning_starts
        return 1.0 if random else float(model.exploration_rate)

    def _on_training_end(self) -> None:
        if self.watcher is not None:
            self.watcher.close()

    def _say(self, one: Detected) -> None:
        if self.verbose and one.finding.severity != "note":
            print(f"{one.finding.severity}, at step {one.first:,}: {one.text()}")


class _Logger:
    """The trainer's own logger, as a place for scalars."""

    def __init__(self, callback: BaseCallback) -> None:
        self._callback = callback

    def write(
        self, step: int, scalars: Mapping[str, float], fresh: Sequence[Detected], known: Sequence[Detected]
    ) -> None:
        """Records them, with the trainer's next dump."""
        for name, value in scalars.items():
            shown = name in ("watch/findings", "watch/epsilon", "watch/entropy")
            self._callback.logger.record(name, value, exclude=None if shown else ("stdout", "log"))


def _updates(model: Any) -> int:
    """Gradient steps so far; PPO counts passes over its data."""
    count = int(getattr(model, "_n_updates", 0))
    if hasattr(model, "n_epochs") and hasattr(model, "batch_size"):
        count *= math.ceil(model.n_steps * model.n_envs / model.batch_size)
    return count


def _target_every(model: Any) -> float | None:
    """Gradient steps between copies into the target network."""
    every = getattr(model, "target_update_interval", None)
    if every is None:
        return None
    calls = max(every // model.n_envs, 1)
    frequency, steps = getattr(model.train_freq, "frequency", model.train_freq), model.gradient_steps
    return float(max(calls * (1.0 if steps < 0 else steps / frequency), 1.0))
