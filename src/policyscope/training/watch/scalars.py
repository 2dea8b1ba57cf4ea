"""What a curve shows of a watched training: a few numbers a round."""

from __future__ import annotations

import numpy as np

from policyscope.training.watch.chance import log_softmax
from policyscope.training.watch.rules.greedy import explored
from policyscope.training.watch.told import Told


def scalars_of(told: Told) -> dict[str, float]:
    """Name -> number; only those that are known.

    Args:
        told: What the rules are given.
    """
    acted, tally = told.acted, told.tally
    found = {
        "watch/reward": float(acted.rewards.mean()),
        "watch/reward_size": tally.total / max(tally.rewarded, 1),
        "watch/ends": float(acted.ends.mean()),
        "watch/updates": float(told.updates),
    }
    tried = explored(told)
    if tried is not None and acted.q is not None and np.isfinite(tried).any():
        count = acted.q.shape[2]
        found["watch/epsilon"] = min(float(np.nanmean(tried)) * count / (count - 1), 1.0)
        found["watch/q"] = float(np.nanmean(acted.q.max(axis=2)))
    known = acted.known("policy")
    if acted.policy is not None and known.any():
        logs = log_softmax(acted.policy[known])
        found["watch/entropy"] = float(-(np.exp(logs) * logs).sum(axis=1).mean())
    if told.lessons:
        last = told.lessons[-1]
        moves = [lesson.move for lesson in told.lessons if lesson.move is not None]
        if moves:
            found["watch/change"] = moves[-1].change / moves[-1].updates
            found["watch/weights"] = moves[-1].grown
        if last.loss is not None:
            found["watch/loss"] = last.loss
        if last.target_off is not None:
            found["watch/target_off"] = last.target_off
        if last.pull is not None:
            found["watch/loss_on_taken"] = last.pull.on_taken
    return found
