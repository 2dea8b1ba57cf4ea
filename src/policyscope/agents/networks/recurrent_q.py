"""The paper's recurrent duelling networks over ten frames: attention split between the streams, or shared.

Each frame goes alone through one convolutional body; what differs is where attention over time sits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policyscope.agents.networks.dqn import nature_body


class FrameBody(nn.Module):
    """One body for every frame of a sequence."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*nature_body(channels), nn.Linear(3136, hidden), nn.ReLU())

    def forward(self, observations: Tensor) -> Tensor:
        """Maps (B, T, channels, 84, 84) to (B, T, hidden); the body sees B x T frames, a sequence's side by side."""
        batch, steps = observations.shape[:2]
        features: Tensor = self.body(observations.flatten(0, 1))
        return features.view(batch, steps, -1)


class SummedBidirectionalLSTM(nn.Module):
    """LSTM layers that run both ways over time, each handing on the sum of its directions."""

    def __init__(self, inputs: int, hidden: int, layers: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.LSTM(inputs if layer == 0 else hidden, hidden, batch_first=True, bidirectional=True)
            for layer in range(layers)
        )

    def forward(self, sequence: Tensor) -> Tensor:
        """Maps (B, T, inputs) to (B, T, hidden)."""
        return self.through(sequence, slice(None))

    def through(self, sequence: Tensor, layers: slice) -> Tensor:
        """What some of the layers make of a sequence."""
        for layer in list(self.layers)[layers]:
            both, _ = layer(sequence)
            forward, backward = both.chunk(2, dim=2)
            sequence = forward + backward
        return sequence


class TemporalAttention(nn.Module):
    """A weight for each step: a dense unit with tanh, softmax over the steps."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.score = nn.Linear(inputs, 1)

    def forward(self, sequence: Tensor) -> Tensor:
        """Maps (B, T, inputs) to weights (B, T, 1) that add up to 1 over T."""
        return torch.tanh(self.score(sequence)).softmax(dim=1)


class _DuelingSequence(nn.Module):
    """Frames, an LSTM for the value and one for the advantages, and what they say at each step."""

    def __init__(self, actions: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.frames = FrameBody(channels, hidden)
        self.value_lstm = SummedBidirectionalLSTM(hidden, hidden)
        self.advantage_lstm = SummedBidirectionalLSTM(hidden, hidden)
        self.value = nn.Linear(hidden, 1)
        self.advantage = nn.Linear(hidden, actions)

    def over_time(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Maps features of frames (B, T, hidden) to values (B, T, 1) and advantages (B, T, actions)."""
        return self.value(self.value_lstm(features)), self.advantage(self.advantage_lstm(features))

    def merged(self, value: Tensor, advantage: Tensor) -> Tensor:
        """Adds the streams, (B, T, 1) and (B, T, actions), as dueling networks do."""
        return value + advantage - advantage.mean(dim=2, keepdim=True)


class SplitAttentionDRQN(_DuelingSequence):
    """The paper's split-attention DDDRQN: value and advantage streams, each with its own attention over time."""

    def __init__(self, actions: int, channels: int = 1, hidden: int = 512) -> None:
        super().__init__(actions, channels, hidden)
        self.value_attention = TemporalAttention(1)
        self.advantage_attention = TemporalAttention(actions)
        self.head = nn.Linear(actions, actions)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, T, channels, 84, 84) in [0, 1] to streams.

        Returns:
            ``q`` and ``advantage`` (B, actions), ``value`` (B, 1), the latter two added over the attended steps; and
            the attention itself, ``attention_value`` and ``attention_advantage`` (B, T).
        """
        return self.from_features(self.frames(observations))

    def from_features(self, features: Tensor) -> dict[str, Tensor]:
        """The same streams, from the features of the frames (B, T, hidden)."""
        value, advantage = self.over_time(features)
        value_weights, advantage_weights = self.value_attention(value), self.advantage_attention(advantage)
        value, advantage = value * value_weights, advantage * advantage_weights
        merged = self.merged(value, advantage)
        return {
            "q": self.head(merged.sum(dim=1)),
            "value": value.sum(dim=1),
            "advantage": advantage.sum(dim=1),
            "attention_value": value_weights.squeeze(2),
            "attention_advantage": advantage_weights.squeeze(2),
        }


class SharedAttentionDRQN(_DuelingSequence):
    """The baseline after Sorokin et al. (2015): the same streams, one attention after they are merged."""

    def __init__(self, actions: int, channels: int = 1, hidden: int = 512) -> None:
        super().__init__(actions, channels, hidden)
        self.attention = TemporalAttention(actions)
        self.head = nn.Linear(actions, actions)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, T, channels, 84, 84) in [0, 1] to streams.

        Returns:
            ``q`` and ``advantage`` (B, actions), ``value`` (B, 1), the latter two weighted by the attention and added
            over the steps; and ``attention`` (B, T).
        """
        return self.from_features(self.frames(observations))

    def from_features(self, features: Tensor) -> dict[str, Tensor]:
        """The same streams, from the features of the frames (B, T, hidden)."""
        value, advantage = self.over_time(features)
        merged = self.merged(value, advantage)
        weights = self.attention(merged)
        return {
            "q": self.head((merged * weights).sum(dim=1)),
            "value": (value * weights).sum(dim=1),
            "advantage": (advantage * weights).sum(dim=1),
            "attention": weights.squeeze(2),
        }
