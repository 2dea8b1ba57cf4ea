"""The paper's A3C with LSTMs and attention over time, on ten frames."""

from __future__ import annotations

from torch import Tensor, nn

from policyscope.agents.networks.recurrent_q import FrameBody, TemporalAttention


class RecurrentActorCritic(nn.Module):
    """An actor and a critic stream, each one LSTM over the frames, its per-step outputs weighted and summed."""

    def __init__(self, actions: int, channels: int = 1, hidden: int = 512) -> None:
        super().__init__()
        self.frames = FrameBody(channels, hidden)
        self.policy_lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.value_lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.policy_step = nn.Linear(hidden, actions)
        self.value_step = nn.Linear(hidden, 1)
        self.policy_attention = TemporalAttention(actions)
        self.value_attention = TemporalAttention(1)
        self.policy = nn.Linear(actions, actions)
        self.value = nn.Linear(1, 1)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps observations (B, T, channels, 84, 84) in [0, 1] to streams.

        Returns:
            ``policy`` logits (B, actions), ``value`` (B, 1), and the attention, ``attention_policy`` and
            ``attention_value`` (B, T).
        """
        return self.from_features(self.frames(observations))

    def from_features(self, features: Tensor) -> dict[str, Tensor]:
        """The same streams, from the features of the frames (B, T, hidden)."""
        policy_sequence, value_sequence = self.sequences(features)
        policy, value = self.policy_step(policy_sequence), self.value_step(value_sequence)
        policy_weights, value_weights = self.policy_attention(policy), self.value_attention(value)
        return {
            "policy": self.policy((policy * policy_weights).sum(dim=1)),
            "value": self.value((value * value_weights).sum(dim=1)),
            "attention_policy": policy_weights.squeeze(2),
            "attention_value": value_weights.squeeze(2),
        }

    def sequences(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What each stream's LSTM makes of the features (B, T, hidden): two of (B, T, hidden)."""
        return self.policy_lstm(features)[0], self.value_lstm(features)[0]
