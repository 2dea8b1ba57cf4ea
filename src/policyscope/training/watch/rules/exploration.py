"""No exploration, or nothing but it: random actions of a value learner, the entropy of a policy."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.chance import FAR, drawn_off, log_softmax, share_off
from policyscope.training.watch.rules.greedy import explored
from policyscope.training.watch.told import Told

RULE = "exploration"
_STATES, _SWEEPS = 2_000, 400
"""With the smallest epsilon that could be meant for a start, 0.05, not one other action in 400 sweeps has a chance of
2e-7 (of four, a random one is the best in a quarter); with the smallest at an end, 0.01, not one in 2,000 states has
one of 3e-7."""
_EARLY = 20_000
_NEVER_FALLS, _HALF, _LONGEST = 0.95, 0.5, 1_000_000
"""A schedule that is still above 0.95 at half of the training would not come below 0.9 by its end. The longest usual
one (the paper's) takes a million steps."""
_COLLAPSED, _UNIFORM, _UPDATES = 0.02, 0.99999, 300
"""Shares of ln(actions). A policy whose likeliest action has 0.99 of four has 0.04. Without a hint of a reward
policies come close to uniform, but an update of Adam at a rate in use alone moves logits by about 0.01 (256 features
of 0.1 times 5e-4), an entropy of 0.9999: closer than that all the time, something holds it there, or nothing reaches
it."""


def exploration(told: Told) -> Iterable[Finding]:
    """Random actions that never or always come, or are not as many as was said; a policy without or of pure chance."""
    yield from _of_values(told)
    yield from _of_policy(told)


def _of_values(told: Told) -> Iterable[Finding]:
    tried = explored(told)
    if tried is None or told.settings.exploration == "own":
        return
    known = np.isfinite(tried)
    states, sweeps = int(known.sum()), int(known.any(axis=1).sum())
    early = told.began == 0 and told.step <= max(_EARLY, 0.1 * (told.settings.steps or 0))
    if sweeps < _SWEEPS or (states < _STATES and not early):
        return
    q = told.acted.q
    assert q is not None
    actions = q.shape[2]
    share = float(np.nanmean(tried))
    epsilon = min(share * actions / (actions - 1), 1.0)
    numbers = {"epsilon": epsilon, "states": states}
    where = Where("training", stream="q", region="exploration")
    if share == 0:
        yield Finding(
            RULE,
            "grave" if early else "warning",
            where,
            f"not one of the last {states:,} actions was another than the best one of the network"
            + (", and the training has hardly begun: 100 % of them would be random at first" if early else ""),
            "let epsilon fall from 1 over the first part of the training; if it explores in another way (noisy "
            "layers), "
            'say exploration="own"',
            "likely" if early else "possible",
            numbers,
        )
    said = _said(told)
    if said is not None and told.whole and share > 0:
        off = share_off(tried, said[:, None] * (actions - 1) / actions)
        if off < -FAR:
            yield Finding(
                RULE,
                "grave",
                where,
                f"epsilon was said to be {np.nanmean(said):.3f}, but actions are random as with {epsilon:.3f} "
                f"({-off:.0f} standard deviations)",
                "look at where epsilon is used: which step it is computed from, and what it is compared with",
                "certain",
                numbers | {"said": float(np.nanmean(said)), "deviations": off},
            )
    low = epsilon - FAR * np.sqrt(0.25 / sweeps) * (0 if epsilon > 0.99 else 1)
    late = told.fraction is not None and told.fraction >= _HALF
    if epsilon > _NEVER_FALLS and low > 0.5 and (late or told.step >= _LONGEST):
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


def _said(told: Told) -> np.ndarray | None:
    """(T,) the epsilon that was said, or None."""
    said = told.acted.epsilon
    return said if np.isfinite(said).all() else None


def _of_policy(told: Told) -> Iterable[Finding]:
    known = told.acted.known("policy")
    if known.sum() < 500 or told.acted.policy is None or told.acted.actions is None:
        return
    recent = known & (np.arange(len(known)) >= len(known) // 2)[:, None]
    logs = log_softmax(told.acted.policy[recent])
    if logs.shape[1] < 2:
        return
    entropy = float(-(np.exp(logs) * logs).sum(axis=1).mean())
    share = entropy / np.log(logs.shape[1])
    where = Where("training", stream="policy", region="exploration")
    numbers = {"entropy": entropy, "of_uniform": share}
    early = told.began == 0 and told.step <= max(_EARLY, 0.05 * (told.settings.steps or 0))
    if share < _COLLAPSED:
        better = told.acted.rewards.mean() > told.first_reward[0] + 3 * told.first_reward[1]
        grave = early and not better
        yield Finding(
            RULE,
            "grave" if grave else "warning",
            where,
            f"the policy's entropy is {entropy:.3g} of {np.log(logs.shape[1]):.3g} nats at step {told.step:,}: it "
            "always "
            "does the same" + (", before rewards have risen" if grave else ""),
            "look at the sign and the weight of the entropy bonus (0.01), the learning rate, and the size of the "
            "logits "
            "at the start (a gain of 0.01)",
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
    logs, actions = log_softmax(told.acted.policy[known]), told.acted.actions[known]
    best = logs.argmax(axis=1) == actions
    off = drawn_off(logs, actions)
    if best.all() and off > FAR and told.settings.exploration != "own":
        yield Finding(
            RULE,
            "grave" if early else "warning",
            where,
            f"all of the last {len(best):,} actions were the policy's likeliest, whose mean chance was "
            f"{np.exp(logs.max(axis=1)).mean():.2f}: none was drawn ({off:.0f} standard deviations)",
            "draw actions from the policy while it learns (torch.distributions.Categorical), not argmax",
            "certain",
            numbers | {"deviations": off},
        )
