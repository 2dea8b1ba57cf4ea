"""Frames apart: input-shaped maps as (B, lags, colours, H, W), and how much of the gradient falls on each lag."""

from __future__ import annotations

import torch
from torch import Tensor

from policyscope.agents.agent import Agent


def by_lag(maps: Tensor, agent: Agent) -> Tensor:
    """An input-shaped map with its frames apart.

    Args:
        maps: (B, frames * colours, H, W); (B, frames, colours, H, W) in time; of a recurrent network
            (B, window, stack * colours, H, W), where a frame is seen in as many steps as the stack is long: what it
            does in each of them is added up.
        agent: Whose input it is.

    Returns:
        (B, lags, colours, H, W), oldest first; of a recurrent network there are window + stack - 1 lags.
    """
    stack, in_time = agent.protocol.stack, agent.protocol.layout == "time"
    if not agent.memory_size:
        return maps if in_time else maps.unflatten(1, (stack, -1))
    placed = maps if in_time else maps.unflatten(2, (stack, -1))
    if stack == 1:
        return placed[:, :, 0]
    window = maps.shape[1]
    total = maps.new_zeros(len(maps), window + stack - 1, *placed.shape[3:])
    for place in range(stack):
        total[:, place : place + window] += placed[:, :, place]
    return total


def lag_shares(gradient: Tensor, agent: Agent) -> Tensor:
    """``sum |g_lag| / sum |g|``: each lag's share of the input gradient's magnitude.

    Args:
        gradient: The target's gradient, of the input's shape.
        agent: Whose input it is.

    Returns:
        (B, lags), newest first, so that column k is lag k; NaN where the whole gradient is zero.
    """
    # A few states at a time: absolute values of all would be fresh memory, which costs more than the sum.
    parts = [by_lag(part, agent).float().abs().sum(dim=(2, 3, 4)) for part in gradient.split(8)]
    size = torch.cat(parts).flip(1)
    shares: Tensor = size / size.sum(dim=1, keepdim=True)
    return shares
