"""Turns trained weights into an agent of the zoo: measures how it plays, draws its learning curve, writes its card.

    python training/publish.py --run runs/breakout --name breakout-dddqn

The games are played by policyscope's own emulator under the agent's own protocol, side by side.
"""

from __future__ import annotations

import ast
import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import policyscope as ps
from policyscope.agents.networks import build
from policyscope.agents.presets import preset
from policyscope.episodes.environment import make_environment
from policyscope.storage import replacing

ROOT = Path(__file__).parents[1]
ZOO = ROOT / "src" / "policyscope" / "zoo"


@dataclass
class Options:
    run: Path
    """Folder that the training wrote."""
    name: str = "breakout-dddqn"
    weights: str = "weights.safetensors"
    games: int = 20
    epsilon: float = 0.01
    seed: int = 1000
    limit: int = 5000
    """Steps after which a game is cut off (an agent that never fires would play for ever)."""
    command: str = ""
    """How it was trained, for the card."""
    half: bool = True
    """Store 16-bit weights; they are computed with in 32 bits."""
    write: bool = True


def returns_of(agent: ps.Agent, options: Options) -> np.ndarray:
    """Returns of whole games, one of each environment, epsilon-greedy."""
    rng = np.random.default_rng(options.seed)
    environments = [make_environment(agent.protocol) for _ in range(options.games)]
    for index, environment in enumerate(environments):
        environment.reset(options.seed + index)
    totals, running = np.zeros(options.games), np.ones(options.games, bool)
    with torch.inference_mode():
        for _ in range(options.limit):
            alive = np.flatnonzero(running)
            if not len(alive):
                break
            observations = np.stack([environments[i].observation for i in alive])
            actions = agent(agent.prepare(observations))[0]["q"].argmax(dim=1).numpy()
            explore = rng.random(len(alive)) < options.epsilon
            actions[explore] = rng.integers(0, len(agent.actions), explore.sum())
            for i, action in zip(alive, actions, strict=True):
                outcome = environments[i].step(int(action))
                totals[i] += outcome.reward
                running[i] = not outcome.game_over
    return totals


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean."""
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def same_maps(agent: ps.Agent, stored: ps.Agent) -> dict[str, float]:
    """Rank correlation between the maps of the trained and the stored weights, the least over some states."""
    from scipy.stats import spearmanr

    episode = ps.play(agent, 200, seed=5)
    methods = ["gradient", "guided_backprop", "grad_cam", "g1_grad_cam", "full_grad"]
    first, second = (ps.explain(a, episode, methods, action="taken") for a in (agent, stored))
    return {
        m: float(min(spearmanr(first[m][i].ravel(), second[m][i].ravel()).statistic for i in range(20, 200, 20)))
        for m in methods
    }


def draw_curve(run: Path, picture: Path) -> None:
    """The learning curve as a picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = list(csv.DictReader((run / "curve.csv").open()))
    steps = [int(r["step"]) / 1000 for r in rows]
    figure, axes = plt.subplots(figsize=(7, 3.2), dpi=150, layout="constrained")
    axes.plot(steps, [float(r["return"]) for r in rows], color="#2563eb", linewidth=2)
    axes.set_xlabel("agent steps (thousands, four frames each)")
    axes.set_ylabel("bricks a game (clipped rewards),\nmean of 100 games")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture)


def main(options: Options) -> None:
    torch.set_num_threads(1)
    file = options.run / options.weights
    with safe_open(file, "pt") as opened:
        told = opened.metadata()
    recipe = ast.literal_eval(told["recipe"].replace("PosixPath(", "(")) if "recipe" in told else {}
    weights = load_file(file)
    agents = []
    for half in (False, options.half):
        network = build("dueling_dqn", actions=weights["advantage.2.bias"].numel())
        network.load_state_dict({k: v.half().float() if half else v for k, v in weights.items()})
        agent = ps.make_agent(
            network, preset("ale-vector", recipe.get("game", "breakout")), policy=f"epsilon={options.epsilon}"
        )
        agents.append(agent)
    trained, stored = agents
    returns = returns_of(stored, options)
    low, high = interval(returns, np.random.default_rng(0))
    print(f"step {told.get('step')}: mean return {returns.mean():.1f} [{low:.1f}, {high:.1f}]")
    print(returns.astype(int).tolist())
    if not options.write:
        return
    correlations = same_maps(trained, stored)
    print({k: round(v, 4) for k, v in correlations.items()})
    ZOO.mkdir(exist_ok=True)
    path = ps.save_agent(stored, ZOO / f"{options.name}.safetensors")
    if options.half:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata()
        with replacing(path) as part:
            save_file({k: v.half() for k, v in load_file(path).items()}, part, metadata)
    card = {
        "summary": f"DDDQN, {int(told['step']):,} steps: mean return {returns.mean():.0f} over {len(returns)} games",
        "architecture": "dueling_dqn: the paper's DDDQN (advantage stream with LeakyReLU)",
        "training": "replay, 3-step double targets, one process on one core; a lost life ends a return",
        "command": options.command,
        "recipe": {k: str(v) for k, v in recipe.items()},
        "steps": int(told["step"]),
        "hardware": "one core of an AMD EPYC, no GPU",
        "protocol": "ale-vector (sticky actions 0.25, frame skip 4, up to 29 idle frames)",
        "policy": f"epsilon={options.epsilon}",
        "returns": returns.tolist(),
        "mean_return": float(returns.mean()),
        "interval_95": [low, high],
        "weights": "float16, computed with as float32" if options.half else "float32",
        "map_rank_correlation_with_float32": correlations,
    }
    (ZOO / f"{options.name}.json").write_text(json.dumps(card, indent=1) + "\n")
    (ROOT / "training" / "curves").mkdir(exist_ok=True)
    (ROOT / "training" / "curves" / f"{options.name}.csv").write_text((options.run / "curve.csv").read_text())
    draw_curve(options.run, ROOT / "docs" / "images" / f"{options.name}-curve.png")


if __name__ == "__main__":
    main(tyro.cli(Options))
