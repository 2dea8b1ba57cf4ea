"""Training throughput in agent steps a second, against CleanRL's loops and Stable-Baselines3.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--rounds 3] [--seconds 20] [--algorithms ppo a2c pqn dqn]

Ours trains the peers' network (three convolutions, 512 units; layer norm for PQN) on as many games, for as many steps
between updates, in minibatches of the same size, as many epochs long, and without sticky actions, so that a ratio tells
of the implementation. "As recommended" is our own recipe with its own network, batch and epochs, for reference.

Contenders take turns in one process, each from a fresh start for so many seconds after a warm-up; printed are medians
over the rounds. Steps of a processor second do not count the time that other programs took; where the machine is busy,
trust their ratio.
"""

from __future__ import annotations

import contextlib
import gc
import os
import statistics
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
import tyro
from training_clock import Pace, Stopwatch
from training_peers import Contender, Shape, rivals

from policyscope.training.actor_critic import ActorCritic
from policyscope.training.compute import Precision, hardware
from policyscope.training.parallel_value import ParallelValue
from policyscope.training.recipe import Recipe
from policyscope.training.recipes import FAMILIES, RECIPES
from policyscope.training.run import Run, RunOptions
from policyscope.training.value import ValueLearning

Algorithm = Literal["ppo", "a2c", "pqn", "dqn"]

SHAPES: dict[str, Shape] = {
    "ppo": Shape(games=8, length=128, batch=256, epochs=4),
    "a2c": Shape(games=16, length=5, batch=80, epochs=1),
    "pqn": Shape(games=8, length=128, batch=256, epochs=4),
    "dqn": Shape(games=4, length=1, batch=32, epochs=1),
}
"""What the peers' published values make of it (DQN: 32 states after every fourth step)."""
LEARN_AFTER = 1_000  # DQN: steps before the first update, in place of 100,000


@dataclass
class Options:
    rounds: int = 3
    seconds: float = 20.0
    """To measure each contender for, in each round."""
    threads: int = 1
    precision: Precision = "auto"
    """Of our products: bfloat16 where the processor has it, as in training, or float32 as the peers'."""
    game: str = "breakout"
    """One of ale-py's names."""
    algorithms: tuple[Algorithm, ...] = ("ppo", "a2c", "pqn", "dqn")


class Timed(Run):
    """A run that a stopwatch ends."""

    stopwatch: Stopwatch

    def going(self) -> bool:
        return super().going() and self.stopwatch.going(self.step)


def ours(recipe: Recipe, threads: int, precision: Precision, watch: Stopwatch) -> None:
    """Trains by a recipe as ``policyscope train`` does, less TensorBoard, saliency and checkpoints."""
    never = recipe.steps + 1
    family = FAMILIES[type(recipe)]
    with (
        tempfile.TemporaryDirectory() as folder,
        open(os.devnull, "w") as nowhere,
        contextlib.redirect_stderr(nowhere),  # the progress
    ):
        values = {"saliency_every": 0, "save_every": never, "report_every": never, "tensorboard": False}
        options = RunOptions(out=Path(folder), device="cpu", threads=threads, precision=precision, **values)
        with Timed("benchmark", recipe, options, family.how) as run:
            run.stopwatch = watch
            family.train(recipe, run)
        if run.stopped:
            raise KeyboardInterrupt


def like_peers(algorithm: str, game: str) -> dict[str, Recipe]:
    """Our recipes of the peers' shape."""
    shape = SHAPES[algorithm]
    common = {"game": game, "sticky": 0.0, "games": shape.games, "batch": shape.batch}
    if algorithm in ("ppo", "a2c"):
        nature = {"stack": 4, "hidden": 512, "last_stride": 1}
        steps = {"length": shape.length, "epochs": shape.epochs, "objective": algorithm}
        return {"policyscope": ActorCritic(**common, **nature, **steps)}
    if algorithm == "pqn":
        steps = {"length": shape.length, "epochs": shape.epochs}
        return {"policyscope": ParallelValue(**common, **steps, network="dqn", epsilon_start=0.01)}
    replay = {"learn_after": LEARN_AFTER, "replay": 100_000, "epsilon_start": 0.01}
    dqn = partial(ValueLearning, game=game, sticky=0.0, network="dqn", double=False, n_step=1, **replay)
    return {
        "policyscope": dqn(games=shape.games, batch=shape.batch, updates=1),
        "policyscope, 32 games, 2 x 128 states a sweep": dqn(games=32, batch=128, updates=2),
    }


RECOMMENDED = {"ppo": "actor-critic", "a2c": "a2c", "pqn": "pqn", "dqn": "dddqn"}
"""Our own recipe of an algorithm."""
AS_IS = "as recommended"


def contenders(algorithm: str, options: Options) -> dict[str, tuple[Contender, int]]:
    """By name, those of an algorithm, and how many steps each needs to warm up."""
    shape = SHAPES[algorithm]
    own = RECIPES[RECOMMENDED[algorithm]]
    recommended = replace(own, game=options.game, **({"learn_after": LEARN_AFTER} if algorithm == "dqn" else {}))
    recipes = like_peers(algorithm, options.game) | {f"policyscope {RECOMMENDED[algorithm]}, {AS_IS}": recommended}
    warm_up = LEARN_AFTER + 200 if algorithm == "dqn" else shape.states
    found: dict[str, tuple[Contender, int]] = {
        name: (partial(ours, recipe, options.threads, options.precision), warm_up) for name, recipe in recipes.items()
    }
    peers = rivals(algorithm, options.game, shape, LEARN_AFTER, options.threads)
    return found | {name: (run, warm_up) for name, run in peers.items()}


def measured(run: Contender, seconds: float, warm_up: int) -> Pace:
    """One turn of a contender."""
    gc.collect()
    watch = Stopwatch(seconds, warm_up)
    run(watch)
    if watch.pace is None:
        raise RuntimeError("nothing was measured")
    return watch.pace


def show(algorithm: str, paces: dict[str, list[Pace]]) -> None:
    """A table: steps a second and a processor second, each also in units of the fastest peer's."""
    clocks = {
        "steps/s": lambda pace: pace.steps / pace.wall,
        "steps/CPU s": lambda pace: pace.steps / pace.processor,
    }
    peers = [name for name in paces if not name.startswith("policyscope")]
    shape = SHAPES[algorithm]
    title = f"{algorithm.upper()}: {shape.games} games x {shape.length}, minibatch {shape.batch}, epochs {shape.epochs}"
    head = f"{title:48}"
    rows = {name: f"{name:48}" for name in paces}
    notes = []
    for clock, rate in clocks.items():
        medians = {name: statistics.median(map(rate, turns)) for name, turns in paces.items()}
        fastest = max(peers, key=medians.__getitem__)
        head += f"{clock:>13} {'':7}"
        for name, value in medians.items():
            rows[name] += f"{value:13.0f} {value / medians[fastest]:6.2f}x"
        turns = zip(paces["policyscope"], paces[fastest], strict=True)
        ratios = ", ".join(f"{rate(mine) / rate(theirs):.2f}" for mine, theirs in turns)
        notes.append(f"policyscope / {fastest}, {clock} by round: {ratios}")
    print("\n" + "\n".join([head.rstrip(), *rows.values(), *notes]), flush=True)


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    if os.environ.get("OMP_NUM_THREADS") != str(options.threads):
        print(f"OMP_NUM_THREADS should be {options.threads} too")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{hardware()}, threads {options.threads}; load at the start: {load}")
    entered = {name: contenders(name, options) for name in options.algorithms}
    paces = {name: {contender: list[Pace]() for contender in found} for name, found in entered.items()}
    for round_ in range(options.rounds):
        for name, found in entered.items():
            for contender, (run, warm_up) in found.items():
                pace = measured(run, options.seconds, warm_up)
                paces[name][contender].append(pace)
                rates = f"{pace.steps / pace.wall:.0f} steps/s, {pace.steps / pace.processor:.0f} steps/CPU s"
                print(f"round {round_ + 1}: {name}, {contender}: {rates}", flush=True)
    for name, turns in paces.items():
        show(name, turns)


if __name__ == "__main__":
    main(tyro.cli(Options))
