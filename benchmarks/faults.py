"""The fault bench: bugs put into healthy agents, and what the doctor says of them and of the healthy ones.

    python benchmarks/faults.py --part setting --out runs/faults     # agents and faults that set thresholds
    python benchmarks/faults.py --part all --out runs/faults --shards 2 --shard 0
    python benchmarks/faults.py --report --out runs/faults           # tables for docs/faults.md

Every agent is played and diagnosed as it is (ten seeds) and with each kind of fault that it can have; a line of JSON a
case, so that a stopped bench goes on where it was.

A fault is detected if there is a finding, grave or a warning, that the healthy agent does not have on the same seed; it
is located if one of these names the stream or the layer that is broken (for faults outside the network, the part).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from faults_report import report

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.diagnosis.doctor import diagnose
from policyscope.diagnosis.faults import FAULTS, TRAINED, Fault, play_faulty, split
from policyscope.diagnosis.finding import Finding
from policyscope.errors import PolicyscopeError

SHARED = Path(__file__).parents[1].parent / "shared" / "agents"
HEALTHY_SEEDS = range(10)
FAULTY_SEEDS = range(1)


@dataclass
class Options:
    out: Path
    """Folder of the results, one file a shard."""
    part: Literal["setting", "held-out", "all"] = "all"
    """Which agents and which faults: those that set thresholds, those held out, or both and their crossings."""
    steps: int = 400
    """Of each episode; half of it for networks that look at ten frames one by one, which are slow."""
    shards: int = 1
    shard: int = 0
    """Several processes share the cases out."""
    only: tuple[str, ...] = ()
    """Faults and agents by name; by default all of the part."""
    report: bool = False
    """Write the tables of what is there, and do nothing else."""


@dataclass(frozen=True)
class Case:
    agent: str
    fault: str
    seed: int

    @property
    def key(self) -> str:
        return f"{self.agent} {self.fault} {self.seed}"


def cases(options: Options) -> list[Case]:
    """Healthy agents first, since faults are compared with them."""
    agents, faults = _chosen(options)
    found = [Case(agent, "", seed) for agent in agents for seed in HEALTHY_SEEDS]
    found += [Case(agent, fault, seed) for agent in agents for fault in faults for seed in FAULTY_SEEDS]
    trained = {
        "setting": split.SETTING_TRAINED,
        "held-out": split.HELD_OUT_TRAINED,
        "all": split.SETTING_TRAINED + split.HELD_OUT_TRAINED,
    }[options.part]
    found += [Case(agent, "trained", seed) for agent in trained for seed in FAULTY_SEEDS]
    if options.only:
        found = [case for case in found if case.agent in options.only or case.fault in options.only]
    return found


def _chosen(options: Options) -> tuple[Iterable[str], Iterable[str]]:
    zoo = [f"zoo:{name}" for name in ps.zoo.names() if not name.startswith("faulty-")]
    held_out = [*split.HELD_OUT_AGENTS, *(a for a in zoo if a not in split.SETTING_AGENTS + split.HELD_OUT_AGENTS)]
    if options.part == "setting":
        return split.SETTING_AGENTS, split.SETTING_FAULTS
    if options.part == "held-out":
        return held_out, split.HELD_OUT_FAULTS
    return [*split.SETTING_AGENTS, *held_out], split.SETTING_FAULTS + split.HELD_OUT_FAULTS


def loaded(name: str) -> Agent | None:
    """An agent of the zoo, or of those that nobody here has trained; None where it is not there."""
    source = name if name.startswith("zoo:") else str(SHARED / name)
    try:
        return ps.load_agent(source)
    except PolicyscopeError as error:
        print(f"{name} is left out: {error}")
        return None


def examined(agent: Agent, fault: Fault | None, steps: int, seed: int) -> list[Finding]:
    """What the doctor says; an agent whose pipeline is broken may not play on in one that is not."""
    if fault is None or (fault.view is None and fault.action is None and fault.forgets is None):
        if fault is None:
            return diagnose(agent, ps.play(agent, steps, seed))
        return diagnose(*play_faulty(agent, fault, steps, seed))
    return diagnose(*play_faulty(agent, fault, steps, seed), play_on=False)


def rows(options: Options, done: set[str]) -> Iterator[dict[str, Any]]:
    """Runs the cases that are not done."""
    agents: dict[str, Agent | None] = {}
    mine = [case for number, case in enumerate(cases(options)) if number % options.shards == options.shard]
    for case in mine:
        if case.key in done:
            continue
        if case.agent not in agents:
            agents = {case.agent: loaded(case.agent)}
        agent, fault = agents[case.agent], FAULTS.get(case.fault)
        if agent is None or (case.fault and case.fault != "trained" and fault is None):
            continue
        place = TRAINED[case.agent] if case.fault == "trained" else fault.place(agent) if fault else None
        if case.fault and place is None:
            continue
        steps = options.steps // 2 if agent.protocol.layout == "time" else options.steps
        begun = time.perf_counter()
        found = examined(agent, fault, steps, case.seed)
        seconds = time.perf_counter() - begun
        findings = [
            {**f.to_dict(), "located": place is not None and place.holds(f.where)}
            for f in found
            if f.severity != "note"
        ]
        grave = [f["rule"] for f in findings if f["severity"] == "grave"]
        print(f"{case.key}: {', '.join(dict.fromkeys(grave)) or '-'} ({seconds:.0f} s)", flush=True)
        yield vars(case) | {"key": case.key, "seconds": round(seconds, 1), "findings": findings}


def main(options: Options) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.report:
        torch.set_num_threads(1)
        done = {json.loads(line)["key"] for file in options.out.glob("*.jsonl") for line in file.open()}
        with (options.out / f"cases-{options.shard}.jsonl").open("a") as file:
            for row in rows(options, done):
                file.write(json.dumps(row) + "\n")
                file.flush()
    report(options.out)


if __name__ == "__main__":
    main(tyro.cli(Options))
