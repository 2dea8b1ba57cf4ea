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
from policyscope.diagnosis.pictures import bars, beside, over_row
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
    Case("merge", "zoo:faulty-merge", "zoo:repaired-streams", ("value", "advantage")),
    Case("bidirectional", "zoo:faulty-bidirectional", "zoo:repaired-recurrent", ("policy", "value")),
    Case("stack", "zoo:faulty-stack", "zoo:repaired-stack", ("q",)),
)
STEPS = 200


@dataclass
class Options:
    out: Path = Path(__file__).parent
    only: tuple[str, ...] = ()
    """Names of cases; by default all."""


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
    """How large each stream's gradient still is at each layer."""
    wiring = Examination(agent, episode).wiring
    shown = []
    for stream in case.streams:
        flow = wiring.flow(stream)
        sizes = {name: size for name, size in flow.output.items() if size is not None} | {"input": flow.leaf or 0.0}
        zero = [index for index, size in enumerate(sizes.values()) if not size]
        shown.append(bars(list(sizes), list(sizes.values()), f"gradient of {stream}", mark=zero, log=True))
    return beside(shown, title)


def told(name: str, found: list[Finding]) -> None:
    """What is quoted in the page."""
    print(f"## {name}")
    for finding in found:
        print(f"- {finding.severity} ({finding.sure}) {finding.rule}: {finding.where}\n  {finding.evidence}")


def main(options: Options) -> None:
    for case in CASES:
        if options.only and case.name not in options.only:
            continue
        broken, repaired = ps.load_agent(case.broken), ps.load_agent(case.repaired)
        episode = ps.play(repaired, STEPS, seed=0)
        draw = flows if case.name == "bidirectional" else maps
        parts = [draw(broken, episode, case, "broken"), draw(repaired, episode, case, "repaired")]
        width = max(part.shape[1] for part in parts)
        grown = [np.pad(part, ((0, 0), (0, width - part.shape[1]), (0, 0)), mode="edge") for part in parts]
        with replacing(options.out / f"diagnose-{case.name}.png") as part:
            Image.fromarray(np.concatenate(grown)).quantize(192).save(part, format="png", optimize=True)
        told(case.broken, diagnose(broken, ps.play(broken, STEPS, seed=0)))
        told(case.repaired, diagnose(repaired, episode))


if __name__ == "__main__":
    main(tyro.cli(Options))
