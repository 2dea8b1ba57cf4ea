"""Checkpoints that tests make for themselves, small and quick."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from policyscope.agents.networks import build

BABY_A3C = Path(__file__).resolve().parents[3] / "shared" / "agents" / "baby-a3c"


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture
def frames() -> np.ndarray:
    """Two stacks of four grey pictures."""
    return np.random.default_rng(0).integers(0, 256, (2, 4, 84, 84), dtype=np.uint8)


@pytest.fixture
def baby_a3c() -> Path:
    """The folder of foreign agents."""
    if not BABY_A3C.is_dir():
        pytest.skip(f"{BABY_A3C} with the baby-a3c agents is absent")
    return BABY_A3C


@pytest.fixture
def cleanrl_file(tmp_path: Path) -> Path:
    """A CleanRL DQN for Breakout in a folder named as CleanRL names it."""
    folder = tmp_path / "runs" / "BreakoutNoFrameskip-v4__dqn_atari__1__1700000000"
    folder.mkdir(parents=True)
    path = folder / "dqn_atari.cleanrl_model"
    torch.save(build("cleanrl_q", actions=4).state_dict(), path)
    return path
