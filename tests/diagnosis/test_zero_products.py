"""Products of maps of which one factor is zero."""

from __future__ import annotations

import pytest
import torch
from small import ACTIONS, STACK, agent_of, asked, episode_of, frames, stacked
from torch import Tensor, nn


class Bypassed(nn.Module):
    """A convolution that speaks for the output or against it, and a way around it."""

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(STACK, 4, 3)
        with torch.no_grad():
            self.conv.weight.fill_(0.1)
            self.conv.bias.fill_(0.1)  # type: ignore[union-attr]
        self.sign = sign
        self.weights = nn.Parameter(torch.tensor([1.0, 0.9, 0.8])[:ACTIONS])

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        features = torch.relu(self.conv(observations)).mean(dim=(1, 2, 3))
        around = observations.square().mean(dim=(1, 2, 3))
        return {"q": (self.sign * features + 50 * around)[:, None] * self.weights}


def test_products_with_a_convolution_that_speaks_against_the_output_are_zero() -> None:
    (found,) = asked("zero_products", agent_of(Bypassed(-1)), episode_of(stacked(frames(60))[10:]))
    assert (found.severity, found.sure, found.where.part, found.where.layer) == ("warning", "certain", "maps", "conv")
    assert found.numbers == {"Guided Grad-CAM zero": 1.0, "G2 Grad-CAM zero": 1.0}
    assert found.picture is not None


@pytest.mark.parametrize("sign", [1.0, 0.1])
def test_products_with_one_that_speaks_for_it_are_fine(sign: float) -> None:
    assert asked("zero_products", agent_of(Bypassed(sign)), episode_of(stacked(frames(60))[10:])) == []
