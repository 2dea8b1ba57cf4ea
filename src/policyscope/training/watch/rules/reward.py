"""Rewards that are not scaled or clipped as was said, or whose size no usual constant fits."""

from __future__ import annotations

from collections.abc import Iterable

from policyscope.diagnosis.finding import Finding, Where
from policyscope.training.watch.told import Told

RULE = "reward"
_REWARDED = 20
_LARGE, _SMALL = 10.0, 0.03
"""Learning rates, clipped gradients and the Huber loss of DQN, and the weights of PPO's losses, are for rewards of
about 1; a factor of 10 is where a value's gradient is clipped in most steps (a norm of 10), one of 0.03 where the
entropy bonus of 0.01 weighs as much as a reward."""
_LONG = 100_000


def reward(told: Told) -> Iterable[Finding]:
    """The rewards that the learner is given."""
    tally, said = told.tally, told.settings.rewards
    where = Where("training", region="reward")
    mean = tally.total / max(tally.rewarded, 1)
    numbers = {"largest": tally.largest, "mean_size": mean, "rewarded": tally.rewarded}
    if said in ("sign", "clip") and tally.beyond:
        yield Finding(
            RULE,
            "grave",
            where,
            f"rewards were said to be clipped, but {tally.beyond:,} of {tally.rewarded:,} are beyond 1, up to "
            f"{tally.largest:g}",
            "clip what is learnt from (np.sign), not only what is logged; look at the order of the wrappers",
            "certain",
            numbers,
        )
    elif said == "sign" and tally.off and tally.rewarded >= _REWARDED:
        yield Finding(
            RULE,
            "grave",
            where,
            f"rewards were said to be signs, but {tally.off:,} of {tally.rewarded:,} are neither 1 nor -1; their "
            "mean size "
            f"is {mean:.3g}",
            "look for a second scaling of the rewards",
            "certain",
            numbers,
        )
    elif said in ("unknown", "clip") and tally.rewarded >= _REWARDED and not _SMALL <= mean <= _LARGE:
        yield Finding(
            RULE,
            "warning",
            where,
            f"rewards have a mean size of {mean:.3g}; the usual constants are for about 1",
            "clip or scale rewards as the protocol says, or say what they are meant to be (rewards=)",
            "possible",
            numbers,
        )
    if not tally.rewarded and tally.states >= _LONG:
        yield Finding(
            RULE,
            "warning",
            where,
            f"not one reward in {tally.states:,} steps: nothing can be learnt from",
            "look at whether rewards reach the learner; if they are that rare, explore more",
            "likely",
            numbers,
        )
