"""Which rule tells actions apart, for docs/discrimination.md: python benchmarks/discrimination.py --out FOLDER."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import tyro

import policyscope as ps
from policyscope.evaluation.action_guided import RULES
from policyscope.evaluation.discrimination import CONTRAST, ActionMaps, discrimination
from policyscope.evaluation.hiding import Baseline
from policyscope.evaluation.method_maps import spread_rows
from policyscope.evaluation.statistics import summary

OURS = ("gradient", "grad_cam", "grad_cam@3", "g1_grad_cam", "g1_grad_cam@3", "full_grad")


@dataclass
class Options:
    """What is measured.

    Attributes:
        agents: On which.
        steps: Of each episode.
        seed: Of the game.
        rows: States.
        share: Of the pixels that are hidden.
        baseline: What stands in for them.
        out: Where a JSON file for each agent goes, with all values of each frame.
    """

    agents: tuple[str, ...] = ("zoo:breakout-dddqn", "zoo:seaquest-a3c-mid", "zoo:breakout-dddqn-early")
    steps: int = 800
    seed: int = 21
    rows: int = 64
    share: float = 0.02
    baseline: Baseline = "background"
    out: Path = field(default=Path("discrimination"))


def main(options: Options) -> None:
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    names = (*OURS, *(method + CONTRAST for method in OURS), *RULES)
    for name in options.agents:
        file = options.out / f"{name.removeprefix('zoo:').strip('/').replace('/', '-')}.json"
        if not file.exists():
            agent = ps.load_agent(name)
            episode = ps.play(agent, options.steps, seed=options.seed)
            begun = time.process_time()
            rows = spread_rows(episode, options.rows)
            maps = ActionMaps(agent, episode, names)
            found = discrimination(agent, episode, rows, maps, share=options.share, baseline=options.baseline)
            kept = {
                one: {
                    "separation": found.separation[one][:, 0].tolist(),
                    "variation": found.separation[one][:, 1].tolist(),
                    "noise": found.noise[one][:, 0].tolist(),
                    "elsewhere": found.elsewhere[one][:, 0].tolist(),
                    "specificity": found.specificity(one).tolist(),
                    "support": found.support(one).tolist(),
                }
                for one in names
            }
            file.write_text(json.dumps({"agent": name, "seconds": time.process_time() - begun, "maps": kept}))
        table(json.loads(file.read_text()))


def table(result: dict) -> None:
    print(f"\n{result['agent']} ({result['seconds']:.0f} s)\n")
    print("| map | separation | noise | elsewhere | specificity | support |\n| --- | --- | --- | --- | --- | --- |")
    for name, values in sorted(
        result["maps"].items(), key=lambda one: -np.nan_to_num(np.nanmean(one[1]["support"]), nan=-9)
    ):
        cells = [f"{np.nanmean(values[what]):.3f}" for what in ("separation", "noise", "elsewhere")]
        cells += [str(summary(np.array(values[what]))) for what in ("specificity", "support")]
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(tyro.cli(Options))
