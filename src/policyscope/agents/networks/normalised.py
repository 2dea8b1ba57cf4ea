"""Observations normalised value by value, as training wrappers do, in front of any network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Normalised(nn.Module):
    """Subtracts a mean and divides by a standard deviation for each value of the observation, then clips.

    Args:
        network: What takes the normalised observations.
        mean: Mean of the recorded observations, of their shape or one that broadcasts to it.
        variance: Their variance.
        scale: What the network's observations are divided by after normalising (255 where bytes were expected).
        clip: Bound of the normalised values; 10 in Stable-Baselines3's ``VecNormalize``.
        epsilon: Added to the variance.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        network: nn.Module,
        mean: Tensor,
        variance: Tensor,
        scale: float = 1.0,
        clip: float = 10.0,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.float())
        self.register_buffer("deviation", torch.sqrt(variance.float() + epsilon))
        self.scale, self.clip = scale, clip
        self.memory_size: int = getattr(network, "memory_size", 0)

    def forward(self, observations: Tensor, *memory: Tensor) -> Any:
        """Maps unscaled observations to what the network returns."""
        normal = ((observations - self.mean) / self.deviation).clamp(-self.clip, self.clip)
        return self.network(normal / self.scale if self.scale != 1 else normal, *memory)
