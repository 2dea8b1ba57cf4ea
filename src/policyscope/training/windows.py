"""Windows of frames for recurrent networks, which overlap: the convolution of each frame is computed once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policyscope.training.compute import Compute


def encode(network: nn.Module, frames: Tensor, compute: Compute) -> tuple[Tensor, Tensor]:
    """The features of frames, and those of the blank one that stands before a game's first.

    Args:
        network: With a ``FrameBody`` ``frames``.
        frames: (R, L, H, W) uint8, R stretches of L frames.
        compute: Where, and in what precision.

    Returns:
        (R, L, hidden) and (hidden,).
    """
    rows, length, height, width = frames.shape
    single = torch.cat([frames.reshape(-1, 1, height, width), frames.new_zeros(1, 1, height, width)])
    features: Tensor = network.frames.body(compute.inputs(single))  # type: ignore[union-attr, operator]
    return features[:-1].view(rows, length, -1), features[-1]


def windows(features: Tensor, blank: Tensor, age: Tensor, size: int) -> Tensor:
    """What the last ``size`` frames of each state look like.

    Args:
        features: Of frames (R, L, hidden); the last K of them are the newest of a state each.
        blank: Feature (hidden,) of the blank frame.
        age: Steps since the game of each state began (R, K); what lies before is blank.
        size: Frames of a window; L is K + size - 1.

    Returns:
        (R, K, size, hidden), the newest frame last.
    """
    states = age.shape[1]
    back = torch.arange(size - 1, -1, -1, device=features.device)
    place = torch.arange(states, device=features.device)[:, None] + size - 1 - back[None]
    before = (back > age.to(features.device)[:, :, None])[..., None]
    return torch.where(before, blank, features[:, place])


class Memory:
    """The features of each game's last frames while it is played with the same weights."""

    def __init__(self, network: nn.Module, compute: Compute, size: int) -> None:
        self._network, self._compute, self._size = network, compute, size
        self._features: Tensor | None = None

    def forget(self) -> None:
        """The weights have changed."""
        self._features = None

    def __call__(self, observations: Tensor, age: Tensor) -> Tensor:
        """The window of each game's newest state.

        Args:
            observations: (N, size, H, W) uint8; each call one step after the last.
            age: (N,), steps since each game began.

        Returns:
            (N, size, hidden).
        """
        fresh = observations if self._features is None else observations[:, -1:]
        features, blank = encode(self._network, fresh, self._compute)
        if self._features is not None:
            features = torch.cat([self._features[:, 1:], features], dim=1)
        self._features = features
        return windows(features, blank, age[:, None], self._size).squeeze(1)
