"""The networks we know by name; a new one is one file and one line here."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from policyscope.agents.networks.actor_critic import ActorCritic, SmallActorCritic
from policyscope.agents.networks.cleanrl import CleanRLActorCritic, CleanRLQ, CleanRLRecurrentActorCritic
from policyscope.agents.networks.dqn import DQN, CategoricalDQN, DuelingDQN, QuantileDQN
from policyscope.agents.networks.faulty import (
    BidirectionalActorCritic,
    MislinkedDRQN,
    MisstackedDuelingDQN,
    WronglyMergedDRQN,
)
from policyscope.agents.networks.gru_actor_critic import GRUActorCritic
from policyscope.agents.networks.recurrent_actor_critic import RecurrentActorCritic
from policyscope.agents.networks.recurrent_q import SharedAttentionDRQN, SplitAttentionDRQN
from policyscope.agents.networks.sb3 import SB3Q, SB3ActorCritic, SB3Continuous
from policyscope.errors import CheckpointError

NETWORKS: dict[str, type[nn.Module]] = {
    "dqn": DQN,
    "dueling_dqn": DuelingDQN,
    "categorical_dqn": CategoricalDQN,
    "quantile_dqn": QuantileDQN,
    "actor_critic": ActorCritic,
    "small_actor_critic": SmallActorCritic,
    "recurrent_actor_critic": RecurrentActorCritic,
    "split_attention_drqn": SplitAttentionDRQN,
    "shared_attention_drqn": SharedAttentionDRQN,
    "gru_actor_critic": GRUActorCritic,
    "mislinked_drqn": MislinkedDRQN,
    "wrongly_merged_drqn": WronglyMergedDRQN,
    "bidirectional_actor_critic": BidirectionalActorCritic,
    "misstacked_dueling_dqn": MisstackedDuelingDQN,
    "cleanrl_q": CleanRLQ,
    "cleanrl_actor_critic": CleanRLActorCritic,
    "cleanrl_recurrent_actor_critic": CleanRLRecurrentActorCritic,
    "sb3_q": SB3Q,
    "sb3_actor_critic": SB3ActorCritic,
    "sb3_continuous": SB3Continuous,
}


def build(architecture: str, **options: Any) -> nn.Module:
    """Builds a network by name, and notes on it how (``network.recipe``), so that it can be saved.

    Args:
        architecture: A name in ``NETWORKS``.
        options: What its constructor takes.

    Raises:
        CheckpointError: No such network, or it takes no such options.
    """
    kind = NETWORKS.get(architecture)
    if kind is None:
        raise CheckpointError(f"no network {architecture!r}; known are {', '.join(NETWORKS)}")
    try:
        inspect.signature(kind).bind(**options)
        network = kind(**options)
    except (TypeError, ValueError, KeyError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"network {architecture!r} cannot be built from {options}: {reason}") from error
    network.recipe = {"architecture": architecture, "options": options}  # type: ignore[assignment]
    return network


def wanted(architecture: str, options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of a network's weights, found without memory for them.

    Args:
        architecture: A name in ``NETWORKS``.
        options: What its constructor takes.
    """
    with torch.device("meta"):
        network = build(architecture, **options)
    return {key: tuple(value.shape) for key, value in network.state_dict().items()}
