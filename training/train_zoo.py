"""Trains agents of the zoo, one after another on one core, each going on where it stopped.

    python training/train_zoo.py --core 0 --names pong-dqn spaceinvaders-dqn --minutes 170
    python training/publish.py --run runs/zoo/pong-dqn --name pong-dqn

Two of them side by side, on two cores, are faster than one with two threads. An agent whose steps are done is passed
over; the time is shared out evenly among those that are left, or an agent is given what it needs with ``--each``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from policyscope.training.recipes import RECIPES

ROOT = Path(__file__).parents[1]


@dataclass
class Options:
    names: tuple[str, ...]
    """Recipes, in the order of their turn."""
    core: int = 0
    """The core that all of them are pinned to."""
    minutes: float = 170.0
    """For all of them together."""
    each: float = 0.0
    """Minutes of each; 0 shares the time out evenly."""
    runs: Path = ROOT / "runs" / "zoo"
    """Where the runs' folders are."""


def done(folder: Path, steps: int) -> bool:
    """Whether a run has all its steps."""
    note = folder / "train.json"
    return note.exists() and json.loads(note.read_text())["step"] >= steps


def main(options: Options) -> None:
    unknown = [name for name in options.names if name not in RECIPES]
    if unknown:
        raise SystemExit(f"no recipe {', '.join(unknown)}; see policyscope train")
    os.sched_setaffinity(0, {options.core})
    os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    ends = time.monotonic() + 60 * options.minutes
    left = [name for name in options.names if not done(options.runs / name, RECIPES[name].steps)]
    for index, name in enumerate(left):
        minutes = options.each or (ends - time.monotonic()) / 60 / (len(left) - index)
        if minutes < 1 or time.monotonic() > ends:
            break
        folder = options.runs / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        words = ["train", name, "--out", str(folder), "--minutes", f"{minutes:.1f}"]
        words += ["--resume"] if (folder / "train.json").exists() else []
        with (options.runs / f"{name}.log").open("a") as log:
            code = "from policyscope.cli import main; main()"
            subprocess.run([sys.executable, "-c", code, *words], stderr=log, check=False)


if __name__ == "__main__":
    main(tyro.cli(Options))
