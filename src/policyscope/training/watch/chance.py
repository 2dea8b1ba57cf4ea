"""How far a count is from what chance gives: what tells a fault from noise, in standard deviations.

Rules look many times at many things. At ``FAR`` standard deviations a normal number is met once in five hundred million
tries, so that no number of looks that a training can pay for makes a false alarm of chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from policyscope.storage import Array

FAR = 6.0
"""Standard deviations that chance does not reach."""


@dataclass(frozen=True)
class Off:
    """A count beyond what chance gives; two of them add up.

    Attributes:
        beyond: The count less what was expected.
        variance: By chance.
    """

    beyond: float = 0.0
    variance: float = 0.0

    def __add__(self, other: Off) -> Off:
        return Off(self.beyond + other.beyond, self.variance + other.variance)

    @property
    def deviations(self) -> float:
        """In standard deviations of chance; below zero where it is less than expected."""
        return self.beyond / math.sqrt(max(self.variance, 1e-12))


def share_off(hits: Array, expected: Array | float) -> Off:
    """How far the share of hits is off what was expected.

    Games that act together may draw one random number for all of them (Stable-Baselines3's DQN does), so that only
    sweeps count as independent: the variance is that of games wholly alike.

    Args:
        hits: (T, N); what is no number does not count.
        expected: Chance of a hit, of each or of all.
    """
    known = np.isfinite(hits)
    counts = known.sum(axis=1)
    alive = counts > 0
    if not alive.any():
        return Off()
    chances = np.broadcast_to(np.asarray(expected, float), hits.shape)
    off = np.where(known, np.nan_to_num(hits) - chances, 0.0).sum(axis=1)[alive] / counts[alive]
    chance = np.where(known, chances, 0.0).sum(axis=1)[alive] / counts[alive]
    return Off(float(off.sum()), float(np.maximum(chance * (1 - chance), 1e-6).sum()))


def drawn_off(log_chances: Array, actions: Array) -> Off:
    """How much likelier (or less likely) actions are than if drawn from their policy.

    The sum of log p(a) has the mean -H and the variance of log p under p, each action being drawn by itself. Over the
    variance, the difference is 0 for actions that were drawn, about -1 for actions by pure chance (of a policy that is
    not far from uniform) and -2 for those of the opposite policy.

    Args:
        log_chances: (n, A), log of the policy.
        actions: (n,).
    """
    chances = np.exp(log_chances)
    mean = (chances * log_chances).sum(axis=1)
    variance = (chances * (log_chances - mean[:, None]) ** 2).sum(axis=1)
    taken = log_chances[np.arange(len(actions)), actions]
    return Off(float((taken - mean).sum()), float(variance.sum()))


def log_softmax(logits: Array) -> Array:
    """Log of the softmax over the last axis, in double precision."""
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=-1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return found
