"""Which training faults may set thresholds, and which are held out until the watcher's rules are done.

This file was committed before any rule of ``policyscope.training.watch``. A fault that is held out, and a healthy
training that is, was not run while rules were written; the bench reports both parts. (Two faults of
Stable-Baselines3's were moved from those held out to those that set thresholds when tests of the callback had shown
them.) A name is ``trainer/fault``: our value learning (``value``), our actor-critic (``policy``), Stable-Baselines3's
DQN and PPO. The nine kinds are those of the issue, after Nikanjam et al. (2021); ``more`` is what else the watcher is
to see.
"""

from __future__ import annotations

KINDS = (
    "exploration",
    "ends not masked",
    "not reset",
    "target network",
    "wrong output",
    "activation on Q",
    "reward",
    "learning rate",
    "wrong action's loss",
    "more",
)

SETTING = {
    "value/never-explores": "exploration",
    "value/ends-not-masked": "ends not masked",
    "value/never-reset": "not reset",
    "value/target-never": "target network",
    "value/worst-action": "wrong output",
    "value/rectifier-on-q": "activation on Q",
    "value/reward-not-clipped": "reward",
    "value/rate-too-high": "learning rate",
    "value/loss-over-best": "wrong action's loss",
    "policy/always-greedy": "exploration",
    "policy/value-cut-off": "more",
    "sb3-ppo/policy-detached": "more",
    "sb3-dqn/target-always": "target network",
}
"""Fault -> its kind: tried while rules were written."""

HELD_OUT = {
    "value/only-explores": "exploration",
    "policy/collapses": "exploration",
    "policy/stays-uniform": "exploration",
    "value/ends-lost": "ends not masked",
    "policy/ends-not-masked": "ends not masked",
    "value/acts-on-last-game": "not reset",
    "value/target-always": "target network",
    "value/action-shifted": "wrong output",
    "value/action-of-neighbour": "wrong output",
    "policy/logits-negated": "wrong output",
    "value/tanh-on-q": "activation on Q",
    "value/softmax-on-q": "activation on Q",
    "value/reward-scaled-down": "reward",
    "value/reward-shuffled": "reward",
    "value/rate-too-low": "learning rate",
    "value/wrong-optimiser": "learning rate",
    "policy/rate-too-high": "learning rate",
    "value/loss-over-shifted": "wrong action's loss",
    "value/loss-over-all": "wrong action's loss",
    "policy/loss-over-shifted": "wrong action's loss",
    "sb3-dqn/never-explores": "exploration",
    "sb3-dqn/never-reset": "not reset",
    "sb3-dqn/target-never": "target network",
    "sb3-dqn/rectifier-on-q": "activation on Q",
    "sb3-dqn/reward-scaled-up": "reward",
    "sb3-dqn/rate-too-high": "learning rate",
    "sb3-ppo/rate-too-high": "learning rate",
}
"""Fault -> its kind: tried when the rules were done."""

SETTING_HEALTHY = ("value/breakout/1", "policy/breakout/1")
"""``trainer/game/seed`` of healthy trainings that were run while rules were written."""

HELD_OUT_HEALTHY = (
    *(f"value/breakout/{seed}" for seed in (2, 3, 4)),
    *(f"value/pong/{seed}" for seed in (1, 2)),
    *(f"value/seaquest/{seed}" for seed in (1, 2)),
    *(f"policy/breakout/{seed}" for seed in (2, 3, 4)),
    *(f"policy/pong/{seed}" for seed in (1, 2)),
    *(f"{name}/breakout/1" for name in ("c51", "pqn", "a2c", "recurrent")),
    *(f"sb3-dqn/breakout/{seed}" for seed in (1, 2)),
    *(f"sb3-ppo/breakout/{seed}" for seed in (1, 2)),
)
"""Those that were run when the rules were done."""
