"""Semi-aggregated MDPs of agents of the zoo: docs/samdp.md's pictures and tables.

Run as ``python benchmarks/samdp.py --out docs``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from page import write_between

import policyscope as ps
from policyscope.evaluation.samdp import Samdp, samdp
from policyscope.evaluation.samdp_figure import figure

AGENTS = ("zoo:breakout-dddqn-alone", "zoo:seaquest-a3c-mid")


def section(name: str, found: Samdp, seconds: float) -> str:
    chosen = next(one for one in found.criteria if one["chosen"])
    model = found.model
    lines = [
        f"### {name}",
        "",
        f"![{name}](images/samdp-{name}.png)",
        "",
        f"{len(found.rows)} states, {chosen['clusters']} clusters, window {chosen['window']} (of {len(found.criteria)} "
        f"tried); value mean absolute error {model.error:.2f}, VMSE {model.vmse:.2f}, entropy {model.entropy:.2f}, "
        f"intensity {model.intensity:.1f}; {seconds:.0f} s.",
        "",
        "| cluster | share | agent's value | the graph's | steps | in words |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {row['cluster']} | {100 * row['share']:.0f} % | {row['value']:.2f} | {row['model_value']:.2f} | "
        f"{row['steps']:.1f} | {row['caption']} |"
        for row in found.table()
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    parts = []
    for source in AGENTS:
        agent, name = ps.load_agent(source), source.removeprefix("zoo:")
        episode = ps.play(agent, steps=options.steps, seed=3)
        start = time.perf_counter()
        found = samdp(agent, episode)
        parts.append(section(name, found, time.perf_counter() - start))
        picture = options.out / "images" / f"samdp-{name}.png"
        figure(found, episode, picture, title=f"What {name} knows, and where it leads")
        print(parts[-1], flush=True)
    write_between(options.out / "samdp.md", "benchmarks/samdp.py", "\n\n".join(parts))


if __name__ == "__main__":
    main()
