"""Maps that stay the same when the weights are drawn anew."""

from __future__ import annotations

import torch
from small import ACTIONS, SmallDueling, agent_of, asked, episode_of, frames, stacked, trained_looking
from torch import Tensor, nn

from policyscope.diagnosis.rules.weight_independent import _redraw


class WeightsOnlyScale(nn.Module):
    """Outputs whose gradient is the picture, times a number that the weights make."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.randn(ACTIONS, 8, generator=torch.Generator().manual_seed(0)))
        self.edges = nn.Conv2d(1, 1, 1)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        size = torch.relu(observations).square().mean(dim=(1, 2, 3))
        return {"q": size[:, None] * self.weights.square().sum(dim=1)}


def test_guided_backpropagation_that_shows_the_picture_whatever_was_learnt_is_found() -> None:
    (found,) = asked("weight_independent", agent_of(WeightsOnlyScale()), episode_of(stacked(frames(60))))
    assert (found.severity, found.where.part) == ("warning", "maps")
    assert found.evidence.startswith("guided backpropagation hardly depends on the weights")
    assert found.numbers["redrawn"] > 0.99


def test_maps_of_a_network_whose_weights_matter_are_fine() -> None:
    network = agent_of(trained_looking(SmallDueling()))
    assert asked("weight_independent", network, episode_of(stacked(frames(60)))) == []


def test_weights_are_drawn_anew_with_their_spread() -> None:
    network = nn.Sequential(nn.Linear(200, 200), nn.LayerNorm(200))
    before = [parameter.clone() for parameter in network.parameters()]
    _redraw(network, 0)
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.isclose(old.std(), new.std(), rtol=0.25)
    assert abs(torch.corrcoef(torch.stack([before[0].flatten(), network[0].weight.flatten()]))[0, 1]) < 0.05
    assert torch.equal(network[1].weight, torch.ones(200))
