"""The small recurrent actor-critic of baby-a3c (S. Greydanus, 2017), which perturbation saliency explained."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class GRUActorCritic(nn.Module):
    """Four convolutions of stride 2 with ELU, and a GRU cell whose state is the memory."""

    def __init__(self, actions: int, channels: int = 1, memory_size: int = 256) -> None:
        super().__init__()
        self.memory_size = memory_size
        self.conv1 = nn.Conv2d(channels, 32, kernel_size=3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 32, kernel_size=3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, kernel_size=3, stride=2, padding=1)
        self.conv4 = nn.Conv2d(32, 32, kernel_size=3, stride=2, padding=1)
        self.gru = nn.GRUCell(32 * 5 * 5, memory_size)
        self.critic_linear = nn.Linear(memory_size, 1)
        self.actor_linear = nn.Linear(memory_size, actions)

    def forward(self, observations: Tensor, memory: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Maps observations (B, channels, 80, 80) in [0, 1] and memory (B, memory_size) to streams and memory.

        The streams are ``policy`` logits (B, actions) and ``value`` (B, 1).
        """
        features = F.elu(self.conv1(observations))
        features = F.elu(self.conv2(features))
        features = F.elu(self.conv3(features))
        features = F.elu(self.conv4(features))
        memory = self.gru(features.flatten(1), memory)
        return {"policy": self.actor_linear(memory), "value": self.critic_linear(memory)}, memory
