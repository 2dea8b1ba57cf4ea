"""The documents' claims, judged: evaluates agents of the zoo and says what holds of each.

    nice -n 10 python benchmarks/claims.py --out runs/claims                        # goes on where it was stopped
    python benchmarks/claims.py --out runs/claims --write docs/claims-table.md      # the table of what is there

An agent takes some minutes an episode.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.claims import overview_of, table_of
from policyscope.evaluation.documents import CLAIMS, METHODS, STREAM_METHODS, STREAMS
from policyscope.evaluation.evidence import Case
from policyscope.evaluation.runner import FRAMES, NAMES, Evaluation, evaluate


@dataclass(frozen=True)
class Judged:
    """An agent of the zoo.

    Attributes:
        stage: Of its training.
        earlier: The same after less training.
        shuffled: The same recipe with shuffled rewards.
        twin: The same recipe from another seed.
    """

    stage: Literal["late", "early"] = "late"
    earlier: str | None = None
    shuffled: str | None = None
    twin: str | None = None


AGENTS: dict[str, Judged] = {
    "breakout-dddqn-early": Judged("early"),
    "breakout-dddqn-alone": Judged(earlier="breakout-dddqn-early"),
    "breakout-dddqn": Judged(),
    "breakout-a3c-mid": Judged(),
    "breakout-a3c": Judged(earlier="breakout-a3c-mid"),
    "seaquest-split-attention-early": Judged("early"),
    "seaquest-split-attention-late": Judged(earlier="seaquest-split-attention-early"),
    "seaquest-dddqn-early": Judged("early"),
    "seaquest-dddqn": Judged(earlier="seaquest-dddqn-early"),
    "seaquest-a3c-mid": Judged(),
    "seaquest-a3c-lstm": Judged(),
    "pong-dqn": Judged(),
    "enduro-dqn": Judged(),
    "videopinball-dqn": Judged(),
    "unshuffled-rewards": Judged("early", shuffled="shuffled-rewards", twin="unshuffled-rewards-2"),
}
"""Of the zoo, those that are there; an earlier one comes before its later one."""
PARTS = (FRAMES, "faithfulness", "sanity", "shuffled-labels", "discrimination", "smaller-claims")


def case(name: str, options: argparse.Namespace, known: dict[str, Case]) -> Case | None:
    """An agent with its evaluations; what is done is not done again."""
    runs: list[Evaluation] = []
    told = AGENTS[name]
    agent = ps.load_agent(f"zoo:{name}")
    for seed in range(options.seeds):
        folder = options.out / name / f"seed-{seed}"
        parts = [part for part in options.parts if not options.write or done(folder, part)]
        if not parts:
            continue
        begun = (folder / "episode.zarr" / "meta.json").exists()
        episode = Episode.open(folder) if begun else ps.play(agent, options.steps, seed, out=folder)
        others = {"shuffled": other(told.shuffled), "twin": other(told.twin)}
        sampled = {"sampled": options.sampled}
        runs.append(evaluate(agent, episode, METHODS, out=folder, parts=parts, **sampled, **others))
        apart = folder / "streams"
        if set(STREAMS) <= set(agent.streams) and (not options.write or done(apart, FRAMES)):
            runs.append(evaluate(agent, episode, STREAM_METHODS, out=apart, parts=[FRAMES], streams=STREAMS))
        print(f"{name}, seed {seed}: {len(episode)} steps", file=sys.stderr, flush=True)
    made = Case(name, str(agent.protocol.game), told.stage, runs) if runs else None
    return made and replace(made, earlier=known.get(told.earlier or ""))


def done(folder: Path, part: str) -> bool:
    """Whether a part of an evaluation is there."""
    return (folder / ("scores.zarr/meta.json" if part == FRAMES else f"evaluation/{part}.json")).exists()


def other(name: str | None) -> Agent | None:
    """Another agent of the zoo, if it is there."""
    return ps.load_agent(f"zoo:{name}") if name in ps.zoo.names() else None


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
    known: dict[str, Case] = {}
    for name in options.agents:
        made = case(name, options, known)
        if made is not None:
            known[name] = made
    cases = list(known.values())
    if options.write:
        tables = (overview_of(CLAIMS, cases), table_of(CLAIMS, cases))
        options.write.write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")
    print(overview_of(CLAIMS, cases).markdown())


if __name__ == "__main__":
    main()
