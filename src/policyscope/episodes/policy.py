"""How an agent's streams become an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.errors import PolicyscopeError
from policyscope.storage import Array

LOG_STD = "log_std"
_GREEDY = '--policy greedy (in Python policy="greedy")'


@dataclass(frozen=True)
class Policy:
    """A way to act: the best action, a drawn one, or the best but for a random one now and then."""

    kind: Literal["greedy", "sample", "epsilon"]
    epsilon: float = 0.0

    def __str__(self) -> str:
        return f"epsilon={self.epsilon:g}" if self.kind == "epsilon" else self.kind


def policy_of(text: str, agent: Agent) -> Policy:
    """A policy from its text, if the agent can act by it.

    Args:
        text: ``greedy``, ``sample`` or ``epsilon=0.01``.
        agent: Whose streams are asked.

    Raises:
        PolicyscopeError: The text is none, or the agent lacks the streams.
    """
    policy = _parsed(text)
    streams = ", ".join(agent.streams)
    if agent.continuous is not None:
        if "policy" not in agent.streams:
            raise PolicyscopeError(f"continuous actions need a 'policy' stream; {agent.source} has {streams}")
        if policy.kind == "epsilon":
            raise PolicyscopeError(f"epsilon is for discrete actions; {_GREEDY} plays a continuous agent's mean")
        if policy.kind == "sample" and LOG_STD not in agent.streams:
            raise PolicyscopeError(
                f"{agent.source} tells no spread of its actions (no {LOG_STD!r} stream), so that none can be drawn; "
                f"{_GREEDY} plays its mean"
            )
    elif policy.kind == "sample" and "policy" not in agent.streams:
        raise PolicyscopeError(f"drawing actions needs a 'policy' stream; {agent.source} has {streams}; try {_GREEDY}")
    elif not {"q", "policy"} & set(agent.streams):
        raise PolicyscopeError(f"acting needs a 'q' or a 'policy' stream; {agent.source} has {streams}")
    return policy


def choose(policy: Policy, agent: Agent, streams: Mapping[str, Array], seed: int, step: int) -> int | Array:
    """The action of one step.

    Its randomness depends on the seed and the step alone, so that a run can be continued anywhere.

    Args:
        policy: How to act.
        agent: Who acts.
        streams: name -> (k,) float32.
        seed: Of the run.
        step: Row in the run.

    Returns:
        An index, or (k,) float32 within the bounds where actions are continuous.
    """
    drawn = np.random.default_rng([seed, step]) if policy.kind != "greedy" else None
    if agent.continuous is not None:
        means = streams["policy"]
        if drawn is not None:
            means = means + np.exp(streams[LOG_STD]) * drawn.standard_normal(means.shape, np.float32)
        return bounded(means, agent.continuous)
    if drawn is not None and policy.kind == "sample":
        logits = streams["policy"].astype(np.float64)
        cumulative = np.exp(logits - logits.max()).cumsum()
        return min(int(np.searchsorted(cumulative, drawn.random() * cumulative[-1], side="right")), len(logits) - 1)
    values = streams["q"] if "q" in streams else streams["policy"]
    if drawn is not None and drawn.random() < policy.epsilon:
        return int(drawn.integers(len(values)))
    return int(values.argmax())


def bounded(means: Array, bounds: ContinuousActions) -> Array:
    """Means (k,) as actions within their bounds: squashed and scaled, or clipped."""
    low, high = np.asarray(bounds.low, np.float32), np.asarray(bounds.high, np.float32)
    if bounds.squash:
        scaled: Array = low + (np.tanh(means) + 1) / 2 * (high - low)
        return scaled.astype(np.float32)
    return np.clip(means, low, high).astype(np.float32)


def _parsed(text: str) -> Policy:
    if text == "greedy":
        return Policy("greedy")
    if text == "sample":
        return Policy("sample")
    kind, _, value = text.partition("=")
    try:
        epsilon = float(value)
    except ValueError:
        epsilon = -1.0
    if kind != "epsilon" or not 0 <= epsilon <= 1:
        raise PolicyscopeError(
            f"no policy {text!r}; --policy (in Python policy=) is 'greedy', 'sample', or 'epsilon=' and a chance "
            "from 0 to 1"
        )
    return Policy("epsilon", epsilon)
