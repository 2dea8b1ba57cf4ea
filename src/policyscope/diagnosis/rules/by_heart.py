"""Behaviour that was learnt by heart: actions that stay the same whatever is seen."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.altered import Altered, distance
from policyscope.diagnosis.changed_game import Compared, compared
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import bars, beside, strip
from policyscope.storage import Array

CONSTANT = 0.02
"""Mean distance of two decisions: in ninety-nine states of a hundred the agent does the same."""
AGREED = 0.8
"""Kappa from which agreement is called almost perfect (Landis and Koch, 1977)."""
FEWEST, BLOCK = 16, 4
"""States below which nothing is said, and states in a row that are drawn together for the interval."""
KEPT = 0.25
"""Of the lead over chance. Half of it may be lost in a game that is only harder."""
KINDS = {
    "replaced": "what was seen is replaced by another moment's",
    "removed": "all that moves is painted over",
    "moved": "all that moves is put elsewhere",
}


def by_heart(examination: Examination) -> Iterator[Finding]:
    """Whether actions depend on what is seen at all, found by changing it.

    The distance d of two decisions is the total variation of their action probabilities (a greedy agent's best action
    has all of it). Where the observation is altered, kappa = 1 - mean d(before, after) / mean d(before, any other
    moment's) is the agreement beyond that of unrelated moments: 1 if nothing changes, 0 if the decision is as good as
    another moment's. A warning where the 95 % interval lies above 0.8 for every alteration, or where all decisions of
    the episode are the same. An agent without a memory decides by what it sees alone, so its observation is not
    replaced. Never grave: a healthy score can hide it, and an early agent may act so.
    """
    if examination.acting not in examination.streams or len(examination.episode) < FEWEST:
        return
    if not np.isfinite(examination.streams[examination.acting]).all():
        return
    altered = Altered(examination)
    if len(altered.rows) < FEWEST:
        return
    constant = float(altered.chance.mean())
    if constant < CONSTANT:
        yield _constant(examination, altered, constant)
        return
    kappas = _kappas(altered, remembers=bool(examination.agent.memory_size))
    if kappas and all(low > AGREED for _, low, _ in kappas.values()):
        yield _unmoved(examination, altered, kappas)
    if examination.following:
        yield from _collapsed(examination)


def _constant(examination: Examination, altered: Altered, found: float) -> Finding:
    names, means = examination.agent.actions, altered.all.mean(axis=0)
    best = int(means.argmax())
    if examination.agent.continuous is not None:
        words = f"continuous actions differ by {found:.3f} of their range from one moment to another"
    elif means[best] > 1 - CONSTANT:
        words = f"the agent takes {names[best]} in {means[best]:.0%} of {len(altered.all)} states"
    else:
        words = f"the probabilities of actions differ by {found:.3f} from one moment to another"
    return Finding(
        "by_heart",
        "warning",
        Where("behaviour", stream=examination.acting),
        f"{words}, whatever it sees (healthy: more than {CONSTANT} between two moments)",
        "an agent that has just begun to learn may act so; a trained one does not look: check that its weights were "
        "loaded, whether it explored, and whether one action wins because of its bias alone",
        "certain" if found == 0 else "likely",
        {"distance of two moments": found},
        bars(names, np.abs(means).tolist(), "Mean decision over the episode", mark=[best]),
    )


def _kappas(altered: Altered, *, remembers: bool) -> dict[str, tuple[float, float, float]]:
    """Alteration -> (kappa, lower end, upper end) of those that can be made."""
    found = {}
    for kind in KINDS:
        if kind == "replaced" and not remembers:
            continue
        counts = np.ones(len(altered.rows), bool) if kind == "replaced" else altered.moving
        if counts.sum() < FEWEST:
            continue
        changes = distance(getattr(altered, kind), altered.taken)[counts]
        found[kind] = _kappa(changes, altered.chance[counts])
    return found


def _kappa(changes: Array, chance: Array) -> tuple[float, float, float]:
    def measure(rows: Array) -> float:
        usual = chance[rows].mean()
        return float(1 - changes[rows].mean() / usual) if usual > 0 else float("nan")

    return measure(np.arange(len(changes))), *interval(measure, len(changes), BLOCK)


def _unmoved(examination: Examination, altered: Altered, kappas: dict[str, tuple[float, float, float]]) -> Finding:
    listed = ", ".join(f"{k:.2f} [{low:.2f}, {high:.2f}] when {KINDS[name]}" for name, (k, low, high) in kappas.items())
    blind = "replaced" in kappas
    return Finding(
        "by_heart",
        "warning",
        Where("behaviour", stream=examination.acting, region=None if blind else "all that moves"),
        f"actions do not depend on what is seen: kappa {listed} (healthy: well below {AGREED})",
        (
            "the agent plays from memory, as by a clock: train it with sticky actions, random starts (no-ops) or other "
            "seeds, and look at what its memory holds"
            if blind
            else "the agent acts by what stands still, such as the score: hide that from it, and train it with sticky "
            "actions and random starts"
        ),
        "likely",
        {f"kappa {name}": value[0] for name, value in kappas.items()},
        _picture(examination, altered, kappas),
    )


def _picture(examination: Examination, altered: Altered, kappas: dict[str, tuple[float, float, float]]) -> Array:
    names, values = [], []
    for name, (kappa, _, _) in kappas.items():
        names.append(f"{name}")
        values.append(max(kappa, 0.0))
    chart = bars(
        names,
        values,
        "Decisions that stay the same, beyond chance",
        mark=range(len(names)),
        most=1.0,
        foot="; ".join(f"{name}: {KINDS[name]}" for name in names) + ". 0 is chance, 1 is all of them.",
    )
    moving = np.flatnonzero(altered.moving)
    if not len(moving):
        return chart
    row = int(altered.rows[moving[len(moving) // 2]])
    shown = np.stack([altered.seen(row), altered.seen(row, "removed")])
    return beside([strip(shown, ["as it was", "without what moves"], f"Step {row}"), chart])


def _collapsed(examination: Examination) -> Iterator[Finding]:
    """A note on each change of the game in which the agent loses its lead over chance."""
    usual, others = compared(examination)
    if usual is None or interval(lambda rows: usual.lead(rows), usual.games)[0] <= 0:
        return
    for other in others:

        def kept(rows: Array, other: Compared = other) -> float:
            lead = usual.lead(rows)
            return other.lead(rows) / lead if lead > 0 else float("nan")

        low, high = interval(kept, usual.games)
        if not high < KEPT:
            continue
        yield Finding(
            "by_heart",
            "warning",
            Where("behaviour", stream=examination.acting, region=other.name),
            f"with {other.name} the agent keeps {kept(np.arange(usual.games)):.0%} [{low:.0%}, {high:.0%}] of its lead "
            f"over chance: {other.returns.mean():.1f} against {other.chance.mean():.1f} by chance, in the usual game "
            f"{usual.returns.mean():.1f} against {usual.chance.mean():.1f}, over {usual.games} short games each "
            f"(healthy: more than {KEPT:.0%} where only the difficulty changes)",
            "a change of the game that a person would hardly notice is too much for it: train with several modes, or "
            "with sticky actions and random starts; where the mode changes the rules, this is no surprise",
            "possible",
            {"kept": kept(np.arange(usual.games)), "return": float(other.returns.mean())},
            bars(
                ["usual game", "by chance", other.name, f"{other.name}, by chance"],
                [max(float(v.mean()), 0.0) for v in (usual.returns, usual.chance, other.returns, other.chance)],
                "Mean return of short games",
                mark=[2],
            ),
        )
