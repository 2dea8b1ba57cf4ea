"""Early recognition: the step of a training at which each method first shows each kind of object, beside the reward's.

The paper saw G1 Grad-CAM show objects of Seaquest after 325 episodes where the reward told of learning after 1,500 ("up
to five times faster"). Here each checkpoint of a training is measured on the same states. A method *shows* a kind from
the first checkpoint on at which its mean gain is beyond what a network with shuffled weights passes once in a thousand
(Student's t over eight of them), twice in a row; the return has risen where that of the training's last games is beyond
what games played at random pass as seldom, twice in a row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.agents.loading import load_agent
from policyscope.episodes.episode import Episode
from policyscope.episodes.returns import play_returns
from policyscope.errors import RunError
from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.method_maps import MethodMaps, spread_rows
from policyscope.evaluation.objects import coverage, objects_of_episode
from policyscope.evaluation.recognition import gain
from policyscope.evaluation.rising import SHUFFLES, Noise, first_rise, reward_limits, shuffled
from policyscope.storage import Array

STATES, CHECKPOINTS, RANDOM_GAMES = 64, 16, 30
PLAYED = 10
"""Games of each checkpoint, where a training's curve does not tell of its beginning."""
_BATCH = 32
_WINDOW = 100
"""Games whose mean is a curve's return."""


@dataclass(frozen=True)
class Early:
    """What was seen along a training.

    Attributes:
        steps: (C,) of the checkpoints.
        methods: M names.
        kinds: K kinds of objects.
        gains: (C, M, K) mean gain.
        limits: (M, K) what an untrained network passes once in a thousand.
        curve: (points, 2) step and return.
        reward: The step at which the return has risen; None where it has not.
    """

    steps: Array
    methods: tuple[str, ...]
    kinds: tuple[str, ...]
    gains: Array
    limits: Array
    curve: Array
    reward: float | None

    def shown(self, method: str, kind: str) -> float | None:
        """The step from which on a method shows a kind."""
        m, k = self.methods.index(method), self.kinds.index(kind)
        if not np.isfinite(self.gains[:, m, k]).all():
            return None
        return first_rise(list(self.steps), list(self.gains[:, m, k]), float(self.limits[m, k]))


def early(
    run: Path,
    episode: Episode,
    methods: Sequence[str],
    *,
    stream: str | None = None,
    states: int = STATES,
    most: int = CHECKPOINTS,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Early:
    """Measures the checkpoints of a training on the states of an episode.

    Args:
        run: Folder of the training, with ``checkpoints/`` and ``curve.csv``.
        episode: Of its game, with the console's RAM; as a rule played by its last agent.
        methods: Names of gradient methods.
        stream: What is explained, of the greedy action; by default what the agents act by.
        states: Of the episode.
        most: Checkpoints: all of the early ones, and some of the others.
        seed: Of the shuffled networks, and of the games at random.
        progress: Told how many networks are measured.

    Raises:
        RunError: The folder has no two checkpoints, or no curve.
    """
    files = _few(checkpoints(run), most)
    if len(files) < 2:
        raise RunError(f"{run} has {len(files)} checkpoints: early recognition needs a training with two or more")
    rows = spread_rows(episode, states)
    objects = objects_of_episode(episode)
    methods = tuple(name for name in methods if name not in BASELINES)

    def gains(agent: Agent) -> Array:
        maps = MethodMaps(agent, episode, methods, stream=stream, action="greedy")
        parts = []
        for first in range(0, len(rows), _BATCH):
            chunk = rows[first : first + _BATCH]
            cover = coverage(objects, agent.protocol, chunk)
            # A map that is zero has nothing on any object.
            parts.append(np.stack([np.nan_to_num(gain(made, cover)) for made in maps(chunk).values()], axis=1))
            there = cover.max(axis=(2, 3)) > 0
            parts[-1] = np.where(there[:, None], parts[-1], np.nan)
        found = np.concatenate(parts)
        known: Array = np.asarray(np.isfinite(found))
        count = np.asarray(known.sum(axis=0))
        return np.where(count > 0, np.where(known, found, 0).sum(axis=0) / np.maximum(count, 1), np.nan)

    total = len(files) + SHUFFLES
    measured, untrained = [], []
    first = load_agent(files[0])
    generator = torch.Generator().manual_seed(seed)
    for number in range(SHUFFLES):
        untrained.append(gains(replace(first, network=shuffled(first.network, generator))))
        if progress is not None:
            progress(number + 1, total)
    for number, file in enumerate(files):
        measured.append(gains(load_agent(file)))
        if progress is not None:
            progress(SHUFFLES + number + 1, total)
    noise = np.stack(untrained)
    kinds = range(len(objects.kinds))
    limits = np.array([[Noise.of(noise[:, m, k]).limit for k in kinds] for m in range(len(methods))])
    curve, games = _curve(run / "curve.csv")
    steps = np.array([step_of(file) for file in files])
    if len(curve) == 0 or curve[0, 0] > steps[0]:
        curve, games = _played(files, steps, seed), [PLAYED] * len(files)
    at_random = play_returns(first, RANDOM_GAMES, seed + 1000, policy="epsilon=1", limit=2_000)
    bounds = reward_limits(games, float(at_random.mean()), float(at_random.std(ddof=1)), RANDOM_GAMES)
    rise = first_rise(list(curve[:, 0]), list(curve[:, 1]), bounds)
    return Early(steps, methods, objects.kinds, np.stack(measured), limits, curve, rise)


def checkpoints(run: Path) -> list[Path]:
    """A training's checkpoints in their order; an empty list where there are none."""
    return sorted((run / "checkpoints").glob("agent-*.safetensors"), key=step_of)


def step_of(file: Path) -> int:
    """Of a checkpoint's name."""
    return int(file.stem.rpartition("-")[2])


def _played(files: Sequence[Path], steps: Array, seed: int) -> Array:
    """Returns of the checkpoints themselves, where the curve does not tell of the training's beginning."""
    returns = [play_returns(load_agent(file), PLAYED, seed + 1000, limit=2_000).mean() for file in files]
    return np.stack([steps, np.array(returns)], axis=1)


def _few(files: Sequence[Path], most: int) -> list[Path]:
    """All of the early ones and some of the others."""
    begin, rest = list(files[: most // 2]), files[most // 2 :]
    return begin + list(rest[:: -(-len(rest) // max(most - most // 2, 1))] if rest else ())


def _curve(path: Path) -> tuple[Array, list[float]]:
    """Steps and returns (points, 2), and of how many games each is the mean."""
    if not path.exists():
        raise RunError(f"{path} is missing: early recognition is compared with the training's curve")
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row.get("return") not in (None, "", "nan")]
    points = np.array([[float(row["step"]), float(row["return"])] for row in rows]).reshape(-1, 2)
    return points, [min(float(row["games"]), _WINDOW) for row in rows]
