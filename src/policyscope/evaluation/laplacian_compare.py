"""Which agents' maps are more like a Laplacian: by progress of training, or by what their loss looks at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from policyscope.evaluation.laplacian_around import Around, opposition_of
from policyscope.evaluation.profiles import block_draws
from policyscope.evaluation.statistics import Interval
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

DRAWS = 1000
CHOSEN_ACTION, ALL_ACTIONS = "loss of the chosen action", "loss of all actions"

Key = tuple[str, str, int, str]


def compared(
    first: Sequence[Around], second: Sequence[Around], names: tuple[str, str] = ("early", "late"), title: str = ""
) -> Table:
    """Sets two groups of agents side by side, for each kind of thing, input frame and place that both know.

    A group's number is the mean over its agents; intervals are block bootstraps over frames, and say nothing of other
    agents that might have been trained. Streams are matched by what they are (the value, or what the agent acts by).

    Args:
        first: Of one group's agents, as ``around`` has them.
        second: Of the other's.
        names: What the groups are called.
        title: Of the table.
    """
    one, other = _by_key(first), _by_key(second)
    rows = []
    for key in (key for key in one if key in other):
        cells: list[Cell] = list(key)
        for measure in (_opposition, _transition):
            ways = [np.mean([measure(a) for a in group[key]], axis=0) for group in (one, other)]
            gap = _interval(ways[1] - ways[0])
            cells += [float(ways[0][0]), float(ways[1][0]), gap.mean, gap.low, gap.high, _told(gap, names)]
        rows.append(cells)
    heads = [
        f"{name}{part}"
        for name in ("opposition", "transition")
        for part in (f" {names[0]}", f" {names[1]}", " difference", " low", " high", " stronger")
    ]
    return Table(
        title or f"Core and surround, {names[0]} and {names[1]}",
        ["stream", "kind", "lag", "at", *heads],
        rows,
        "Opposition: 1 where core and surround are as strong and of opposite sign, -1 where they are the same. "
        "Transition: how far the map changes from core to surround, in standard deviations of the map.",
    )


def loss_of(agent: Around) -> str:
    """Whether an agent learned from the chosen action's value alone, or from all actions: told by what it acts by."""
    return CHOSEN_ACTION if agent.acts_by == "q" else ALL_ACTIONS


def by_loss(found: Sequence[Around]) -> Table:
    """Value learners, whose loss sees the chosen action alone, beside policy-gradient agents: the paper's guess.

    Args:
        found: Of agents of both sorts, as ``around`` has them.
    """
    groups = {loss: [one for one in found if loss_of(one) == loss] for loss in (CHOSEN_ACTION, ALL_ACTIONS)}
    return compared(
        groups[CHOSEN_ACTION],
        groups[ALL_ACTIONS],
        ("chosen action", "all actions"),
        "Core and surround by what the loss looks at",
    )


def _by_key(found: Sequence[Around]) -> dict[Key, list[Around]]:
    groups: dict[Key, list[Around]] = {}
    for one in found:
        stream = "value" if one.stream == "value" else "acting"
        groups.setdefault((stream, one.kind, one.lag, one.at), []).append(one)
    return groups


def _opposition(one: Around) -> Array:
    """Of all frames, then of bootstrap samples, (1 + draws,)."""
    core, surround, rows = _sampled(one)
    return np.asarray(opposition_of(core[rows].mean(axis=1), surround[rows].mean(axis=1)))


def _transition(one: Around) -> Array:
    core, surround, rows = _sampled(one)
    return np.asarray(np.abs(core - surround)[rows].mean(axis=1))


def _sampled(one: Around) -> tuple[Array, Array, Array]:
    known = np.isfinite(one.core) & np.isfinite(one.surround)
    core, surround = one.core[known], one.surround[known]
    rows = np.concatenate([np.arange(len(core))[None], block_draws(core - surround, DRAWS)])
    return core, surround, rows


def _interval(values: Array) -> Interval:
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return Interval(float(values[0]), float(low), float(high), len(values) - 1)


def _told(gap: Interval, names: tuple[str, str]) -> str:
    return {"higher": names[1], "lower": names[0]}.get(gap.against(), "neither")
