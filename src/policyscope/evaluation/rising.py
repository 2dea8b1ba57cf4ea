"""When a number has risen above chance: scores above untrained networks', returns above those of random play."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from policyscope.storage import Array

SHUFFLES = 8
BEYOND = 4.785
"""Student's t with 7 degrees of freedom is beyond it once in a thousand (one-sided)."""
NORMAL_BEYOND = 3.09
"""A normal number is beyond it as often."""


@dataclass(frozen=True)
class Noise:
    """What untrained networks score.

    Attributes:
        mean: Over them.
        spread: Their standard deviation.
    """

    mean: float
    spread: float

    @classmethod
    def of(cls, scores: Sequence[float] | Array) -> Noise:
        """Of the scores of ``SHUFFLES`` networks."""
        return cls(float(np.mean(scores)), float(np.std(scores, ddof=1)))

    @property
    def limit(self) -> float:
        """What another untrained network passes once in a thousand."""
        return self.mean + BEYOND * self.spread * math.sqrt(1 + 1 / SHUFFLES)


def first_rise(
    steps: Sequence[float], values: Sequence[float], limits: Sequence[float] | Array | float
) -> float | None:
    """The first step at which a value is beyond its limit, and at the next one too.

    Args:
        steps: Rising.
        values: As many.
        limits: What chance passes once in a thousand, of each or of all.

    Returns:
        None where there is no such step.
    """
    beyond = np.asarray(values, float) > np.broadcast_to(np.asarray(limits, float), (len(values),))
    twice = np.flatnonzero(beyond[:-1] & beyond[1:])
    return float(steps[twice[0]]) if len(twice) else None


def reward_limits(games: Sequence[float], mean: float, spread: float, played: int) -> Array:
    """What the mean return of so many games passes once in a thousand, if they are played as at random.

    Args:
        games: How many games each mean is of.
        mean: Return of games played at random.
        spread: Their standard deviation.
        played: How many they were.
    """
    counts = np.maximum(np.asarray(games, float), 1)
    limits: Array = mean + NORMAL_BEYOND * spread * np.sqrt(1 / counts + 1 / played)
    return limits


def shuffled(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy with its weights shuffled, each tensor within itself: their sizes, and nothing that was learnt."""
    made = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in made.parameters():
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return made
