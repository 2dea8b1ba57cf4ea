"""Feed-forward value networks on the convolutional body of Mnih et al. (2015)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Keras 1, in which the paper's agents were written, has this slope as LeakyReLU's default.
KERAS_LEAKY_SLOPE = 0.3


def nature_body(channels: int, last_stride: int = 1, layer_norm: bool = False) -> nn.Sequential:
    """Three rectified convolutions on an 84 x 84 input, flattened.

    Args:
        channels: Input channels (stacked frames times colours).
        last_stride: Stride of the third convolution: 1 in DQN (3,136 features), 2 in the paper's A3C (1,024).
        layer_norm: Normalise each convolution's output before it is rectified, as PQN does.
    """
    last = (64, 7, 7) if last_stride == 1 else (64, 4, 4)
    layers: list[nn.Module] = []
    for convolution, shape in (
        (nn.Conv2d(channels, 32, kernel_size=8, stride=4), (32, 20, 20)),
        (nn.Conv2d(32, 64, kernel_size=4, stride=2), (64, 9, 9)),
        (nn.Conv2d(64, 64, kernel_size=3, stride=last_stride), last),
    ):
        layers += [convolution, *([nn.LayerNorm(shape)] if layer_norm else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


class DQN(nn.Module):
    """The Q-network of Mnih et al. (2015): one stream, ``q``."""

    def __init__(self, actions: int, channels: int = 4, hidden: int = 512, layer_norm: bool = False) -> None:
        super().__init__()
        self.body = nature_body(channels, layer_norm=layer_norm)
        norm = [nn.LayerNorm(hidden)] if layer_norm else []
        self.head = nn.Sequential(nn.Linear(3136, hidden), *norm, nn.ReLU(), nn.Linear(hidden, actions))

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``q`` (B, actions)."""
        return {"q": self.head(self.body(observations))}


class DuelingDQN(nn.Module):
    """The paper's DDDQN: Q = V + A - mean A (Wang et al., 2016), with a LeakyReLU in the advantage stream."""

    def __init__(self, actions: int, channels: int = 4, hidden: int = 512, layer_norm: bool = False) -> None:
        super().__init__()
        self.body = nature_body(channels, layer_norm=layer_norm)

        def stream(rectifier: nn.Module, outputs: int) -> nn.Sequential:
            norm = [nn.LayerNorm(hidden)] if layer_norm else []
            return nn.Sequential(nn.Linear(3136, hidden), *norm, rectifier, nn.Linear(hidden, outputs))

        self.advantage = stream(nn.LeakyReLU(KERAS_LEAKY_SLOPE), actions)
        self.value = stream(nn.ReLU(), 1)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``q``, ``advantage`` (B, actions), ``value`` (B, 1)."""
        features = self.body(observations)
        advantage, value = self.advantage(features), self.value(features)
        q = value + advantage - advantage.mean(dim=1, keepdim=True)
        return {"q": q, "value": value, "advantage": advantage}


class CategoricalDQN(nn.Module):
    """C51 (Bellemare et al., 2017): a distribution over returns for each action; ``q`` is its expectation."""

    support: Tensor

    def __init__(
        self,
        actions: int,
        channels: int = 4,
        hidden: int = 512,
        atoms: int = 51,
        low: float = -10.0,
        high: float = 10.0,
    ) -> None:
        super().__init__()
        self.body = nature_body(channels)
        self.head = nn.Sequential(nn.Linear(3136, hidden), nn.ReLU(), nn.Linear(hidden, actions * atoms))
        self.register_buffer("support", torch.linspace(low, high, atoms))

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``q`` (B, actions)."""
        return {"q": self.logits(observations).softmax(dim=2) @ self.support}

    def logits(self, observations: Tensor) -> Tensor:
        """Maps observations to the logits of each action's atoms (B, actions, atoms)."""
        logits: Tensor = self.head(self.body(observations))
        return logits.view(len(logits), -1, len(self.support))


class QuantileDQN(nn.Module):
    """QR-DQN (Dabney et al., 2018): ``q`` is the mean of each action's return quantiles."""

    def __init__(self, actions: int, channels: int = 4, hidden: int = 512, quantiles: int = 200) -> None:
        super().__init__()
        self.quantiles = quantiles
        self.body = nature_body(channels)
        self.head = nn.Sequential(nn.Linear(3136, hidden), nn.ReLU(), nn.Linear(hidden, actions * quantiles))

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, channels, 84, 84) in [0, 1] to ``q`` (B, actions)."""
        values = self.head(self.body(observations))
        return {"q": values.view(len(values), self.quantiles, -1).mean(dim=1)}
