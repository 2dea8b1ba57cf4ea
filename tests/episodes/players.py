"""Small agents and environments to play with."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from policyscope.agents.agent import Agent, ContinuousActions
from policyscope.agents.presets import preset
from policyscope.agents.protocol import Protocol

BREAKOUT = ("NOOP", "FIRE", "RIGHT", "LEFT")


class Values(nn.Module):
    """Action values of any picture, from a few of its pixels."""

    def __init__(self, actions: int, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 8, stride=8)
        self.head = nn.LazyLinear(actions)

    def forward(self, inputs):
        return {"q": self.head(torch.relu(self.conv(inputs)).flatten(1) * 10)}


class Recurrent(nn.Module):
    """A recurrent actor-critic as baby-a3c's, smaller."""

    memory_size = 16

    def __init__(self, actions: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 8, stride=8)
        self.gru = nn.GRUCell(400, self.memory_size)
        self.actor, self.critic = nn.Linear(self.memory_size, actions), nn.Linear(self.memory_size, 1)

    def forward(self, inputs, memory):
        memory = self.gru(torch.nn.functional.elu(self.conv(inputs)).flatten(1), memory)
        return {"policy": self.actor(memory) * 5, "value": self.critic(memory)}, memory


class Driver(nn.Module):
    def __init__(self, log_std: bool = False) -> None:
        super().__init__()
        self.head, self.log_std = nn.LazyLinear(3), log_std

    def forward(self, inputs):
        means = self.head(inputs.flatten(1)) * 3
        return {"policy": means} | ({"log_std": torch.zeros_like(means)} if self.log_std else {})


def breakout(seed: int = 0, protocol: str = "modern") -> Agent:
    torch.manual_seed(seed)
    agent = Agent(Values(4, 4).eval(), preset(protocol, "breakout"), ("q",), BREAKOUT, source="a test's")
    agent.check_inputs()
    return agent


def recurrent() -> Agent:
    torch.manual_seed(0)
    return Agent(
        Recurrent().eval(), preset("baby-a3c", "breakout"), ("policy", "value"), BREAKOUT, policy="sample", source="gru"
    )


def driver(protocol: Protocol, log_std: bool = False, squash: bool = False) -> Agent:
    torch.manual_seed(0)
    bounds = ContinuousActions((-1.0, 0.0, 0.0), (1.0, 1.0, 1.0), squash)
    streams = ("policy", "log_std") if log_std else ("policy",)
    agent = Agent(Driver(log_std).eval(), protocol, streams, ("steer", "gas", "brake"), continuous=bounds)
    agent.check_inputs()
    return agent


class Blocks(gym.Env):
    """A picture of its own time, in any order of axes and kind of numbers; ends after ten steps."""

    def __init__(self, shape=(12, 16, 3), dtype=np.uint8, high=255, part=None, continuous=False) -> None:
        box = spaces.Box(0, high, shape, dtype)
        self.observation_space = box if part is None else part(box)
        self._box, self._part, self._time = box, part, 0
        self.action_space = spaces.Box(-1, 1, (2,)) if continuous else spaces.Discrete(2, start=5)

    def _observation(self):
        image = np.full(self._box.shape, self._time * float(self._box.high.max()) / 20, self._box.dtype)
        return image if self._part is None else self._part(image)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._time = 0
        return self._observation(), {"lives": 3}

    def step(self, action):
        assert action in self.action_space, action
        self._time += 1
        return self._observation(), 1.0, self._time == 10, False, {"lives": 2}


def make_blocks() -> gym.Env:
    return Blocks()
