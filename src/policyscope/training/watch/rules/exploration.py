"""No exploration, or nothing but it: random actions of a value learner, the entropy of a policy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.chance import FAR
from policyscope.training.watch.draws import OfPolicy
from policyscope.training.watch.told import Told

RULE = "exploration"
_SWEEPS, _SWEEPS_LATE = 400, 2_000
"""With the smallest epsilon that could be meant for a start, 0.05, not one other action in 400 sweeps has a chance of
2e-7 (of four, a random one is the best in a quarter); with the smallest at an end, 0.01, not one in 2,000 has one of
3e-7."""
_EARLY = 20_000
_LEAST, _SAID = 0.01, 100
"""The smallest epsilon in use, at an end; said in so many steps since the beginning, it is what is meant."""
_NEVER_FALLS, _HALF, _LONGEST, _STATES = 0.95, 0.5, 1_000_000, 2_000
"""A schedule that is still above 0.95 at half of the training would not come below 0.9 by its end. The longest usual
one (the paper's) takes a million steps."""
_COLLAPSED, _UNIFORM, _UPDATES, _FEWEST = 0.02, 0.99999, 300, 500
"""Shares of ln(actions). A policy whose likeliest action has 0.99 of four has 0.04. Without a hint of a reward
policies come close to uniform, but an update of Adam at a rate in use alone moves logits by about 0.01 (256 features
of 0.1 times 5e-4), an entropy of 0.9999: closer than that all the time, something holds it there, or nothing reaches
it."""


def exploration(told: Told) -> Iterable[Finding]:
    """Random actions that never or always come, or are not as many as was said; a policy without or of pure chance."""
    if told.settings.exploration != "own":
        yield from _of_epsilon(told)
    if told.lately.policy is not None and told.lately.policy.states >= _FEWEST:
        yield from _of_policy(told, told.lately.policy)


def _early(told: Told, share: float) -> bool:
    return told.began == 0 and told.step <= max(_EARLY, share * (told.settings.steps or 0))


def _of_epsilon(told: Told) -> Iterable[Finding]:
    where, early = Where("training", stream="q", region="exploration"), _early(told, 0.1)
    advice = (
        "let epsilon fall from 1 over the first part of the training; if it explores in another way (noisy layers), "
        'say exploration="own"'
    )
    if early and told.tally.epsilon < _LEAST and told.tally.sweeps >= _SAID:
        yield Finding(
            RULE,
            "grave",
            where,
            f"epsilon was said to be {told.tally.epsilon:g}{' at most' if told.tally.epsilon else ''} from the "
            "beginning on: nothing is tried but what an untrained network prefers",
            advice,
            "likely",
            {"said": told.tally.epsilon},
        )
        return
    lately, ever = told.lately.values, told.ever.values
    if lately is None or ever is None:
        return
    stretch = ever if early else lately
    other, states = stretch.tried(told.whole)
    sweeps = stretch.sweeps if told.whole else stretch.rows
    if not other and sweeps >= (_SWEEPS if early else _SWEEPS_LATE):
        yield Finding(
            RULE,
            "grave" if early else "warning",
            where,
            f"not one of the {'first' if early else 'last'} {states:,} actions was another than the best one of the "
            "network" + (": an untrained one's preference is all that is tried" if early else ""),
            advice,
            "likely" if early else "possible",
            {"epsilon": 0.0, "states": states},
        )
        return
    other, states = lately.tried(told.whole)
    sweeps = lately.sweeps if told.whole else lately.rows
    epsilon, said = lately.epsilon(told.whole), lately.said / lately.rows
    numbers = {"epsilon": epsilon, "states": states}
    if told.whole and np.isfinite(said) and sweeps >= _SWEEPS and lately.fewer.deviations < -FAR:
        yield Finding(
            RULE,
            "grave",
            where,
            f"epsilon was said to be {said:.3f}, but actions are random as with {epsilon:.3f} "
            f"({-lately.fewer.deviations:.0f} standard deviations)",
            "look at where epsilon is used: which step it is computed from, and what it is compared with",
            "certain",
            numbers | {"said": said, "deviations": lately.fewer.deviations},
        )
    low = epsilon - (FAR * np.sqrt(0.25 / max(sweeps, 1)) if epsilon <= 0.99 else 0)
    late = told.fraction is not None and told.fraction >= _HALF
    if states >= _STATES and epsilon > _NEVER_FALLS and low > 0.5 and (late or told.step >= _LONGEST):
        yield Finding(
            RULE,
            "grave" if late else "warning",
            where,
            f"actions are still random as with epsilon {epsilon:.2f} at step {told.step:,}"
            + (f", {told.fraction:.0%} of the training" if told.fraction else "")
            + ": what was learnt is hardly used",
            "let epsilon fall to 0.1 or less in the first tenth to half of the training",
            "likely",
            numbers,
        )


def _of_policy(told: Told, seen: OfPolicy) -> Iterable[Finding]:
    entropy, greatest = seen.entropy / seen.states, seen.uniform / seen.states
    share = entropy / greatest
    where = Where("training", stream="policy", region="exploration")
    numbers = {"entropy": entropy, "of_uniform": share}
    early = _early(told, 0.05)
    if share < _COLLAPSED:
        better = told.acted.rewards.mean() > told.first_reward[0] + 3 * told.first_reward[1]
        grave = early and not better
        yield Finding(
            RULE,
            "grave" if grave else "warning",
            where,
            f"the policy's entropy is {entropy:.3g} of {greatest:.3g} nats at step {told.step:,}: it always does the "
            "same" + (", before rewards have risen" if grave else ""),
            "look at the sign and the weight of the entropy bonus (0.01), the learning rate, and the size of the "
            "logits at the start (a gain of 0.01)",
            "likely",
            numbers,
        )
    moves = [lesson.move for lesson in told.lessons if lesson.move is not None]
    if share > _UNIFORM and told.updates >= _UPDATES and not (moves and moves[-1].left < 0.1):
        yield Finding(
            RULE,
            "warning",
            where,
            f"after {told.updates:,} updates the policy is still uniform: its entropy is {share:.5f} of the greatest",
            "look at whether the policy's loss reaches its weights, and at the weight of the entropy bonus (0.01)",
            "likely",
            numbers,
        )
    if seen.likeliest == seen.states and seen.drawn.deviations > FAR and told.settings.exploration != "own":
        yield Finding(
            RULE,
            "grave" if early else "warning",
            where,
            f"all of the last {seen.states:,} actions were the policy's likeliest, whose mean chance was "
            f"{seen.surest / seen.states:.2f}: none was drawn ({seen.drawn.deviations:.0f} standard deviations)",
            "draw actions from the policy while it learns (torch.distributions.Categorical), not argmax",
            "certain",
            numbers | {"deviations": seen.drawn.deviations},
        )
