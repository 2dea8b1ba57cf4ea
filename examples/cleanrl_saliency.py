"""A DQN loop in CleanRL's manner, with the saliency probe in it: the lines marked with <-- are all that it takes.

First ``pip install policyscope tensorboard``, then ``python examples/cleanrl_saliency.py --logs runs/pong`` and
``tensorboard --logdir runs``.
"""

import random
from collections import deque
from dataclasses import dataclass

import ale_py
import gymnasium as gym
import numpy as np
import torch
import torch.nn.functional as F
import tyro
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from policyscope.training.probe import SaliencyProbe  # <--


@dataclass
class Args:
    """The options."""

    game: str = "ALE/Pong-v5"
    steps: int = 1_000_000
    every: int = 10_000
    learning_starts: int = 10_000
    buffer: int = 50_000
    logs: str = "runs/cleanrl_saliency"
    seed: int = 1


class QNetwork(nn.Module):
    """CleanRL's, which divides by 255 itself."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            *(nn.Conv2d(4, 32, 8, stride=4), nn.ReLU(), nn.Conv2d(32, 64, 4, stride=2), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, stride=1), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, actions)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps bytes (B, 4, 84, 84) to Q (B, actions)."""
        return self.network(x / 255.0)


args = tyro.cli(Args)
random.seed(args.seed)
torch.manual_seed(args.seed)
gym.register_envs(ale_py)
env = gym.make(args.game, frameskip=1)
env = gym.wrappers.FrameStackObservation(gym.wrappers.AtariPreprocessing(env), 4)
env.action_space.seed(args.seed)
actions = int(env.action_space.n)
q_network, target_network = QNetwork(actions), QNetwork(actions)
target_network.load_state_dict(q_network.state_dict())
optimizer = torch.optim.Adam(q_network.parameters(), lr=1e-4)
writer = SummaryWriter(args.logs)
memory: deque = deque(maxlen=args.buffer)

observation, _ = env.reset(seed=args.seed)
episode_return = 0.0
for step in range(1, args.steps + 1):
    epsilon = max(1 - step / 100_000, 0.01)
    if random.random() < epsilon:
        action = int(env.action_space.sample())
    else:
        action = int(q_network(torch.as_tensor(observation[None]).float()).argmax())
    following, reward, terminated, truncated, _ = env.step(action)
    memory.append((observation, action, np.sign(reward), following, terminated))
    observation, episode_return = following, episode_return + float(reward)
    if terminated or truncated:
        writer.add_scalar("charts/episodic_return", episode_return, step)
        observation, _ = env.reset()
        episode_return = 0.0

    if step == args.learning_starts:
        states = np.stack([memory[i][0] for i in np.linspace(0, len(memory) - 1, 64, dtype=int)])  # <--
        probe = SaliencyProbe.for_module(q_network, states)  # <--
    if step >= args.learning_starts and step % args.every == 0:  # <--
        probe.log(writer, step, picture=step % (10 * args.every) == 0 or step == args.learning_starts)  # <--

    if step > args.learning_starts and step % 4 == 0:
        columns = zip(*random.sample(memory, 32), strict=True)
        before, chosen, rewards, after, ended = (torch.as_tensor(np.array(column)) for column in columns)
        with torch.no_grad():
            best = target_network(after.float()).amax(dim=1)
            wanted = rewards.float() + 0.99 * best * ~ended
        loss = F.smooth_l1_loss(q_network(before.float()).gather(1, chosen[:, None]).squeeze(1), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if step % 1_000 == 0:
        target_network.load_state_dict(q_network.state_dict())
writer.close()
