"""The documents' claims, judged: evaluates agents of the zoo and says what holds of each.

    nice -n 10 python benchmarks/claims.py --out runs/claims                        # goes on where it was stopped
    python benchmarks/claims.py --out runs/claims --write docs/claims-table.md      # the table of what is there

An agent takes some minutes an episode.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Literal

import torch

import policyscope as ps
from policyscope.episodes.episode import Episode
from policyscope.evaluation.claims import overview_of, table_of
from policyscope.evaluation.documents import CLAIMS, METHODS
from policyscope.evaluation.evidence import Case
from policyscope.evaluation.runner import NAMES, evaluate

AGENTS: dict[str, Literal["late", "early"]] = {
    "breakout-dddqn": "late",
    "breakout-dddqn-early": "early",
    "breakout-a3c": "late",
    "seaquest-a3c": "late",
    "seaquest-split-attention-early": "early",
    "seaquest-split-attention-late": "late",
    "seaquest-dddqn": "late",
    "seaquest-a3c-lstm": "late",
    "pong-dqn": "late",
}
"""Of the zoo, those that are there."""
PARTS = ("frames", "faithfulness", "sanity", "smaller-claims")


def case(name: str, stage: Literal["late", "early"], options: argparse.Namespace) -> Case | None:
    """An agent with its evaluations; what is done is not done again."""
    runs = []
    agent = ps.load_agent(f"zoo:{name}")
    for seed in range(options.seeds):
        folder = options.out / name / f"seed-{seed}"
        begun = (folder / "episode.zarr" / "meta.json").exists()
        if options.write and not (folder / "evaluation").is_dir():
            continue
        episode = Episode.open(folder) if begun else ps.play(agent, options.steps, seed, out=folder)
        runs.append(evaluate(agent, episode, METHODS, out=folder, parts=options.parts, sampled=options.sampled))
        print(f"{name}, seed {seed}: {len(episode)} steps", flush=True)
    return Case(name, str(agent.protocol.game), stage, runs) if runs else None


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/claims"))
    parser.add_argument("--agents", nargs="*", default=[name for name in AGENTS if name in ps.zoo.names()])
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=NAMES)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--sampled", type=int, default=48)
    parser.add_argument("--write", type=Path, help="write the table of what is done, and evaluate nothing more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cases = [case(name, AGENTS[name], options) for name in options.agents]
    known = [one for one in cases if one is not None]
    if options.write:
        tables = (overview_of(CLAIMS, known), table_of(CLAIMS, known))
        options.write.write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")
    print(overview_of(CLAIMS, known).markdown())


if __name__ == "__main__":
    main()
