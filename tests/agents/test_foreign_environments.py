"""Agents of environments that are not Atari."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from torch import Tensor, nn

from policyscope.agents.agent import ContinuousActions
from policyscope.agents.custom import make_agent
from policyscope.agents.environments import describe, protocol_of
from policyscope.agents.loading import load_agent
from policyscope.agents.protocol import Protocol
from policyscope.errors import CheckpointError, ProtocolError


class Shown(gymnasium.Env):
    def __init__(self, shape: tuple[int, ...], actions: spaces.Space, kind: Any = np.uint8, high: float = 255) -> None:
        self.observation_space, self.action_space = spaces.Box(0, high, shape, kind), actions

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        return self.observation_space.sample(), 0.0, False, False, {}


class Actor(nn.Module):
    """Means of actions and a value."""

    def __init__(self, shape: tuple[int, ...], actions: int) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(shape[0], 2, 8, 8), nn.LazyLinear(actions)

    def forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        means = self.head(torch.relu(self.conv(observations)).flatten(1))
        return means, means.sum(dim=1, keepdim=True)


def layers(shape: tuple[int, ...], actions: int) -> nn.Module:
    """A network that finds out by itself how many features it has."""
    return nn.Sequential(nn.Conv2d(shape[0], 2, 8, 8), nn.ReLU(), nn.Flatten(), nn.LazyLinear(actions))


def grid() -> gymnasium.Env:
    wrappers = pytest.importorskip("minigrid.wrappers", reason="minigrid is not installed")
    return wrappers.RGBImgObsWrapper(gymnasium.make("MiniGrid-Empty-5x5-v0", render_mode="rgb_array"))


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> str:
    module: Any = ModuleType("mine_for_policyscope")
    module.coloured = lambda: Shown((48, 64, 3), spaces.Discrete(5))
    module.stacked = lambda: Shown((84, 84, 4), spaces.Box(-1, 1, (2,)))
    module.floats = lambda: Shown((2, 40, 40), spaces.Discrete(3), np.float32, 1.0)
    module.over_time = lambda: Shown((4, 40, 48, 3), spaces.Discrete(3))
    module.needy = lambda level: None
    module.number = 3
    module.layers, module.actor, module.grid = layers, Actor, grid
    monkeypatch.setitem(sys.modules, "mine_for_policyscope", module)
    return "mine_for_policyscope"


def weights(tmp_path: Path, make: Callable[..., nn.Module], shape: tuple[int, ...], actions: int) -> Path:
    network = make(shape, actions)
    network(torch.zeros(1, *shape))
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    return tmp_path / "mine.pth"


def test_an_environment_tells_its_actions(mine: str) -> None:
    assert describe(f"{mine}:coloured").actions.names == ("0", "1", "2", "3", "4")
    assert describe(f"{mine}:stacked").actions.bounds == ContinuousActions((-1.0, -1.0), (1.0, 1.0))
    assert len(describe("CartPole-v1").actions.names) == 2
    assert describe(f"{mine}:grid").actions.names[:3] == ("left", "right", "forward")


def test_an_environment_that_cannot_be_made_is_told_in_one_line(mine: str) -> None:
    absent = (f"{mine}:needy", f"{mine}:absent", f"{mine}:number", "absent_module:make", "no-form", "NoSuchThing-v0")
    for env in absent:
        with pytest.raises(ProtocolError, match=env) as caught:
            describe(env)
        assert "\n" not in str(caught.value)
    with pytest.raises(ProtocolError, match=r"needy must be callable as needy\(\)"):
        describe(f"{mine}:needy")


@pytest.mark.parametrize(
    ("env", "shape", "told"),
    [
        ("coloured", (3, 48, 64), {"colour": "rgb", "stack": 1, "layout": "channels", "scale": 255.0}),
        ("stacked", (4, 84, 84), {"colour": "grey", "stack": 4, "layout": "channels", "scale": 255.0}),
        ("floats", (2, 40, 40), {"colour": "grey", "stack": 2, "layout": "channels", "scale": 1.0}),
        ("over_time", (4, 3, 40, 48), {"colour": "rgb", "stack": 4, "layout": "time", "scale": 255.0}),
    ],
)
def test_without_a_protocol_an_own_network_gets_what_its_environment_shows(
    mine: str, tmp_path: Path, env: str, shape: tuple[int, ...], told: dict[str, Any]
) -> None:
    seen: list[tuple[int, ...]] = []

    def make(observation_shape: tuple[int, ...], actions: int) -> nn.Module:
        seen.append(observation_shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(observation_shape)), actions))

    actions = len(describe(f"{mine}:{env}").actions.names)
    path = weights(tmp_path, make, shape, actions)
    agent = load_agent(path, network=make, env=f"{mine}:{env}")
    assert seen == [shape, shape]
    protocol = agent.protocol
    assert {key: getattr(protocol, key) for key in told} == told
    assert protocol.ready
    assert (protocol.env, protocol.game, protocol.frame_skip, protocol.sticky) == (f"{mine}:{env}", None, 1, 0.0)
    assert protocol == protocol_of(f"{mine}:{env}")
    assert len(agent.actions) == actions


def test_a_minigrid_agent_sees_colours_and_knows_its_actions_names(mine: str, tmp_path: Path) -> None:
    from policyscope.episodes.play import play

    path = weights(tmp_path, layers, (3, 40, 40), 7)
    agent = load_agent(path, network=f"{mine}:layers", env=f"{mine}:grid")
    assert agent.protocol.observation_shape == (3, 40, 40)
    assert agent.actions[2:4] == ("forward", "pickup")
    assert play(agent, 3).observations.shape == (3, 3, 40, 40)
    for given in (grid, grid()):
        other = load_agent(path, network=layers, env=given)
        assert other.fingerprint == agent.fingerprint
        assert play(other, 3, env=given).observations.shape == (3, 3, 40, 40)


def test_a_car_racing_agent_has_the_environments_bounds(mine: str, tmp_path: Path) -> None:
    from policyscope.episodes.play import play

    path = weights(tmp_path, Actor, (3, 96, 96), 3)
    agent = load_agent(path, network=f"{mine}:actor", env="CarRacing-v3")
    assert agent.protocol.observation_shape == (3, 96, 96)
    assert agent.streams == ("policy", "value")
    assert agent.continuous == ContinuousActions((-1.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    assert play(agent, 2).actions.shape == (2, 3)
    network = Actor((3, 96, 96), 3)
    made = make_agent(network, env="CarRacing-v3")
    assert (made.protocol, made.continuous, made.streams) == (agent.protocol, agent.continuous, agent.streams)
    alone = make_agent(nn.Sequential(network, Means()), env="CarRacing-v3")
    assert alone.streams == ("policy",)
    assert alone.policy == "greedy"


class Means(nn.Module):
    def forward(self, outputs: tuple[Tensor, Tensor]) -> Tensor:
        return outputs[0]


def test_the_users_protocol_goes_before_what_the_environment_shows(mine: str, tmp_path: Path) -> None:
    protocol = Protocol(name="small", colour="rgb", stack=2, size=(40, 40))
    path = weights(tmp_path, layers, (6, 40, 40), 5)
    agent = load_agent(path, network=layers, env=f"{mine}:coloured", protocol=protocol)
    assert agent.protocol.observation_shape == (6, 40, 40)
    assert not agent.protocol.ready
    made = make_agent(agent.network, protocol, env=f"{mine}:coloured")
    assert made.protocol == agent.protocol


def test_a_network_that_learned_with_other_observations_is_told_what_it_got(mine: str, tmp_path: Path) -> None:
    path = weights(tmp_path, layers, (4, 48, 64), 5)
    with pytest.raises(
        CheckpointError, match=r"5 actions, and observations of shape \(3, 48, 64\).* --protocol, --game or --env"
    ):
        load_agent(path, network=layers, env=f"{mine}:coloured")


def test_a_network_with_another_number_of_actions_than_its_environment_is_refused(mine: str) -> None:
    with pytest.raises(
        ProtocolError, match=r"chooses among 4 actions, but .*:coloured has 5 actions \(0, 1, 2, 3, 4\)"
    ):
        make_agent(layers((3, 48, 64), 4), env=f"{mine}:coloured")


def test_an_environment_without_a_single_image_is_refused_in_one_line(mine: str, tmp_path: Path) -> None:
    path = weights(tmp_path, layers, (4, 84, 84), 2)
    with pytest.raises(ProtocolError, match="CartPole-v1 must have one image, it has 0") as caught:
        load_agent(path, network=layers, env="CartPole-v1")
    assert "\n" not in str(caught.value)
