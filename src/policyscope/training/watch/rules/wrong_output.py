"""Actions that do not come from the outputs that were told: the worst, another action's, another state's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.chance import FAR
from policyscope.training.watch.draws import OfPolicy, OfValues
from policyscope.training.watch.told import Told

RULE = "wrong-output"
_STATES, _SWEEPS = 500, 100
_MORE = 0.02
"""Of the states, by which actions have to agree better with others' values than with their own."""
_BY_CHANCE = -0.5
"""How far from the policy towards its opposite (-2) actions are: -1 is pure chance. Nearer to that than to the policy
(0) is none that is a little old, or that chance is added to."""
_ADVICE = (
    "look at how the action is read from the network: argmax over the last axis, of the online network's output, for "
    "the observation that is acted on; and at the order of the actions"
)


def wrong_output(told: Told) -> Iterable[Finding]:
    """By whatever epsilon, the best action is taken at least as often as by chance, and as any other one.

    Asked of the last states, and of all since the beginning, among which a small difference shows.
    """
    for draws in (told.lately, told.ever):
        found = None
        if draws.values is not None:
            found = _of_values(told, draws.values)
        if found is None and draws.policy is not None:
            found = _of_policy(draws.policy)
        if found is not None:
            yield found
            return


def _of_values(told: Told, seen: OfValues) -> Finding | None:
    if seen.states < _STATES or seen.sweeps < _SWEEPS:
        return None
    share, chance = seen.agreeing / seen.states, 1 / seen.actions
    off = seen.chance.deviations
    numbers = {"agreement": share, "chance": chance, "deviations": off}

    def finding(evidence: str, advice: str, sure: str, **more: float) -> Finding:
        where = Where("training", stream="q", region="actions taken")
        return Finding(RULE, "grave", where, evidence, advice, sure, numbers | more)  # type: ignore[arg-type]

    if off < -FAR:
        return finding(
            f"the action of the greatest Q is taken in {share:.1%} of {seen.states:,} states, less than by pure chance "
            f"({chance:.1%}; {-off:.0f} standard deviations)",
            _ADVICE,
            "certain",
        )
    instead = _instead(seen.table)
    if instead is not None:
        good, taken, deviations = instead
        return finding(
            f"where action {good} has the greatest Q, action {taken} is taken more often ({deviations:.0f} standard "
            "deviations); no random action prefers one",
            _ADVICE,
            "certain",
            best=good,
            taken=taken,
            deviations=deviations,
        )
    others = {
        "the state before": seen.earlier,
        "the game before it in the batch": seen.above,
        "the game after it in the batch": seen.below,
    }
    for name, gain in others.items():
        if gain.sweeps >= _SWEEPS and gain.mean > _MORE and gain.deviations > FAR:
            return finding(
                f"actions agree with the network's best ones in {share:.1%} of {seen.states:,} states, but in "
                f"{share + gain.mean:.1%} with those of {name} ({gain.deviations:.0f} standard deviations)",
                "look at which row of the network's output belongs to which game, and whether observations are a step "
                "late",
                "likely",
                others=share + gain.mean,
                deviations=gain.deviations,
            )
    said = seen.said / seen.rows
    if told.whole and np.isfinite(said) and seen.more.deviations > FAR:
        return finding(
            f"actions differ from the best ones in {1 - share:.1%} of the states, with an epsilon that was said to be "
            f"{said:.3f} ({seen.more.deviations:.0f} standard deviations)",
            _ADVICE,
            "likely",
            said=said,
            deviations=seen.more.deviations,
        )
    return None


def _instead(table: np.ndarray) -> tuple[int, int, float] | None:
    """The action that is taken more often than the best one where that is best, and how far beyond chance."""
    diagonal = np.diag(table)[:, None]
    off = (table - diagonal) / np.sqrt(np.maximum(table + diagonal, 1))
    good, taken = np.unravel_index(off.argmax(), off.shape)
    found = float(off[good, taken])
    return (int(good), int(taken), found) if found > FAR else None


def _of_policy(seen: OfPolicy) -> Finding | None:
    off = seen.drawn.deviations
    if seen.states < _STATES or abs(off) < FAR:
        return None
    where = Where("training", stream="policy", region="actions taken")
    numbers = {"deviations": off, "states": float(seen.states)}
    if off < 0:
        grave = seen.drawn.beyond < _BY_CHANCE * seen.drawn.variance
        return Finding(
            RULE,
            "grave" if grave else "warning",
            where,
            f"actions are less likely under the policy than if they were drawn from it ({-off:.0f} standard deviations "
            f"over {seen.states:,} states)",
            "look at how actions are drawn from the network's output: softmax over the last axis, of these logits",
            "certain" if grave else "likely",
            numbers,
        )
    if seen.likeliest == seen.states:  # nothing is drawn: the rule about exploration says so
        return None
    return Finding(
        RULE,
        "warning",
        where,
        f"actions are likelier under the policy than if they were drawn from it ({off:.0f} standard deviations): is "
        "there a temperature, or was the policy changed in between?",
        "tell the outputs that actions were drawn from; learning from other chances than those is off-policy",
        "likely",
        numbers,
    )
