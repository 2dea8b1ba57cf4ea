"""Little agents and an episode of things that move, made without a game."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

import policyscope as ps

SIDE, ACTIONS = 24, 3


class LittleQ(nn.Module):
    """Two convolutions, a value and an advantage."""

    def __init__(self, stack=2):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(stack, 6, 4, 2), nn.ReLU(), nn.Conv2d(6, 8, 3, 2), nn.ReLU(), nn.Flatten())
        self.hidden = nn.Sequential(nn.Linear(200, 16), nn.ReLU())
        self.value, self.advantage = nn.Linear(16, 1), nn.Linear(16, ACTIONS)

    def forward(self, x):
        features = self.hidden(self.body(x))
        value, advantage = self.value(features), self.advantage(features)
        return {"q": value + advantage - advantage.mean(1, keepdim=True), "value": value, "advantage": advantage}


class LittlePolicy(LittleQ):
    def forward(self, x):
        features = self.hidden(self.body(x))
        return {"policy": self.advantage(features), "value": self.value(features)}


class LittleRecurrent(nn.Module):
    """One frame at a time, and a GRU."""

    memory_size = 10

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(726, 12), nn.ReLU())
        self.cell, self.policy, self.value = nn.GRUCell(12, 10), nn.Linear(10, ACTIONS), nn.Linear(10, 1)

    def forward(self, x, memory):
        memory = self.cell(self.body(x), memory)
        return {"policy": self.policy(memory), "value": self.value(memory)}, memory


class LittleInTime(nn.Module):
    """Frames apart, through one body, and an LSTM over them."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(726, 12), nn.ReLU())
        self.lstm, self.q = nn.LSTM(12, 10, batch_first=True), nn.Linear(10, ACTIONS)

    def forward(self, x):
        features = self.body(x.flatten(0, 1)).view(*x.shape[:2], -1)
        return {"q": self.q(self.lstm(features)[0][:, -1])}


def protocol(stack=2, layout="channels"):
    return ps.Protocol(name="little", size=(SIDE, SIDE), stack=stack, layout=layout, ready=True, env="little")


def made(network, stack=2, layout="channels", seed=0, gain=2.0):
    """An agent with weights large enough that its answers differ from state to state."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            fan = parameter[0].numel() if parameter.ndim > 1 else 1
            parameter.copy_(
                gain * torch.randn(parameter.shape, generator=generator) / fan**0.5
                if parameter.ndim > 1
                else 0.05 * torch.randn(parameter.shape, generator=generator)
            )
    return ps.make_agent(network, protocol(stack, layout), actions=[str(a) for a in range(ACTIONS)])


def q_agent(seed=0):
    torch.manual_seed(seed)
    return made(LittleQ(), seed=seed)


def policy_agent(seed=0):
    return made(LittlePolicy(), seed=seed)


def recurrent_agent(seed=0):
    return made(LittleRecurrent(), stack=1, seed=seed)


def agent_in_time(seed=0):
    return made(LittleInTime(), stack=3, layout="time", seed=seed)


def pictures(count, seed=0):
    """(count, SIDE, SIDE) uint8: two squares that cross a wall."""
    random = np.random.default_rng(seed)
    frames = np.zeros((count, SIDE, SIDE), np.uint8)
    frames[:, 1:3] = 90
    for brightness in (160, 250):
        place, speed = random.uniform(3, 16, 2), random.uniform(0.5, 1.4, 2)
        for frame in frames:
            place = place + speed
            speed = np.where((place < 1) | (place > SIDE - 5), -speed, speed)
            top, left = place.clip(0, SIDE - 4).astype(int)
            frame[top : top + 3, left : left + 3] = brightness
    return frames


def episode_for(agent, count=40, seed=0):
    """States as the agent is fed, its memories, and the greedy actions."""
    shape = agent.protocol
    frames = np.concatenate([np.zeros((shape.stack - 1, SIDE, SIDE), np.uint8), pictures(count, seed)])
    stacked = np.stack([frames[i : i + shape.stack] for i in range(count)])
    stacked = stacked[:, :, None] if shape.layout == "time" else stacked
    memories, actions = [], []
    memory = torch.zeros(1, agent.memory_size) if agent.memory_size else None
    with torch.no_grad():
        for one in stacked:
            memories.append(None if memory is None else memory[0].numpy())
            streams, memory = agent(agent.prepare(one[None]), memory)
            actions.append(int(streams["q" if "q" in streams else "policy"].argmax()))
    given = {"memories": np.stack(memories)} if agent.memory_size else {}
    return ps.Episode.from_arrays(stacked, np.array(actions), protocol=shape, **given)


AGENTS = {"q": q_agent, "policy": policy_agent, "recurrent": recurrent_agent, "in time": agent_in_time}
