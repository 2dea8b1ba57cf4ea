"""Networks with the mistakes that the paper's authors found in theirs, to be trained and then diagnosed.

Their scores hid the mistakes; saliency showed them, and in which stream they were.
"""

from __future__ import annotations

import torch
from torch import Tensor

from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.agents.networks.recurrent_actor_critic import RecurrentActorCritic
from policyscope.agents.networks.recurrent_q import SplitAttentionDRQN, SummedBidirectionalLSTM


class MislinkedDRQN(SplitAttentionDRQN):
    """The value stream's second LSTM layer is linked to the advantage's first; its own first layer leads nowhere."""

    def over_time(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As the healthy network's, but for the link."""
        first = self.advantage_lstm.through(features, slice(0, 1))
        advantage = self.advantage(self.advantage_lstm.through(first, slice(1, None)))
        return self.value(self.value_lstm.through(first, slice(1, None))), advantage


class WronglyMergedDRQN(SplitAttentionDRQN):
    """The streams are merged as A + (V - mean V), where V has one column: the value cancels and is never learnt."""

    def merged(self, value: Tensor, advantage: Tensor) -> Tensor:
        """What is wrong."""
        return advantage + (value - value.mean(dim=2, keepdim=True))


class BidirectionalActorCritic(RecurrentActorCritic):
    """The recurrent actor-critic with two bidirectional LSTM layers a stream, behind which no gradient comes through.

    The authors could not train theirs: no gradient of the output reached the input, while those of the first three
    layers did. Two such layers learn well as they are (in PyTorch), so it was not the architecture that they ran into;
    here the layers' results are handed on as mere numbers, which has the same effect.
    """

    def __init__(self, actions: int, channels: int = 1, hidden: int = 512) -> None:
        super().__init__(actions, channels, hidden)
        self.policy_lstm = SummedBidirectionalLSTM(hidden, hidden)  # type: ignore[assignment]
        self.value_lstm = SummedBidirectionalLSTM(hidden, hidden)  # type: ignore[assignment]

    def sequences(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """What each stream's layers make of the features (B, T, hidden)."""
        with torch.no_grad():
            return self.policy_lstm(features), self.value_lstm(features)  # type: ignore[return-value]


class MisstackedDuelingDQN(DuelingDQN):
    """Frames are stacked wrongly on their way in: the newest one stands in every place."""

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """As the healthy network's, on the wrong stack."""
        newest = observations[:, -1:]
        return super().forward(torch.cat([newest] * observations.shape[1], dim=1))
