"""The bench of training faults: each is put into a small real training, and the watcher has to find it.

    nice -n 10 python training/watch_faults.py --out runs/watch-bench --part setting healthy-setting
    nice -n 10 python training/watch_faults.py --out runs/watch-bench        # all; what is done is not done again
    python training/watch_faults.py --out runs/watch-bench --table docs/watch-faults

Found means: a grave finding or a warning of the rule for its kind. The first step at which any was made is that of
detection. What healthy trainings of the same length are said to have are false alarms.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from watch_split import HELD_OUT, HELD_OUT_HEALTHY, SETTING, SETTING_HEALTHY

from policyscope.errors import TrainingError
from policyscope.storage import write_json
from policyscope.training.watch.outlets import read_findings, read_lines

RULES = {
    "exploration": {"exploration"},
    "ends not masked": {"ends-not-masked"},
    "not reset": {"not-reset"},
    "target network": {"target-network"},
    "wrong output": {"wrong-output"},
    "activation on Q": {"activation-on-q"},
    "reward": {"reward"},
    "learning rate": {"learning-rate", "not-finite"},
    "wrong action's loss": {"loss-over-wrong-action"},
    "more": {"dead-stream"},
}
"""Kind -> rules that name it."""
PARTS: dict[str, dict[str, str]] = {
    "setting": SETTING,
    "held-out": HELD_OUT,
    "healthy-setting": dict.fromkeys(SETTING_HEALTHY, ""),
    "healthy-held-out": dict.fromkeys(HELD_OUT_HEALTHY, ""),
}


def run(name: str, healthy: bool, out: Path) -> dict[str, Any]:
    """Trains, and says what was found.

    Args:
        name: ``trainer/fault``, or ``trainer/game/seed``.
        healthy: Which of the two.
        out: Where the run is kept.
    """
    done = out / "result.json"
    if done.exists():
        found: dict[str, Any] = json.loads(done.read_text())
        return found
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    trainer, *rest = name.split("/")
    game, seed = (rest[0], int(rest[1])) if healthy else ("breakout", 1)
    began, ended = time.monotonic(), "done"
    try:
        if trainer.startswith("sb3"):
            import watch_stable_baselines3 as sb3
            from watch_trainings import STEPS

            sb3.train(trainer, game, seed, STEPS, {} if healthy else sb3.FAULTS[name], out)
        else:
            from watch_trainings import FAULTS, TRAINERS, Fault, train

            train(replace(TRAINERS[trainer], game=game, seed=seed), Fault() if healthy else FAULTS[name], out)
    except (TrainingError, ValueError) as error:  # numbers that are none end a training; that is no end of the bench
        ended = str(error).splitlines()[0]
    lines = read_lines(out)
    result = {
        "name": name,
        "ended": ended,
        "seconds": round(time.monotonic() - began, 1),
        "steps": lines[-1]["step"] if lines else 0,
        "cost": lines[-1].get("watch/cost") if lines else None,
        "findings": read_findings(out),
    }
    write_json(done, result)
    return result


def row(part: str, kind: str, result: dict[str, Any]) -> dict[str, Any]:
    """A line of the table."""
    heard = [one for one in result["findings"] if one["severity"] != "note"]
    right = [one for one in heard if one["rule"] in RULES.get(kind, ())]
    first = min(right, key=lambda one: one["first"], default=None)
    return {
        "part": part,
        "name": result["name"],
        "kind": kind or "healthy",
        "detected": "" if not kind else "yes" if right else "no",
        "severity": first["severity"] if first else "",
        "step": first["first"] if first else "",
        "others": " ".join(sorted({f"{o['rule']}:{o['severity']}@{o['first']}" for o in heard if o not in right})),
        "steps": result["steps"],
        "seconds": result["seconds"],
        "cost": result["cost"],
        "evidence": first["evidence"] if first else "",
    }


def interval(hits: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not of:
        return 0.0, 1.0
    z, p = 1.96, hits / of
    middle, half = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return max(middle - half, 0.0) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def _hits(rows: list[dict[str, Any]]) -> int:
    return sum(r["detected"] == "yes" for r in rows)


def _half(rows: list[dict[str, Any]]) -> str:
    """The step by which half of what was found was."""
    steps = sorted(int(r["step"]) for r in rows if r["step"] != "")
    return f"{steps[(len(steps) - 1) // 2]:,}" if steps else "-"


def summary(rows: list[dict[str, Any]]) -> str:
    """The table, and what it comes to, in Markdown."""
    lines = [
        "# Faults of trainings, and what the watcher says",
        "",
        "Made by `python training/watch_faults.py --table`;",
    ]
    lines += ["what it is about is in [watch.md](watch.md).", ""]
    lines += ["| kind | fault | part | found | at step | other findings |", "| --- | --- | --- | --- | --- | --- |"]
    for one in sorted((r for r in rows if r["detected"]), key=lambda r: (r["kind"], r["name"])):
        found = one["severity"] or "**no**"
        step = f"{one['step']:,}" if one["step"] != "" else ""
        lines.append(f"| {one['kind']} | `{one['name']}` | {one['part']} | {found} | {step} | {one['others']} |")
    lines += ["", "| kind | found | of those held out | half of those found by step |", "| --- | --- | --- | --- |"]
    for kind in RULES:
        mine = [r for r in rows if r["kind"] == kind]
        aside = [r for r in mine if r["part"] == "held-out"]
        lines.append(f"| {kind} | {_hits(mine)} of {len(mine)} | {_hits(aside)} of {len(aside)} | {_half(mine)} |")
    lines.append("")
    for part in ("setting", "held-out"):
        mine = [r for r in rows if r["part"] == part]
        hits, of = _hits(mine), len(mine)
        low, high = interval(hits, of)
        lines.append(f"- {part}: {hits} of {of} found ({low:.0%} to {high:.0%}), half of them by step {_half(mine)}")
    healthy = [r for r in rows if r["part"].startswith("healthy")]
    for severity in ("grave", "warning"):
        alarmed = [r["name"] for r in healthy if f":{severity}@" in r["others"]]
        low, high = interval(len(alarmed), len(healthy))
        lines.append(
            f"- healthy trainings with a {severity} finding: {len(alarmed)} of {len(healthy)} ({low:.0%} to {high:.0%})"
            + (f": {', '.join(alarmed)}" if alarmed else "")
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Runs what was asked for, and writes the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("runs/watch-bench"))
    parser.add_argument("--part", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--name", nargs="*", help="only these")
    parser.add_argument("--table", type=Path, help="write TABLE.csv and TABLE.md of what is done, and run nothing")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for part in options.part:
        for name, kind in PARTS[part].items():
            folder = options.out / name.replace("/", "-")
            if (options.name and name not in options.name) or (options.table and not (folder / "result.json").exists()):
                continue
            found = row(part, kind, run(name, part.startswith("healthy"), folder))
            rows.append(found)
            if not options.table:
                print(
                    {key: found[key] for key in ("name", "detected", "severity", "step", "others", "seconds", "cost")}
                )
    if options.table:
        with options.table.with_suffix(".csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        options.table.with_suffix(".md").write_text(summary(rows))
        print(summary(rows))


if __name__ == "__main__":
    main()
