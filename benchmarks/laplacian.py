"""The Laplacian hypothesis on agents of the zoo: docs/laplacian.md's tables and picture.

Run as ``python benchmarks/laplacian.py --agents FOLDER --out docs``; FOLDER holds training runs that are no zoo's yet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from page import write_between

import policyscope as ps
from policyscope.evaluation.laplacian import around, row
from policyscope.evaluation.laplacian_around import Around
from policyscope.evaluation.laplacian_compare import by_loss, compared
from policyscope.evaluation.laplacian_figure import figure
from policyscope.evaluation.table import Table

AGENTS: tuple[tuple[str, str, tuple[str, ...], tuple[int, ...]], ...] = (
    # who, by whom the episode was played, streams, lags
    ("zoo:breakout-dddqn-alone", "zoo:breakout-dddqn-alone", ("q", "value"), (0, 1, 2, 3)),
    ("zoo:breakout-dddqn-early", "zoo:breakout-dddqn-alone", ("q",), (0, 1, 2, 3)),
    ("zoo:breakout-a3c-mid", "zoo:breakout-a3c-mid", ("policy",), (0, 1, 2)),
    ("zoo:seaquest-a3c-mid", "zoo:seaquest-a3c-mid", ("policy",), (0, 1)),
    ("zoo:repaired-recurrent", "zoo:repaired-recurrent", ("policy",), (0,)),
    ("seaquest-dddqn", "seaquest-dddqn", ("q",), (0, 1)),
    ("spaceinvaders-dqn", "spaceinvaders-dqn", ("q",), (0,)),
)
HEADS = ("agent", "stream", "kind", "lag", "at", "core", "surround", "opposition", "ring", "depth", "far")
HEADS = (*HEADS, "ceiling", "LoG", "sigma", "blob", "best operator", "LoG's lead", "verdict")
DRAWN = ("ball", "paddle", "submarine", "fish", "aliens")


def line(one: Around) -> list[str]:
    plain = row(one)
    opposite = f"{plain['opposition']:.2f} [{plain['opposition_low']:.2f}, {plain['opposition_high']:.2f}]"
    lead = f"{plain['lead']:.2f} [{plain['lead_low']:.2f}, {plain['lead_high']:.2f}]"
    numbers = [f"{plain[k]:.2f}" for k in ("ceiling", "laplacian")] + [f"{plain['sigma']:.1f}"]
    place = [
        one.agent,
        one.stream,
        one.kind,
        f"t-{one.lag}",
        one.at,
        f"{plain['core']:.2f}",
        f"{plain['surround']:.2f}",
    ]
    operator = f"{plain['operator']} {plain['operator_explains']:.2f}"
    ring = [str(plain["ring"]), f"{plain['ring_depth']:.2f} [{plain['ring_low']:.2f}, {plain['ring_high']:.2f}]"]
    return [
        *place,
        opposite,
        *ring,
        f"{plain['far_depth']:.2f}",
        *numbers,
        f"{plain['gaussian']:.2f}",
        operator,
        lead,
        one.verdict,
    ]


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--states", type=int, default=240)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    found: list[Around] = []
    episodes: dict[str, ps.Episode] = {}
    for who, player, streams, lags in AGENTS:
        paths = [source(one, options.agents) for one in (who, player)]
        if None in paths:
            continue
        if player not in episodes:
            episodes[player] = ps.play(ps.load_agent(str(paths[1])), steps=options.steps, seed=3)
        agent, name = ps.load_agent(str(paths[0])), who.removeprefix("zoo:")
        for stream in streams:
            found += around(agent, episodes[player], stream=stream, lags=lags, states=options.states, name=name)
        print(who, len(found), flush=True)
    write(found, options.out)


def source(name: str, folder: Path | None) -> str | None:
    if name.startswith("zoo:"):
        return name
    path = None if folder is None else folder / name / "agent.safetensors"
    return str(path) if path is not None and path.exists() else None


def write(found: list[Around], out: Path) -> None:
    newest = [one for one in found if one.lag == 0]
    older = [one for one in found if one.kind == "ball" and one.stream != "value"]
    of = {name: [one for one in found if one.agent == name] for name in {one.agent for one in found}}
    training = compared(of.get("breakout-dddqn-early", []), of.get("breakout-dddqn-alone", []))
    breakout = [one for name in ("breakout-dddqn-alone", "breakout-a3c-mid") for one in of.get(name, [])]
    seaquest = [one for name in ("seaquest-dddqn", "seaquest-a3c-mid") for one in of.get(name, [])]
    parts = [
        ("The newest frame", markdown(HEADS, [line(one) for one in newest])),
        ("The ball through the frames", markdown(HEADS, [line(one) for one in older])),
        ("Training: `breakout-dddqn-early` and `breakout-dddqn-alone`, in the same states", side(training)),
        ("Loss, Breakout: `breakout-dddqn-alone` and `breakout-a3c-mid`", side(by_loss(breakout))),
        ("Loss, Seaquest: `seaquest-dddqn` and `seaquest-a3c-mid`", side(by_loss(seaquest))),
    ]
    text = "\n\n".join(f"### {title}\n\n{body}" for title, body in parts)
    drawn = [
        one for one in newest if one.stream != "value" and one.kind in ("ball", "paddle", "submarine", "fish", "aliens")
    ]
    drawn += [one for one in older if one.lag == 2]
    figure(
        drawn,
        out / "images" / "laplacian.png",
        title="Guided backpropagation around things: mean map, and mean over rings",
    )
    write_between(out / "laplacian.md", "benchmarks/laplacian.py", text)
    print(text)


def side(table: Table) -> str:
    shown = [i for i, head in enumerate(table.columns) if not head.endswith((" low", " high"))]
    cells = [[text(row, i, table.columns) for i in shown] for row in table.rows if row[0] == "acting"]
    return markdown([table.columns[i] for i in shown], cells)


def text(row: Sequence[object], index: int, heads: Sequence[str]) -> str:
    value = row[index]
    if heads[index].endswith(" difference"):
        return f"{row[index]:.2f} [{row[index + 1]:.2f}, {row[index + 2]:.2f}]"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
