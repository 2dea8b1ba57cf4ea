"""Grad-CAM that shows where the agent does not look."""

from __future__ import annotations

import numpy as np
import torch
from small import SIDE, STACK, agent_of, asked, episode_of, stacked
from torch import Tensor, nn

from policyscope.diagnosis.comparing import agreement

OBJECT = (slice(8, 20), slice(16, 28))


class LooksAtOnePlace(nn.Module):
    """Its outputs hang on one object, by a channel that is bright either there or everywhere else."""

    def __init__(self, *, inverted: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(STACK, 1, 1)
        with torch.no_grad():
            self.conv.weight.zero_()
            self.conv.weight[0, -1] = -1 if inverted else 1
            self.conv.bias.fill_(1.0 if inverted else 0.05)  # type: ignore[union-attr]
        places = torch.full((3, SIDE, SIDE), 0.001)
        places[:, OBJECT[0], OBJECT[1]] = torch.tensor([1.0, 0.9, 0.8]).view(3, 1, 1)
        self.places = nn.Parameter(places)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        return {"q": torch.einsum("bhw,ahw->ba", torch.relu(self.conv(observations))[:, 0], self.places)}


def flickering() -> np.ndarray:
    """(60, H, W): a textured object that flickers in one place."""
    random = np.random.default_rng(0)
    pictures = np.zeros((60, SIDE, SIDE), np.uint8)
    for picture in pictures:
        picture[OBJECT] = random.integers(120, 240, (12, 12))
    return pictures


def test_a_map_that_is_low_where_the_agent_looks_is_found_with_layer_and_method() -> None:
    found = asked("inverted_cam", agent_of(LooksAtOnePlace(inverted=True)), episode_of(stacked(flickering())))
    assert found
    for finding in found:
        assert (finding.severity, finding.where.part, finding.where.layer) == ("warning", "maps", "conv")
        assert max(finding.numbers.values()) < -0.2
    assert {finding.evidence.partition(" is ")[0] for finding in found} == {"Grad-CAM", "G1 Grad-CAM"}
    assert found[0].picture is not None


def test_a_map_that_is_high_there_is_fine() -> None:
    assert asked("inverted_cam", agent_of(LooksAtOnePlace(inverted=False)), episode_of(stacked(flickering()))) == []


def test_agreement_is_a_rank_correlation_of_sizes() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 21, 21))
    assert np.allclose(agreement(maps, -(np.abs(maps) ** 3)), 1)
    assert np.allclose(agreement(np.abs(maps), 10 - np.abs(maps)), -1)
    assert np.isnan(agreement(maps, np.ones_like(maps))).all()
