"""Agents that the viewer's tests play and explain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from policyscope.agents.agent import Agent
from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.networks import build
from policyscope.agents.presets import preset

ACTIONS = ("NOOP", "FIRE", "RIGHT", "LEFT")


class Remembering(nn.Module):
    """A convolution and a GRU over frames."""

    memory_size = 8

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gru = nn.Conv2d(1, 4, 8, stride=8), nn.GRUCell(400, 8)
        self.actor, self.critic = nn.Linear(8, 4), nn.Linear(8, 1)

    def forward(self, inputs, memory):
        memory = self.gru(torch.relu(self.conv(inputs)).flatten(1), memory)
        return {"policy": self.actor(memory), "value": self.critic(memory)}, memory


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


def _duel(seed: int) -> Agent:
    torch.manual_seed(seed)
    return make_agent(build("dueling_dqn", actions=4, hidden=32), game="breakout", policy="epsilon=0.5")


@pytest.fixture(scope="session")
def duel() -> Agent:
    """A dueling network that plays Breakout as badly as its weights are random."""
    return _duel(0)


@pytest.fixture(scope="session")
def other_duel() -> Agent:
    """Another of the same shape."""
    return _duel(1)


@pytest.fixture(scope="session")
def checkpoint(duel: Agent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of ``duel``."""
    return save_agent(duel, tmp_path_factory.mktemp("agents") / "duel.safetensors")


@pytest.fixture(scope="session")
def other_checkpoint(other_duel: Agent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of ``other_duel``."""
    return save_agent(other_duel, tmp_path_factory.mktemp("agents") / "other.safetensors")


@pytest.fixture(scope="session")
def recurrent() -> Agent:
    """An actor-critic that remembers, and sees one frame at a time."""
    torch.manual_seed(0)
    return Agent(Remembering().eval(), preset("baby-a3c", "breakout"), ("policy", "value"), ACTIONS, policy="sample")
