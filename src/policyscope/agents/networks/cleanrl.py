"""CleanRL's Atari networks: one ``nn.Sequential`` named ``network``, and heads beside it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _body(channels: int, layer_norm: bool) -> list[nn.Module]:
    shapes = ((channels, 32, 8, 4, 20), (32, 64, 4, 2, 9), (64, 64, 3, 1, 7))
    layers: list[nn.Module] = []
    for inputs, outputs, kernel, stride, side in shapes:
        layers.append(nn.Conv2d(inputs, outputs, kernel, stride))
        layers += [nn.LayerNorm([outputs, side, side])] if layer_norm else []
        layers.append(nn.ReLU())
    layers += [nn.Flatten(), nn.Linear(3136, 512)]
    layers += [nn.LayerNorm(512)] if layer_norm else []
    return [*layers, nn.ReLU()]


class CleanRLQ(nn.Module):
    """DQN, C51 (``atoms`` above 0; ``q`` is the expectation) and PQN (``layer_norm``)."""

    atoms: Tensor

    def __init__(self, actions: int, channels: int = 4, layer_norm: bool = False, atoms: int = 0) -> None:
        super().__init__()
        self.network = nn.Sequential(*_body(channels, layer_norm), nn.Linear(512, actions * max(atoms, 1)))
        self.categorical = atoms > 0
        if atoms:
            self.register_buffer("atoms", torch.linspace(-10.0, 10.0, atoms))

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``q`` (B, actions)."""
        outputs = self.network(observations)
        if not self.categorical:
            return {"q": outputs}
        return {"q": outputs.view(len(outputs), -1, len(self.atoms)).softmax(dim=2) @ self.atoms}


class CleanRLActorCritic(nn.Module):
    """PPO: an actor and a critic on one body."""

    def __init__(self, actions: int, channels: int = 4) -> None:
        super().__init__()
        self.network = nn.Sequential(*_body(channels, layer_norm=False))
        self.actor = nn.Linear(512, actions)
        self.critic = nn.Linear(512, 1)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``policy`` logits (B, actions) and ``value`` (B, 1)."""
        features = self.network(observations)
        return {"policy": self.actor(features), "value": self.critic(features)}


class CleanRLRecurrentActorCritic(nn.Module):
    """PPO with an LSTM, whose hidden and cell state are the memory."""

    def __init__(self, actions: int, channels: int = 1, hidden: int = 128) -> None:
        super().__init__()
        self.memory_size = 2 * hidden
        self.network = nn.Sequential(*_body(channels, layer_norm=False))
        self.lstm = nn.LSTM(512, hidden)
        self.actor = nn.Linear(hidden, actions)
        self.critic = nn.Linear(hidden, 1)

    def forward(self, observations: Tensor, memory: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] and memory (B, 2 hidden) to streams and memory.

        The streams are ``policy`` logits (B, actions) and ``value`` (B, 1).
        """
        features = self.network(observations).unsqueeze(0)
        hidden, cell = (part.unsqueeze(0).contiguous() for part in memory.chunk(2, dim=1))
        features, (hidden, cell) = self.lstm(features, (hidden, cell))
        memory = torch.cat([hidden[0], cell[0]], dim=1)
        return {"policy": self.actor(features[0]), "value": self.critic(features[0])}, memory
