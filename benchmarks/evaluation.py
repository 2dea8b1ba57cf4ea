"""What a whole evaluation costs, part by part: nine methods and three baselines on an episode of breakout-dddqn.

    python benchmarks/evaluation.py [--steps 1000] [--parts frames sanity]

Processor seconds, which a busy machine disturbs less, and seconds on the clock; one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

import policyscope as ps
from policyscope.evaluation.runner import NAMES, evaluate


class Clock:
    """Prints what each part took."""

    def __init__(self) -> None:
        self._part, self._total = "", 0.0
        self._processor, self._wall = time.process_time(), time.perf_counter()

    def began(self, part: str) -> Callable[[int, int], None]:
        """A part ends where the next one begins."""
        processor, wall = time.process_time(), time.perf_counter()
        if self._part:
            self._total += processor - self._processor
            print(f"| {self._part} | {processor - self._processor:.1f} | {wall - self._wall:.1f} |", flush=True)
        self._part, self._processor, self._wall = part, processor, wall
        return lambda done, of: None

    def end(self) -> None:
        """Prints the last part, and the sum."""
        self.began("")
        print(f"| all | {self._total:.1f} | |")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--agent", default="zoo:breakout-dddqn")
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--parts", nargs="*", default=list(NAMES), choices=NAMES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    agent = ps.load_agent(options.agent)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        episode = ps.play(agent, options.steps, seed=0, out=Path(folder))
        print("| part | processor seconds | on the clock |\n| --- | --- | --- |")
        evaluate(agent, episode, out=folder, parts=options.parts, began=clock.began)
        clock.end()


if __name__ == "__main__":
    main()
