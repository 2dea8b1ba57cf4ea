"""Agents that the viewer's tests play and explain."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from policyscope.agents.agent import Agent
from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.networks import build


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
