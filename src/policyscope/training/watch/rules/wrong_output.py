"""Actions that do not come from the outputs that were told: the worst, another action's, another state's."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.chance import FAR, drawn_off, log_softmax, share_off
from policyscope.training.watch.rules.greedy import best_of, explored
from policyscope.training.watch.told import Told

RULE = "wrong-output"
_STATES, _SWEEPS = 500, 100
_ADVICE = (
    "look at how the action is read from the network: argmax over the last axis, of the online network's output, for "
    "the observation that is acted on; and at the order of the actions"
)


def wrong_output(told: Told) -> Iterable[Finding]:
    """By whatever epsilon, the best action is taken at least as often as by chance, and as any other one."""
    yield from _of_values(told)
    yield from _of_policy(told)


def _of_values(told: Told) -> Iterable[Finding]:
    best, actions = best_of(told), told.acted.actions
    if best is None or actions is None or told.acted.q is None:
        return
    known, count = np.isfinite(best), told.acted.q.shape[2]
    if known.sum() < _STATES or known.any(axis=1).sum() < _SWEEPS:
        return
    where = Where("training", stream="q", region="actions taken")
    hits = np.where(known, best == actions, np.nan)
    share, chance = float(np.nanmean(hits)), 1 / count
    off = share_off(hits, chance)
    numbers = {"agreement": share, "chance": chance, "deviations": off}
    if off < -FAR:
        yield Finding(
            RULE,
            "grave",
            where,
            f"the action of the greatest Q is taken in {share:.1%} of the states, less than by pure chance "
            f"({chance:.1%}; {-off:.0f} standard deviations)",
            _ADVICE,
            "certain",
            numbers,
        )
        return
    instead = _instead(best[known].astype(int), actions[known], count)
    if instead is not None:
        good, taken, deviations = instead
        yield Finding(
            RULE,
            "grave",
            where,
            f"where action {good} has the greatest Q, action {taken} is taken more often ({deviations:.0f} standard "
            "deviations); no random action prefers one",
            _ADVICE,
            "certain",
            numbers | {"best": good, "taken": taken, "deviations": deviations},
        )
        return
    other = _of_others(best, actions)
    if other is not None:
        yield Finding(
            RULE,
            "grave",
            where,
            f"actions agree with the network's best ones in {share:.1%} of the states, but in {other[1]:.1%} with "
            "those of "
            f"{other[0]} ({other[2]:.0f} standard deviations)",
            "look at which row of the network's output belongs to which game, and whether observations are a step late",
            "likely",
            numbers | {"others": other[1], "deviations": other[2]},
        )
        return
    said, tried = told.acted.epsilon, explored(told)
    if told.whole and np.isfinite(said).all() and tried is not None:
        off = share_off(tried, said[:, None])  # random among all or among the others: at most epsilon
        if off > FAR:
            yield Finding(
                RULE,
                "grave",
                where,
                f"actions differ from the best ones in {np.nanmean(tried):.1%} of the states, with an epsilon that was "
                f"said to be {np.nanmean(said):.3f} ({off:.0f} standard deviations)",
                _ADVICE,
                "likely",
                numbers | {"said": float(np.nanmean(said)), "deviations": off},
            )


def _instead(best: np.ndarray, actions: np.ndarray, count: int) -> tuple[int, int, float] | None:
    """The action that is taken more often than the best one where that is best, and how far beyond chance."""
    table = np.zeros((count, count))
    np.add.at(table, (best, actions), 1)
    diagonal = np.diag(table)[:, None]
    off = (table - diagonal) / np.sqrt(np.maximum(table + diagonal, 1))
    good, taken = np.unravel_index(off.argmax(), off.shape)
    found = float(off[good, taken])
    return (int(good), int(taken), found) if found > FAR else None


def _of_others(best: np.ndarray, actions: np.ndarray) -> tuple[str, float, float] | None:
    """Whose best actions agree better with those taken than one's own."""
    known = np.isfinite(best)
    own = np.where(known, best == actions, np.nan)
    late = np.full_like(best, np.nan)
    late[1:] = best[:-1]
    candidates = {"the state before": late}
    if best.shape[1] > 1:
        candidates |= {
            f"the game {n} further": np.roll(best, -shift, axis=1) for n, shift in (("one", 1), ("one less", -1))
        }
    found = []
    for name, others in candidates.items():
        agrees = np.where(np.isfinite(others), others == actions, np.nan)
        gains = agrees - own
        usable = np.isfinite(gains).any(axis=1)
        if usable.sum() < _SWEEPS:
            continue
        each = np.nanmean(gains[usable], axis=1)
        spread = each.std() / np.sqrt(len(each))
        if each.mean() > 0.02 and each.mean() > FAR * max(spread, 1e-9):
            found.append((name, float(np.nanmean(agrees)), float(each.mean() / max(spread, 1e-9))))
    return max(found, key=lambda one: one[1], default=None)


def _of_policy(told: Told) -> Iterable[Finding]:
    known = told.acted.known("policy")
    if known.sum() < _STATES or told.acted.policy is None or told.acted.actions is None:
        return
    logs, actions = log_softmax(told.acted.policy[known]), told.acted.actions[known]
    off = drawn_off(logs, actions)
    if off < -FAR:
        yield Finding(
            RULE,
            "grave",
            Where("training", stream="policy", region="actions taken"),
            f"actions are less likely under the policy than if they were drawn from it ({-off:.0f} standard deviations "
            f"over {len(actions):,} states)",
            "look at how actions are drawn from the network's output: softmax over the last axis, of these logits",
            "certain",
            {"deviations": off},
        )
    elif off > FAR and not (logs.argmax(axis=1) == actions).all():
        yield Finding(
            RULE,
            "warning",
            Where("training", stream="policy", region="actions taken"),
            f"actions are likelier under the policy than if they were drawn from it ({off:.0f} standard "
            "deviations): is "
            "there a temperature, or was the policy changed in between?",
            "tell the outputs that actions were drawn from; learning from other chances than those is off-policy",
            "likely",
            {"deviations": off},
        )
