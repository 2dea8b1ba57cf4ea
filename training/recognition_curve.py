"""When a training began to recognise what moves, and when its return rose: a figure from a run's files.

    python training/recognition_curve.py RUN [RUN ...] --out docs/images/recognition.png

Each run gives ``curve.csv`` (the return) and either the recognition in its ``saliency.csv`` or, for runs from before it
was measured, its checkpoints, which are measured here on the run's own probe states. Significant is what chance passes
once in a thousand, twice in a row: for recognition, against eight networks with shuffled weights (Student's t); for the
return, against a hundred games played at random. Steps are compared on the grid of the measurements.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import load_file

from policyscope.agents.custom import make_agent
from policyscope.agents.loading import load_agent
from policyscope.agents.networks import build
from policyscope.episodes.returns import play_returns
from policyscope.evaluation.rising import Noise, first_rise, reward_limits
from policyscope.training.curve import rows
from policyscope.training.games import Games
from policyscope.training.recipe import Recipe
from policyscope.training.watch.following import checkpoints, follow
from policyscope.training.watch.recognition import Recognition

COLOURS = {"gradient": "#6b7280", "guided_backprop": "#2563eb", "grad_cam": "#d97706", "g1_grad_cam": "#059669"}
GAMES = 100
_MOST = 16


@dataclass(frozen=True)
class Course:
    """A training, as it is drawn.

    Attributes:
        name: Of the run.
        steps: Of the measurements.
        scores: Method's name -> its scores.
        noise: Name -> what untrained networks score.
        returns: (step, mean return) of the curve.
        limits: What the return of games played at random passes once in a thousand.
        chance: Their mean.
        plays: The returns are of checkpoints that were played, hardly exploring, and not of the training's games.
    """

    name: str
    steps: list[float]
    scores: dict[str, list[float]]
    noise: dict[str, Noise]
    returns: list[tuple[float, float]]
    limits: np.ndarray
    chance: float
    plays: bool = False

    @property
    def reward_rise(self) -> float | None:
        """The step at which the return first rises, on the grid of the measurements: the first one not before it."""
        found = first_rise([s for s, _ in self.returns], [v for _, v in self.returns], self.limits)
        return None if found is None else next((s for s in self.steps if s >= found), found)

    def rise(self, name: str) -> float | None:
        """The step at which a score does."""
        return first_rise(self.steps, self.scores[name], self.noise[name].limit)


def course_of(run: Path, play: int = 0) -> Course:
    """Reads a run, and measures what it does not have.

    Args:
        run: Its folder.
        play: Games of each checkpoint that are played for its return, where the curve has none.
    """
    state = follow(run)
    if state.noise:
        steps = [step for step, _ in next(iter(state.recognition.values()))]
        scores = {name: [value for _, value in points] for name, points in state.recognition.items()}
        noise = dict(state.noise)
    else:
        steps, scores, noise = measured(run)
    values = json.loads((run / "train.json").read_text())["values"]
    mean, spread = at_random(values["game"], values["sticky"])
    curve = [row for row in rows(run / "curve.csv") if row["return"] not in ("", "nan")]
    games = [min(float(row["games"]), GAMES) for row in curve]
    returns = [(float(row["step"]), float(row["return"])) for row in curve]
    plays = not returns or returns[0][0] > steps[0]
    if plays and not play:
        raise SystemExit(
            f"{run / 'curve.csv'} has no returns of the beginning: use --play, which plays the checkpoints"
        )
    if plays:
        returns = played(run, play)
        games = [float(play)] * len(returns)
    return Course(run.name, steps, scores, noise, returns, reward_limits(games, mean, spread, GAMES), mean, plays)


def measured(run: Path) -> tuple[list[float], dict[str, list[float]], dict[str, Noise]]:
    """Scores of a run's checkpoints, a few of them late in the run, and of a network that never learnt."""
    states = load_file(run / "saliency.safetensors")["observations"]
    files = few(run)
    scores: dict[str, list[float]] = {}
    agent = load_agent(files[0])
    torch.manual_seed(0)
    made: Any = agent.network.recipe
    fresh = make_agent(build(made["architecture"], **made["options"]), agent.protocol, policy="greedy")
    noise = Recognition(fresh, states).noise()
    for file in files:
        for name, value in Recognition(load_agent(file), states)().items():
            scores.setdefault(name, []).append(value)
    return [float(file.stem.split("-")[1]) for file in files], scores, noise


def few(run: Path) -> list[Path]:
    """Its checkpoints, all of the early ones and some of the others."""
    files = checkpoints(run)
    early, late = files[: _MOST // 2], files[_MOST // 2 :]
    return early + late[:: max(len(late) // (_MOST // 2), 1)]


def played(run: Path, games: int) -> list[tuple[float, float]]:
    """What its checkpoints score without exploring (but for an epsilon of 0.01)."""
    found = []
    for file in few(run):
        returns = play_returns(load_agent(file), games, seed=1000, policy="epsilon=0.01", limit=2_000)
        found.append((float(file.stem.split("-")[1]), float(np.mean(returns))))
        print(f"  {file.name}: {found[-1][1]:.3g}", flush=True)
    return found


def at_random(game: str, sticky: float) -> tuple[float, float]:
    """Mean return and standard deviation of a hundred games played at random."""
    games, rng = Games(Recipe(game=game, games=20, sticky=sticky), seed=1000), np.random.default_rng(0)
    while games.count < GAMES:
        games.step(rng.integers(0, games.actions, 20))
    games.close()
    return float(np.mean(games.finished)), float(np.std(games.finished, ddof=1))


def draw(courses: list[Course], out: Path) -> None:
    """A row for each training: recognition above its untrained networks' limit, and the return."""
    figure = Figure(figsize=(8, 3.1 * len(courses)), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for at, course in enumerate(courses):
        left = figure.add_subplot(len(courses), 1, at + 1)
        right = left.twinx()
        unit = 1e6 if course.steps[-1] > 2e6 else 1e3
        stream = next(iter(course.scores)).split("/")[1]
        for method, colour in COLOURS.items():
            name = f"recognition/{stream}/{method}"
            noise = course.noise[name]
            scores = np.array(course.scores[name]) / noise.limit
            left.plot(np.array(course.steps) / unit, scores, color=colour, linewidth=1.8, label=method)
            risen = course.rise(name)
            if risen is not None:
                left.plot(risen / unit, scores[course.steps.index(risen)], "o", color=colour, markersize=6)
        left.axhline(1, color="#9ca3af", linestyle=":", linewidth=1.2)
        right.plot(
            [s / unit for s, _ in course.returns], [v for _, v in course.returns], color="#111827", linewidth=1.2
        )
        if course.reward_rise is not None:
            right.axvline(course.reward_rise / unit, color="#111827", linestyle="--", linewidth=1)
        left.set_xlabel(f"agent steps ({'millions' if unit == 1e6 else 'thousands'})")
        left.set_ylabel(f"recognition, {stream}\n(untrained limit = 1)")
        right.set_ylabel(f"{'played' if course.plays else 'training'} return (black)")
        left.set_title(f"{course.name}: {words(course, stream)}", loc="left", fontsize=9)
        left.legend(fontsize=7, loc="center right", ncols=1)
        for axes in (left, right):
            axes.spines["top"].set_visible(False)
    figure.savefig(out, format="png")


def words(course: Course, stream: str) -> str:
    """How much earlier, in words."""
    risen = {m: course.rise(f"recognition/{stream}/{m}") for m in COLOURS}
    first = min((step for step in risen.values() if step is not None), default=None)
    reward = course.reward_rise
    if first is None or reward is None:
        return "recognition never rises" if first is None else "the return never rises"
    return f"recognition rises by step {first:,.0f}, the return by {reward:,.0f} ({reward / first:.1f} times as late)"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--play", type=int, default=0, help="games of each checkpoint, played for its return")
    parser.add_argument("--out", type=Path, default=Path("docs/images/recognition.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    courses = [course_of(run, options.play) for run in options.runs]
    for course in courses:
        print(f"{course.name}: the return rises by {course.reward_rise} (at random {course.chance:.3g})")
        for name, noise in course.noise.items():
            print(f"  {name}: from {course.rise(name)} (untrained {noise.mean:.3g}, limit {noise.limit:.3g})", end="")
            print(" ", " ".join(f"{value:.2f}" for value in course.scores[name]))
    draw(courses, options.out)


if __name__ == "__main__":
    main()
