"""A small agent and an episode that no game was needed for."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding
from policyscope.diagnosis.rules import RULES
from policyscope.episodes.episode import Episode

SIDE, STACK, ACTIONS = 36, 4, 3


class SmallDueling(nn.Module):
    """Two convolutions and two streams."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(STACK, 16, 6, stride=3), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(), nn.Flatten()
        )
        self.advantage = nn.Sequential(nn.Linear(400, 32), nn.LeakyReLU(0.3), nn.Linear(32, ACTIONS))
        self.value = nn.Sequential(nn.Linear(400, 32), nn.ReLU(), nn.Linear(32, 1))

    def merged(self, value: Tensor, advantage: Tensor) -> Tensor:
        return value + advantage - advantage.mean(dim=1, keepdim=True)

    def streams(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.value(features), self.advantage(features)

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        value, advantage = self.streams(self.body(observations))
        return {"q": self.merged(value, advantage), "value": value, "advantage": advantage}


def trained_looking(network: nn.Module) -> nn.Module:
    """Weights that no initialisation draws, but of its size."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            size = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.05
            parameter.copy_(0.8 * size * torch.randn(parameter.shape, generator=generator))
    return network


def agent_of(network: nn.Module) -> Agent:
    protocol = ps.Protocol(name="small", size=(SIDE, SIDE), stack=STACK, ready=True, env="small")
    return ps.make_agent(network, protocol, actions=[str(a) for a in range(ACTIONS)])


def frames(count: int, seed: int = 0) -> np.ndarray:
    """(count, H, W) uint8: two squares that cross a wall of bricks."""
    random = np.random.default_rng(seed)
    pictures = np.zeros((count, SIDE, SIDE), np.uint8)
    pictures[:, 2:5] = 90
    for brightness in (160, 250):
        place, speed = random.uniform(5, 25, 2), random.uniform(0.6, 1.7, 2)
        for picture in pictures:
            place = place + speed
            speed = np.where((place < 1) | (place > SIDE - 7), -speed, speed)
            top, left = place.clip(0, SIDE - 6).astype(int)
            picture[top : top + 5, left : left + 5] = brightness
    return pictures


def stacked(pictures: np.ndarray, stack: int = STACK) -> np.ndarray:
    """(N, stack, H, W), oldest first; the first rows begin with blank frames."""
    padded = np.concatenate([np.zeros((stack - 1, *pictures.shape[1:]), np.uint8), pictures])
    return np.stack([padded[i : i + stack] for i in range(len(pictures))])


def episode_of(observations: np.ndarray, **arrays: object) -> Episode:
    protocol = ps.Protocol(name="small", size=(SIDE, SIDE), stack=observations.shape[1], ready=True, env="small")
    return Episode.from_arrays(observations, protocol=protocol, **arrays)


def asked(rule: str, agent: Agent, episode: Episode) -> list[Finding]:
    """What one rule says."""
    return list(RULES[rule](Examination(agent, episode, following=False)))
