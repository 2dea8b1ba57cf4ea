"""Feed-forward actor-critics: one body, a policy and a value on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policyscope.agents.networks.dqn import nature_body


class SharedBody(nn.Module):
    """Convolutions and a dense layer, rectified, and two heads on them."""

    def __init__(self, convolutions: nn.Sequential, features: int, hidden: int, actions: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*convolutions, nn.Linear(features, hidden), nn.ReLU())
        self.policy = nn.Linear(hidden, actions)
        self.value = nn.Linear(hidden, 1)
        # A policy that begins near uniform explores; large first logits can end exploration at once.
        with torch.no_grad():
            self.policy.weight.mul_(0.01)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``policy`` logits (B, actions) and ``value`` (B, 1)."""
        features = self.body(observations)
        return {"policy": self.policy(features), "value": self.value(features)}


class ActorCritic(SharedBody):
    """The paper's A3C network: three convolutions, the last with stride 2, and a dense layer of 256."""

    def __init__(self, actions: int, channels: int = 3, hidden: int = 256, last_stride: int = 2) -> None:
        features = 64 * (4 if last_stride == 2 else 7) ** 2
        super().__init__(nature_body(channels, last_stride), features, hidden, actions)


class SmallActorCritic(SharedBody):
    """The network of the first A3C (Mnih et al., 2016): two convolutions of 16 and 32 channels, a dense layer of 256.

    Two fifths of the products of the paper's, and trained nearly twice as fast: for teachers.
    """

    def __init__(self, actions: int, channels: int = 3, hidden: int = 256) -> None:
        convolutions = nn.Sequential(
            nn.Conv2d(channels, 16, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        super().__init__(convolutions, 2592, hidden, actions)
