"""What watching costs: processor time of the same training with the watcher and without, and what it counts itself.

    python benchmarks/watch.py [--steps 4000] [--repeats 3]

The same seed, one thread, turn about, so that a busy machine disturbs both alike; the clock is the process's own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from policyscope.training.recipe import Recipe
from policyscope.training.recipes import FAMILIES, RECIPES
from policyscope.training.run import Run, RunOptions
from policyscope.training.watch.outlets import read_lines

Train = Callable[[bool, int, Path], float]


def ours(recipe: Recipe) -> Train:
    """One of our trainers; returns what the watcher counted."""

    def train(watched: bool, steps: int, out: Path) -> float:
        options = RunOptions(out, saliency_every=0, tensorboard=False, watch_every=1_000 if watched else 0)
        with Run("benchmark", replace(recipe, steps=steps), options, "") as run:
            FAMILIES[type(recipe)].train(run.recipe, run)
        return read_lines(out)[-1]["watch/cost"] if watched else 0.0

    return train


def stable_baselines3(name: str) -> Train:
    """DQN or PPO of Stable-Baselines3 at its defaults for Atari, four games."""

    def train(watched: bool, steps: int, out: Path) -> float:
        import ale_py
        import gymnasium
        from stable_baselines3 import DQN, PPO
        from stable_baselines3.common.env_util import make_atari_env
        from stable_baselines3.common.vec_env import VecFrameStack

        from policyscope.training.callbacks.watching import WatchCallback

        gymnasium.register_envs(ale_py)
        env = VecFrameStack(make_atari_env("ale_py:BreakoutNoFrameskip-v4", n_envs=4, seed=0), 4)
        model = (
            DQN("CnnPolicy", env, seed=0, buffer_size=5_000, learning_starts=500, batch_size=32, train_freq=4)
            if name == "dqn"
            else PPO("CnnPolicy", env, seed=0, n_steps=128, batch_size=256, n_epochs=4)
        )
        callback = WatchCallback(log=out) if watched else None
        model.learn(steps, callback=callback)
        env.close()
        return callback.watcher.budget.taken if callback is not None and callback.watcher is not None else 0.0

    return train


TRAININGS: dict[str, Train] = {
    "dddqn (ours)": ours(replace(RECIPES["dddqn"], learn_after=1_000, replay=5_000)),
    "pqn (ours)": ours(RECIPES["pqn"]),
    "actor-critic (ours)": ours(RECIPES["actor-critic"]),
    "Stable-Baselines3 DQN": stable_baselines3("dqn"),
    "Stable-Baselines3 PPO": stable_baselines3("ppo"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| training | seconds without | with | more | counted by the watcher |\n| --- | --- | --- | --- | --- |")
    for name, train in TRAININGS.items():
        if options.only not in name:
            continue
        seconds: dict[bool, list[float]] = {False: [], True: []}
        counted = []
        for _ in range(options.repeats):
            for watched in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    began = time.process_time()
                    share = train(watched, options.steps, Path(folder) / "run")
                    seconds[watched].append(time.process_time() - began)
                counted += [share] if watched else []
        without, with_it = statistics.median(seconds[False]), statistics.median(seconds[True])
        print(
            f"| {name} | {without:.1f} | {with_it:.1f} | {with_it / without - 1:+.1%} "
            f"| {statistics.median(counted):.2%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
