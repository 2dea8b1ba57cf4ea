"""Things that the value depends on and the choice between actions does not."""

from __future__ import annotations

import torch
from small import ACTIONS, SIDE, STACK, agent_of, asked, episode_of, frames, stacked
from torch import Tensor, nn


class TwoLooks(nn.Module):
    """A value of the whole picture, and advantages of a part of it."""

    def __init__(self, acts_by: slice) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weights = nn.Parameter(torch.randn(ACTIONS + 1, STACK, SIDE, SIDE, generator=generator) / SIDE)
        self.register_buffer("mask", torch.zeros(SIDE))
        self.mask[acts_by] = 1  # type: ignore[index]

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        value = torch.einsum("bchw,chw->b", observations, self.weights[0])[:, None]
        seen = observations * self.mask  # type: ignore[operator]
        advantage = torch.einsum("bchw,achw->ba", seen, self.weights[1:])
        return {"q": value + advantage - advantage.mean(dim=1, keepdim=True), "value": value, "advantage": advantage}


class LeftValue(TwoLooks):
    """A value of the left third alone."""

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        left = observations.clone()
        left[..., SIDE // 3 :] = 0
        streams = super().forward(observations)
        value = torch.einsum("bchw,chw->b", left, self.weights[0])[:, None]
        return streams | {"q": streams["q"] - streams["value"] + value, "value": value}


def test_what_only_the_value_looks_at_is_found_where_it_is() -> None:
    agent = agent_of(LeftValue(slice(SIDE // 3, SIDE)))
    (found,) = asked("not_acted_on", agent, episode_of(stacked(frames(120))))
    assert (found.severity, found.where.part, found.where.stream) == ("warning", "behaviour", "q")
    assert found.where.region is not None
    assert "left third" in found.where.region
    assert found.numbers["ratio"] < 0.01
    assert found.picture is not None


def test_streams_that_look_at_the_same_are_fine() -> None:
    assert asked("not_acted_on", agent_of(LeftValue(slice(0, SIDE // 3))), episode_of(stacked(frames(120)))) == []
    assert asked("not_acted_on", agent_of(TwoLooks(slice(0, SIDE))), episode_of(stacked(frames(120)))) == []
