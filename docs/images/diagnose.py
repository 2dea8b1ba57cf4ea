"""Pictures of docs/diagnose-cases.md: what each stream looks at, in a broken agent and in the repaired one.

    python docs/images/diagnose.py --out docs/images

Both agents see the same states: those that the repaired one met.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from PIL import Image

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.diagnosis.doctor import diagnose
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding
from policyscope.diagnosis.flows import flow_picture
from policyscope.diagnosis.pictures import beside, over_row
from policyscope.episodes.episode import Episode
from policyscope.storage import Array, replacing


@dataclass(frozen=True)
class Case:
    """A mistake, the agent that was trained with it, and the one without."""

    name: str
    broken: str
    repaired: str
    streams: tuple[str, ...]


CASES = (
    Case("link", "zoo:faulty-link", "zoo:repaired-streams", ("value", "advantage")),
    Case("merge", "zoo:faulty-merge", "zoo:repaired-streams", ("q",)),
    Case("bidirectional", "zoo:faulty-bidirectional", "zoo:repaired-recurrent", ("policy", "value")),
    Case("stack", "zoo:faulty-stack", "zoo:repaired-stack", ("q",)),
)
STEPS = 200


@dataclass
class Options:
    out: Path = Path(__file__).parent
    only: tuple[str, ...] = ()
    """Names of cases; by default all."""
    quiet: bool = False
    """Pictures alone, without what the doctor says."""
    runs: Path | None = None
    """Folder of training runs, for agents that the zoo does not have yet."""


def loaded(name: str, runs: Path | None) -> Agent:
    """An agent of the zoo, or the one that a run of its name has left."""
    file = None if runs is None else runs / name.removeprefix("zoo:") / "agent.safetensors"
    return ps.load_agent(file if file is not None and file.exists() else name)


def maps(agent: Agent, episode: Episode, case: Case, title: str) -> Array:
    """Guided backpropagation of each stream (of each lag where the stack is the matter) in one state."""
    examination = Examination(agent, episode)
    at = len(examination.rows) * 2 // 3
    row = int(examination.rows[at])
    shown = []
    for stream in case.streams:
        gradient = examination.gradient(stream, rule="guided")[at].sum(dim=1).float().numpy()
        lags = range(len(gradient)) if case.name == "stack" else [0]
        most = float(np.quantile(np.abs(gradient), 0.995)) or None
        for lag in lags:
            words = f"{stream}, lag {lag}" if len(lags) > 1 else stream
            shown.append(over_row(episode, row, gradient[len(gradient) - 1 - lag], True, words, most=most))
    return beside(shown, title)


def flows(agent: Agent, episode: Episode, case: Case, title: str) -> Array:
    """How large each stream's gradient is at each layer of the network; nothing leads to those without a bar."""
    wiring = Examination(agent, episode).wiring
    shown = []
    for stream in case.streams:
        flow = wiring.flow(stream)
        sizes = {name: flow.output.get(name) for name in wiring.owners} | {"input": flow.leaf}
        shown.append(flow_picture(wiring, stream, [name for name, size in sizes.items() if _wrong(stream, name, size)]))
    return beside(shown, title)


def _wrong(stream: str, layer: str, size: float | None) -> bool:
    """Whether a gradient is missing where it ought to be, or is where it ought not."""
    if not size:
        return layer == "input" or layer.startswith((stream, "frames")) or stream == "q"
    return {stream, layer.split("_")[0]} == {"value", "advantage"}


def told(name: str, found: list[Finding]) -> None:
    """What is quoted in the page."""
    print(f"## {name}")
    for finding in found:
        print(f"- {finding.severity} ({finding.sure}) {finding.rule}: {finding.where}\n  {finding.evidence}")


def main(options: Options) -> None:
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        broken, repaired = (loaded(name, options.runs) for name in (case.broken, case.repaired))
        episode = ps.play(repaired, STEPS, seed=0)
        draw = maps if case.name == "stack" else flows
        parts = [draw(broken, episode, case, "broken"), draw(repaired, episode, case, "repaired")]
        width = max(part.shape[1] for part in parts)
        grown = [np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), mode="edge") for part in parts]
        with replacing(options.out / f"diagnose-{case.name}.png") as part:
            Image.fromarray(np.concatenate(grown)).quantize(192).save(part, format="png", optimize=True)
        if not options.quiet:
            told(case.broken, diagnose(broken, ps.play(broken, STEPS, seed=0)))
            told(case.repaired, diagnose(repaired, episode))


if __name__ == "__main__":
    main(tyro.cli(Options))
