"""What a curve shows of a watched training: a few numbers a round."""

from __future__ import annotations

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
    values, policy = told.lately.values, told.lately.policy
    if values is not None and values.states:
        found["watch/epsilon"] = values.epsilon(told.whole)
        found["watch/q"] = values.greatest / values.states
    if policy is not None:
        found["watch/entropy"] = policy.entropy / policy.states
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
