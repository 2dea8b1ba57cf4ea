"""Tables of the fault bench: what was detected, what was located, and what was said of healthy agents."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from policyscope.diagnosis.faults import split
from policyscope.storage import replacing

Row = dict[str, Any]


def report(folder: Path) -> None:
    """Writes ``faults.md`` and ``faults.csv`` beside the cases of a folder."""
    cases = [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.open()]
    healthy = {(c["agent"], c["seed"]): c for c in cases if not c["fault"]}
    rows = [judged(c, healthy.get((c["agent"], c["seed"]))) for c in cases if c["fault"]]
    text = "\n\n".join([summary(rows, list(healthy.values())), by_fault(rows), by_agent(list(healthy.values()))])
    with replacing(folder / "faults.md") as part:
        part.write_text(text + "\n")
    with replacing(folder / "faults.csv") as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["agent"])
        writer.writeheader()
        writer.writerows(rows)
    print(text)


def judged(case: Row, healthy: Row | None) -> Row:
    """Whether a fault was detected and located, by what the healthy agent does not have."""
    usual = {(f["rule"], f["where"]) for f in healthy["findings"]} if healthy else set()
    new = [f for f in case["findings"] if (f["rule"], f["where"]) not in usual]
    located = [f for f in new if f["located"]]
    return {
        "agent": case["agent"],
        "fault": case["fault"] if case["fault"] != "trained" else case["agent"].removeprefix("zoo:"),
        "seed": case["seed"],
        "part": part_of(case),
        "detected": bool(new),
        "grave": any(f["severity"] == "grave" for f in new),
        "located": bool(located),
        "first": bool(new) and new[0]["located"],
        "rules": " ".join(dict.fromkeys(f["rule"] for f in (located or new))),
    }


def part_of(case: Row) -> str:
    """Whether both agent and fault were held out, neither, or one of them."""
    if case["fault"] == "trained":
        return "setting" if case["agent"] in split.SETTING_TRAINED else "held out"
    agent, fault = case["agent"] in split.SETTING_AGENTS, case["fault"] in split.SETTING_FAULTS
    return "setting" if agent and fault else "crossed" if agent or fault else "held out"


def share(hits: int, of: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not of:
        return "-"
    low, high = stats.binomtest(hits, of).proportion_ci(method="wilson")
    return f"{hits}/{of} = {hits / of:.0%} [{low:.0%}, {high:.0%}]"


def summary(rows: Sequence[Row], healthy: Sequence[Row]) -> str:
    lines = [
        "| part | detected | of these grave | located | first finding is right |",
        "| --- | --- | --- | --- | --- |",
    ]
    groups: dict[str, Callable[[Row], bool]] = {
        "set thresholds (agent and fault)": lambda r: r["part"] == "setting",
        "one of both held out": lambda r: r["part"] == "crossed",
        "held out (agent and fault)": lambda r: r["part"] == "held out",
        "all": lambda r: True,
        "the paper's own, trained": lambda r: r["fault"].startswith("faulty-"),
    }
    for name, chosen in groups.items():
        part = [r for r in rows if chosen(r)]
        found = [r for r in part if r["detected"]]
        cells = [sum(r[k] for r in part) for k in ("detected", "grave", "located", "first")]
        lines.append(
            f"| {name} | {share(cells[0], len(part))} | {share(cells[1], len(found))} | "
            f"{share(cells[2], len(part))} | {share(cells[3], len(found))} |"
        )
    alarms = {"set thresholds": [], "held out": []}  # type: dict[str, list[bool]]
    for case in healthy:
        grave = any(f["severity"] == "grave" for f in case["findings"])
        alarms["set thresholds" if case["agent"] in split.SETTING_AGENTS else "held out"].append(grave)
    lines += ["", "| healthy agents | episodes with a grave finding |", "| --- | --- |"]
    lines += [f"| {name} | {share(sum(found), len(found))} |" for name, found in alarms.items()]
    return "\n".join(lines)


def by_fault(rows: Sequence[Row]) -> str:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["fault"]].append(row)
    lines = ["| fault | held out | cases | detected | located | by |", "| --- | --- | --- | --- | --- | --- |"]
    for name, part in groups.items():
        rules = dict.fromkeys(rule for row in part for rule in row["rules"].split())
        held = "yes" if name in split.HELD_OUT_FAULTS or f"zoo:{name}" in split.HELD_OUT_TRAINED else ""
        counts = [sum(row[k] for row in part) for k in ("detected", "located")]
        lines.append(f"| {name} | {held} | {len(part)} | {counts[0]} | {counts[1]} | {', '.join(rules)} |")
    return "\n".join(lines)


def by_agent(healthy: Sequence[Row]) -> str:
    groups: dict[str, list[Row]] = defaultdict(list)
    for case in healthy:
        groups[case["agent"]].append(case)
    lines = ["| healthy agent | seeds | grave | warnings | seconds |", "| --- | --- | --- | --- | --- |"]
    for name, part in groups.items():
        grave = sum(any(f["severity"] == "grave" for f in case["findings"]) for case in part)
        warned = dict.fromkeys(f["rule"] for case in part for f in case["findings"] if f["severity"] == "warning")
        seconds = sorted(case["seconds"] for case in part)[len(part) // 2]
        lines.append(f"| {name} | {len(part)} | {grave} | {', '.join(warned) or '-'} | {seconds:.0f} |")
    return "\n".join(lines)
