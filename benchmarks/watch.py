"""What watching costs.

    python benchmarks/watch.py --minutes 4                    # what the watcher counts, of the time, minute by minute
    python benchmarks/watch.py --steps 20000 --repeats 3      # processor time of the same training with it and without

One thread. The second takes turns, so that a busy machine disturbs both alike; the clock is the process's own.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import torch

from policyscope.training.recipe import Recipe
from policyscope.training.recipes import FAMILIES, RECIPES
from policyscope.training.run import Run, RunOptions
from policyscope.training.watch import Watcher
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
    "actor-critic (ours)": ours(replace(RECIPES["actor-critic"], game="seaquest")),
    "recurrent actor-critic (ours)": ours(RECIPES["repaired-recurrent"]),
    "Stable-Baselines3 DQN": stable_baselines3("dqn"),
    "Stable-Baselines3 PPO": stable_baselines3("ppo"),
}


class EnoughError(Exception):
    """A training has lasted long enough."""


@contextmanager
def marked(minutes: int) -> Iterator[list[float]]:
    """The share of the time that watchers take, as each minute ends; ends a training after the last."""
    marks: list[float] = []
    check = Watcher.check

    def checked(watcher: Watcher) -> object:
        found = check(watcher)
        if watcher.budget.seconds >= 60 * (len(marks) + 1):
            marks.append(watcher.budget.taken)
        if len(marks) >= minutes:
            raise EnoughError
        return found

    Watcher.check = checked  # type: ignore[assignment, method-assign]
    try:
        yield marks
    finally:
        Watcher.check = check  # type: ignore[method-assign]


def by_minute(minutes: int, only: str) -> None:
    """Prints what is counted."""
    heads = " | ".join(f"{minute} min" for minute in range(1, minutes + 1))
    print(f"| training | {heads} |\n| --- |{' --- |' * minutes}")
    for name, train in TRAININGS.items():
        if only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder, marked(minutes) as marks, suppress(EnoughError):
            train(True, 10_000_000, Path(folder) / "run")
        print(f"| {name} | {' | '.join(f'{share:.2%}' for share in marks)} |", flush=True)


def with_and_without(steps: int, repeats: int, only: str) -> None:
    """Prints what is measured."""
    print("| training | seconds without | with | more | counted by the watcher |\n| --- | --- | --- | --- | --- |")
    for name, train in TRAININGS.items():
        if only not in name:
            continue
        seconds: dict[bool, list[float]] = {False: [], True: []}
        counted = []
        for _ in range(repeats):
            for watched in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    began = time.process_time()
                    share = train(watched, steps, Path(folder) / "run")
                    seconds[watched].append(time.process_time() - began)
                counted += [share] if watched else []
        without, with_it = statistics.median(seconds[False]), statistics.median(seconds[True])
        print(
            f"| {name} | {without:.1f} | {with_it:.1f} | {with_it / without - 1:+.1%} "
            f"| {statistics.median(counted):.2%} |",
            flush=True,
        )


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=int, default=0)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.minutes:
        by_minute(options.minutes, options.only)
    else:
        with_and_without(options.steps, options.repeats, options.only)


if __name__ == "__main__":
    main()
