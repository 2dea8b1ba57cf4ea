"""Returns that are not cut where a life or a game ends: the value of what comes after is learnt into it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "ends-not-masked"
_ENDED = 5
_EXPECTED = 20
"""Expected and none met: a chance of e^-20, 2e-9. What was acted last is not expected yet: who learns from stretches of
steps, several times from each, has not had the ends of the newest one."""
_ADVICE = "multiply what is bootstrapped by (1 - terminated); a time limit (truncated) is no such end"


def ends_not_masked(told: Told) -> Iterable[Finding]:
    """By the targets of ended transitions; by how many there are; else by the values just before ends."""
    goals = [lesson.goals for lesson in told.lessons if lesson.goals is not None]
    where = Where("training", region="targets")
    ended, wrong = sum(g.ended for g in goals), sum(g.open for g in goals)
    if ended >= _ENDED and wrong:
        share = wrong / ended
        excess = float(np.mean([g.excess for g in goals if g.ended]))
        yield Finding(
            RULE,
            "grave" if share > 0.5 else "warning",
            where,
            f"of {ended:,} transitions that end a return, {wrong:,} have another target than their reward (by "
            f"{excess:.3g} "
            "on the mean; it should be 0)",
            _ADVICE,
            "certain" if share > 0.5 else "likely",
            {"ended": ended, "open": wrong, "excess": excess},
        )
        return
    drawn = told.drawn
    if drawn is not None and not drawn.ended and drawn.expected > _EXPECTED and told.tally.ends >= _ENDED:
        yield Finding(
            RULE,
            "grave",
            where,
            f"of {drawn.rows:,} transitions that were learnt from, none ends a return, but one of "
            f"{told.tally.states / told.tally.ends:.0f} steps does: at least {drawn.expected:.0f} should",
            "look at how ends come into the replay, and from it into the targets. " + _ADVICE,
            "certain",
            {"rows": drawn.rows, "expected": drawn.expected},
        )
    if not goals:
        yield from _by_values(told)


def _by_values(told: Told) -> Iterable[Finding]:
    """Values that tell good states from bad ones elsewhere, but expect as much of states after which nothing comes."""
    acted = told.acted
    if told.settings.gamma is None or acted.ends.sum() < 50 or told.updates < 1_000:
        return
    if acted.q is not None and acted.actions is not None:
        known = acted.known("q")
        values = np.take_along_axis(np.nan_to_num(acted.q), acted.actions[..., None], axis=2)[..., 0]
    elif acted.value is not None:
        known, values = np.isfinite(acted.value), np.nan_to_num(acted.value)
    else:
        return
    returns, whole, left = _returns(acted.rewards, acted.ends, told.settings.gamma)
    middle = known & whole & (left > 10)
    last = known & acted.ends
    if middle.sum() < 500 or last.sum() < 50 or values[middle].std() == 0 or returns[middle].std() == 0:
        return
    related = float(np.corrcoef(values[middle], returns[middle])[0, 1])
    beyond = values[last] - acted.rewards[last]
    ratio = float(beyond.mean() / max(values[middle].mean(), 1e-9))
    error = float(beyond.std() / np.sqrt(len(beyond)) / max(values[middle].mean(), 1e-9))
    if related > 0.3 and values[middle].mean() > 0 and ratio - 3 * error > 0.8:
        yield Finding(
            RULE,
            "warning",
            Where("training", region="values"),
            f"values follow the returns elsewhere (correlation {related:.2f}), but before ends, after which "
            "nothing comes, "
            f"they are {ratio:.2f} of those elsewhere",
            _ADVICE + "; give learnt() the targets, rewards and ends of a batch to be sure",
            "possible",
            {"ratio": ratio, "related": related},
        )


def _returns(rewards: np.ndarray, ends: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Discounted returns (T, N), whether their end was seen, and the steps up to it."""
    found, whole, left = np.zeros(rewards.shape), np.zeros(rewards.shape, bool), np.zeros(rewards.shape)
    after, seen, steps = np.zeros(rewards.shape[1]), np.zeros(rewards.shape[1], bool), np.zeros(rewards.shape[1])
    for row in reversed(range(len(rewards))):
        ended = ends[row]
        after = rewards[row] + gamma * np.where(ended, 0.0, after)
        seen, steps = seen | ended, np.where(ended, 0, steps + 1)
        found[row], whole[row], left[row] = after, seen, steps
    return found, whole, left
