"""Sanity checks of all methods on some agents, as docs/sanity.md has it: python benchmarks/sanity.py --out FOLDER."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import tyro

import policyscope as ps
from policyscope.evaluation.labels import labels
from policyscope.evaluation.method_maps import spread_rows
from policyscope.evaluation.sanity import MEASURE, sanity
from policyscope.evaluation.similarity import SIMILARITIES
from policyscope.saliency.plan import METHODS

NAMES = (*METHODS, "grad_cam@3", "g1_grad_cam@3", "grad_cam_pp@3", "action_guided_backprop")


@dataclass
class Options:
    """What is measured.

    Attributes:
        agents: Whose maps.
        labels: An agent, one that learnt from shuffled rewards, and a twin, joined by commas.
        steps: Of the episode.
        rows: States.
        seeds: Draws of the weights.
        out: Where results go.
    """

    agents: tuple[str, ...] = ("zoo:breakout-dddqn-alone", "zoo:breakout-a3c-mid", "zoo:seaquest-a3c-mid")
    labels: tuple[str, ...] = ("zoo:unshuffled-rewards,zoo:shuffled-rewards,zoo:unshuffled-rewards-2",)
    steps: int = 800
    rows: int = 24
    seeds: int = 3
    out: Path = field(default=Path("sanity"))


def main(options: Options) -> None:
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.agents:
        file = options.out / f"{Path(name.removeprefix('zoo:')).name}.md"
        if not file.exists():
            file.write_text("\n".join(randomised(name, options)) + "\n")
        print(file.read_text(), flush=True)
    for names in options.labels:
        print("\n".join(labelled(names, options)), flush=True)


def randomised(name: str, options: Options) -> list[str]:
    agent = ps.load_agent(name)
    episode = ps.play(agent, options.steps, seed=31)
    begun = time.process_time()
    found = sanity(agent, episode, spread_rows(episode, options.rows), NAMES, seeds=options.seeds)
    seconds = time.process_time() - begun
    lines = [
        f"{name}: {seconds:.0f} s. Stages: {'; '.join(map(str, found.stages))}",
        "",
        "| map | after each stage | deciding layers | all layers | signed, SSIM, HOG | edges | random, edges "
        "| random, random | learnt |",
        "| --- " * 9 + "|",
    ]
    for one in NAMES:
        steps = " ".join(f"{found.after(one, stage).mean:.2f}" for stage in range(len(found.stages)))
        others = ", ".join(f"{found.after(one, measure=m).mean:.2f}" for m in SIMILARITIES if m != "spearman_abs")
        cells = [
            steps,
            f"{found.after(one, found.head)} {found.verdict(one, found.head)}",
            f"{found.after(one)} {found.verdict(one)}",
            others,
            f"{found.of_edges(one).mean:.2f}",
            f"{found.of_edges_random(one).mean:.2f}",
            f"{found.between_random(one).mean:.2f}",
            str(found.learnt(one)),
        ]
        lines.append(f"| `{one}` | " + " | ".join(cells) + " |")
    return lines


def labelled(names: str, options: Options) -> list[str]:
    """The table of shuffled labels: an agent, one that learnt from shuffled rewards, and a twin."""
    agent, shuffled, twin = (ps.load_agent(name) for name in names.split(","))
    episode = ps.play(agent, options.steps, seed=31)
    found = labels(agent, shuffled, episode, spread_rows(episode, 4 * options.rows), NAMES, twin=twin)
    lines = [
        f"\n{names}",
        "",
        "| map | to shuffled rewards | to a twin | learnt | SSIM: learnt | HOG: learnt | what was learnt |",
        "| --- " * 7 + "|",
    ]
    for name in NAMES:
        cells = (found.likeness(name), found.to_twin(name), *(found.learnt(name, m) for m in (MEASURE, "ssim", "hog")))
        lines.append(f"| `{name}` | " + " | ".join(map(str, cells)) + f" | {found.verdict(name)} |")
    return lines


if __name__ == "__main__":
    main(tyro.cli(Options))
