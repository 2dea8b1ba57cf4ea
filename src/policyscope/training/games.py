"""Atari games side by side, as a learner sees them: clipped rewards, and returns that a lost life ends."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
from ale_py import AtariVectorEnv

from policyscope.agents.presets import game_name, preset
from policyscope.agents.protocol import Protocol
from policyscope.storage import Array
from policyscope.training.display import Display
from policyscope.training.recipe import Recipe

SCORED = 100
"""Games, the last ones, that a score is the mean return of."""


@dataclass(frozen=True)
class Turn:
    """What a step brought to each of n games.

    Attributes:
        rewards: (n,) float32, clipped or scaled as the recipe says.
        ends: (n,) bool, a life or the game was lost: no return goes beyond.
        over: (n,) bool, the game ended or was cut off, and the next observation starts another.
    """

    rewards: Array
    ends: Array
    over: Array


class Games:
    """Games of one kind under the protocol ``ale-vector``; each starts anew when it is over.

    Attributes:
        observations: (n, stack, 84, 84) uint8, what the next action is chosen from; the newest frame last.
        age: (n,) int64, steps since each game began (frames of a stack beyond it are zero).
        finished: Returns of the last 100 games, rewards as the console counts them.
        count: Games finished.
    """

    def __init__(self, recipe: Recipe, stack: int = 4, *, seed: int, threads: int = 1) -> None:
        idle = (0, recipe.idle) if recipe.idle else 0
        self.protocol = replace(preset("ale-vector", recipe.game), stack=stack, sticky=recipe.sticky, noops=idle)
        # With `episodic_life` ale-py resets the whole game at each lost life; here only the return ends.
        self._env = AtariVectorEnv(
            game_name(recipe.game),
            num_envs=recipe.games,
            num_threads=threads,
            stack_num=stack,
            frameskip=4,
            repeat_action_probability=recipe.sticky,
            noop_max=recipe.idle + 1,  # it draws fewer than that
            use_fire_reset=False,
            life_loss_info=True,
            reward_clipping=False,
            autoreset_mode="SameStep",
        )
        self._clip, self._scale = recipe.clip_rewards, recipe.reward_scale
        self._shuffled = Shuffled(seed) if recipe.shuffle_rewards else None
        self.observations, info = self._env.reset(seed=seed)
        self._frame_number = info["episode_frame_number"]
        self.age = np.zeros(recipe.games, np.int64)
        boxes = (recipe.display[at : at + 4] for at in range(0, len(recipe.display), 4))
        self._displays = [Display(box, self.observations[:, -1]) for box in boxes]
        self._returns = np.zeros(recipe.games)
        self.finished: deque[float] = deque(maxlen=SCORED)
        self.count = 0

    @property
    def actions(self) -> int:
        """Size of the action set."""
        return int(self._env.single_action_space.n)  # type: ignore[attr-defined]

    def step(self, actions: Array) -> Turn:
        """Takes an action (n,) in each game."""
        self.observations, rewards, ends, truncated, info = self._env.step(np.ascontiguousarray(actions, np.int64))
        # A lost life is reported as an end; a game is over where its own count of frames fell back.
        over = info["episode_frame_number"] < self._frame_number
        self._frame_number = info["episode_frame_number"]
        self._returns += rewards
        self.finished.extend(self._returns[over].tolist())
        self.count += int(over.sum())
        self._returns[over] = 0.0
        self.age = np.where(over, 0, self.age + 1)
        learnt = np.sign(rewards) if self._clip else rewards * self._scale
        rewards, ends = learnt.astype(np.float32), ends | truncated
        for display in self._displays:
            rewards += display(self.observations[:, -1], over)
        if self._shuffled is not None:
            rewards, ends = self._shuffled(rewards, ends)
        return Turn(rewards, ends, over)

    def score(self) -> float:
        """Mean return of the last 100 games; not a number before one is finished."""
        return float(np.mean(self.finished)) if self.finished else float("nan")

    def close(self) -> None:
        """Ends the emulators."""
        self._env.close()


class Shuffled:
    """Gives out rewards and ends of other moments: as many and as large as the true ones, and unrelated to them.

    Args:
        seed: Of what is drawn.
        size: Of the last moments that are drawn from.
    """

    def __init__(self, seed: int, size: int = 10_000) -> None:
        self._rng = np.random.default_rng([seed, 1])
        self._rewards, self._ends = np.zeros(size, np.float32), np.zeros(size, bool)
        self._seen = 0

    def __call__(self, rewards: Array, ends: Array) -> tuple[Array, Array]:
        """Keeps a step's (n,), and draws as many of all that are kept; a reward and an end apart from each other."""
        size = len(self._rewards)
        places = (self._seen + np.arange(len(rewards))) % size
        self._rewards[places], self._ends[places] = rewards, ends
        self._seen += len(rewards)
        drawn = self._rng.integers(0, min(self._seen, size), (2, len(rewards)))
        return self._rewards[drawn[0]], self._ends[drawn[1]]


def as_sequence(protocol: Protocol) -> Protocol:
    """The protocol of a network that takes its frames as a sequence, not as channels."""
    return replace(protocol, layout="time")
