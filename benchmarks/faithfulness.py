"""Faithfulness of all methods, as docs/faithfulness.md has it: python benchmarks/faithfulness.py --out FOLDER.

Each part of each agent is written to its own file (Markdown), so that a run that was stopped goes on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.deletion import RANDOM, Kind, deletion
from policyscope.evaluation.hidden_return import NONE, hidden_returns
from policyscope.evaluation.hiding import Baseline, Lags
from policyscope.evaluation.method_maps import MethodMaps, spread_rows
from policyscope.evaluation.statistics import summary
from policyscope.evaluation.xrl_bench import MEASURES, leaderboard, xrl_bench
from policyscope.saliency.plan import METHODS


@dataclass
class Options:
    """What is measured.

    Attributes:
        agents: Whose maps.
        parts: deletion, background, newest (deletion with other baselines), xrl, return.
        steps: Of the episode.
        rows: States.
        games: With parts hidden, of each condition.
        limit: Actions of a game.
        share: Of the pixels that are hidden in play.
        methods: Whose salient parts are hidden in play.
        captum: Attribution classes that stand beside ours.
        out: Where results go.
    """

    agents: tuple[str, ...] = ("zoo:breakout-dddqn-alone", "zoo:breakout-a3c-mid", "zoo:seaquest-a3c-mid")
    parts: tuple[str, ...] = ("deletion", "background", "newest", "xrl", "return")
    steps: int = 1000
    rows: int = 200
    games: int = 6
    limit: int = 500
    share: float = 0.02
    methods: tuple[str, ...] = ("guided_backprop", "full_grad_pp", "grad_cam@3")
    captum: tuple[str, ...] = ("IntegratedGradients", "SmoothGrad")
    out: Path = field(default=Path("faithfulness"))


SETTINGS: dict[str, tuple[Baseline, Lags]] = {
    "deletion": ("blur", "all"),
    "background": ("background", "all"),
    "newest": ("blur", "newest"),
}
KINDS: tuple[Kind, ...] = ("deletion", "insertion")
LAST_LAYER = ("grad_cam@3", "g1_grad_cam@3", "grad_cam_pp@3")


def main(options: Options) -> None:
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.agents:
        agent = ps.load_agent(name)
        episode = ps.play(agent, options.steps, seed=11)
        for part in options.parts:
            file = options.out / f"{Path(name.removeprefix('zoo:')).name}-{part}.md"
            if file.exists():
                continue
            begun = time.process_time()
            lines = PARTS[part](agent, episode, options, part)
            lines.append(f"\n{time.process_time() - begun:.0f} s of one core.")
            file.write_text("\n".join(lines) + "\n")
            print(f"{name} {part}", *lines, sep="\n", flush=True)


def curves(agent: Agent, episode: Episode, options: Options, part: str) -> list[str]:
    rows = spread_rows(episode, options.rows)
    names = (*METHODS, *LAST_LAYER, "action_guided_backprop", "edges", "frame_difference")
    if part == "deletion":
        names += tuple(f"captum:{one}" for one in options.captum)
    maps = MethodMaps(agent, episode, names)
    baseline, lags = (
        ("background", "all") if part == "background" else ("blur", "newest" if part == "newest" else "all")
    )
    found = deletion(agent, episode, rows, maps, baseline=baseline, lags=lags)
    measures = ("tv", "kl", "action", "probability", "value")
    if np.isfinite(found.area("deletion", RANDOM, "q")).any():
        measures += ("q",)
    lines = [
        f"{len(rows)} states, {found.passes:,} passes ({found.asked:,} asked for).",
        "",
        "| map | gain over chance (tv) | least salient first (tv) | action changed at 2 % | "
        + " | ".join(f"del / ins {m}" for m in measures)
        + " |",
        "| --- " * (4 + len(measures)) + "|",
    ]
    order = sorted(found.deletion, key=lambda n: -np.nan_to_num(found.gain(n, "tv")).mean())
    for name in order:
        cells = [
            str(summary(found.gain(name, "tv"))),
            str(summary(found.contrast(name, "tv"))),
            str(summary(found.at("deletion", name, "action", 0.02))),
            *(" / ".join(f"{np.nanmean(found.area(k, name, m)):.3f}" for k in KINDS) for m in measures),
        ]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return lines


def xrl(agent: Agent, episode: Episode, options: Options, part: str) -> list[str]:
    rows = spread_rows(episode, min(options.rows, 128))
    names = (*METHODS, "grad_cam@3", "g1_grad_cam@3", *(f"captum:{one}" for one in options.captum))
    ks = (10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 7056)
    found = xrl_bench(agent, episode, rows, MethodMaps(agent, episode, names), ks=ks)
    at, area = leaderboard(found, 50), leaderboard(found)
    lines = [
        f"{len(rows)} states; k = 50, and in brackets the area over k from {ks[0]} to {ks[-1]} (all pixels).",
        "",
        "| map | " + " | ".join(MEASURES) + " | median RIS |",
        "| --- " * (len(MEASURES) + 2) + "|",
    ]
    for name in names:
        cells = [f"{at[name][m]:.3f} ({area[name][m]:.3f})" if m != "RIS" else f"{at[name][m]:.3f}" for m in MEASURES]
        lines.append(f"| `{name}` | " + " | ".join(cells) + f" | {np.nanmedian(found.values[name]['RIS']):.3f} |")
    return lines


def played(agent: Agent, episode: Episode, options: Options, part: str) -> list[str]:
    methods = options.methods
    found = hidden_returns(agent, methods, share=options.share, games=options.games, limit=options.limit, seed=100)
    lines = [
        f"{options.games} games of at most {options.limit} actions each; {options.share:.0%} of the pixels hidden.",
        "",
        "| hidden | return | less than with nothing hidden | less than with a random part hidden |",
        "| --- | --- | --- | --- |",
    ]
    for name in found.returns:
        less = "" if name == NONE else str(found.drop(name))
        than = "" if name in (NONE, "random") else str(found.drop(name, "random"))
        lines.append(f"| {name} | {found.mean(name)} | {less} | {than} |")
    return lines


PARTS = {"deletion": curves, "background": curves, "newest": curves, "xrl": xrl, "return": played}


if __name__ == "__main__":
    main(tyro.cli(Options))
