"""Agents of environments that are not Atari."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import nn

from policyscope.agents.environments import count_actions, is_stacked
from policyscope.agents.loading import load_agent
from policyscope.errors import ProtocolError


class Shown(gymnasium.Env):
    def __init__(self, shape: tuple[int, ...], actions: spaces.Space) -> None:
        self.observation_space, self.action_space = spaces.Box(0, 255, shape, np.uint8), actions


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> str:
    module: Any = ModuleType("mine_for_policyscope")
    module.coloured = lambda: Shown((48, 64, 3), spaces.Discrete(5))
    module.stacked = lambda: Shown((84, 84, 4), spaces.Box(-1, 1, (2,)))
    module.needy = lambda level: None
    module.network = lambda shape, actions: nn.Sequential(
        nn.Conv2d(shape[0], 2, 8, 8), nn.Flatten(), nn.Linear(200, actions)
    )
    monkeypatch.setitem(sys.modules, "mine_for_policyscope", module)
    return "mine_for_policyscope"


def test_an_environments_actions_are_counted(mine: str) -> None:
    assert count_actions(f"{mine}:coloured") == 5
    assert count_actions(f"{mine}:stacked") == 2
    assert count_actions("CartPole-v1") == 2


def test_an_environment_that_stacks_frames_itself_is_noticed(mine: str) -> None:
    assert is_stacked(f"{mine}:stacked", (4, 84, 84))
    assert not is_stacked(f"{mine}:coloured", (3, 48, 64))
    assert not is_stacked(f"{mine}:coloured", (12, 48, 64))
    assert not is_stacked("NoSuchThing-v0", (4, 84, 84))


def test_an_environment_that_cannot_be_made_is_told_in_one_line(mine: str) -> None:
    for env in ("NoSuchThing-v0", f"{mine}:needy", f"{mine}:absent", "absent_module:make", "no-form"):
        with pytest.raises(ProtocolError) as caught:
            count_actions(env)
        assert "\n" not in str(caught.value)


def test_an_own_network_on_an_own_environment_is_played_as_it_is(mine: str, tmp_path: Any) -> None:
    network = sys.modules[mine].network((4, 84, 84), 2)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    agent = load_agent(tmp_path / "mine.pth", network=f"{mine}:network", env=f"{mine}:stacked")
    assert agent.protocol.ready
    assert (agent.protocol.env, agent.protocol.game) == (f"{mine}:stacked", None)
    assert (agent.protocol.frame_skip, agent.protocol.sticky) == (1, 0.0)
    assert agent.actions == ("0", "1")
