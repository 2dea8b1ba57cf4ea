"""What happened in a few steps of many games, and how a network sees it: stacked frames, or windows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.training.compute import Compute, Streams, floats
from policyscope.training.games import Games, Turn
from policyscope.training.windows import Memory, encode, windows


@dataclass
class Rollout:
    """What happened in T steps of N games; each array is (T, N)."""

    actions: Tensor
    log_chances: Tensor
    values: Tensor
    rewards: Tensor
    ends: Tensor

    @classmethod
    def empty(cls, length: int, games: int) -> Rollout:
        """Room for one."""
        return cls(torch.zeros(length, games, dtype=torch.int64), *(torch.zeros(length, games) for _ in range(4)))

    def play(self, step: int, view: View, games: Games, check: Callable[[Tensor], None]) -> tuple[Tensor, Turn]:
        """Plays one step by chance, as the policy says.

        Args:
            step: Which of the rollout's.
            view: How the network sees the games.
            games: What is played.
            check: Called with the log of the policy (N, A) before an action is drawn from it; may raise.

        Returns:
            The log of the policy, and what the step brought.
        """
        with torch.no_grad():
            streams = view.act(step, games)
        log_policy = streams["policy"].log_softmax(dim=1)
        check(log_policy)
        actions = torch.multinomial(log_policy.exp(), 1)
        turn = games.step(actions.squeeze(1).cpu().numpy())
        self.actions[step] = actions.squeeze(1)
        self.log_chances[step] = log_policy.gather(1, actions).squeeze(1)
        self.values[step] = streams["value"].squeeze(1)
        self.rewards[step] = torch.from_numpy(turn.rewards)
        self.ends[step] = torch.from_numpy(turn.ends.astype(np.float32))
        return log_policy, turn

    def lessons(self, view: View, games: Games, gamma: float, trace: float) -> Streams:
        """What is learnt from the steps once all are played, each (T x N,).

        Args:
            view: How the network sees the games.
            games: What was played.
            gamma: Discount.
            trace: Lambda.

        Returns:
            ``actions``, ``log_chances`` when they were taken, ``advantages`` and ``returns``.
        """
        with torch.no_grad():
            last = view.last(games)["value"].squeeze(1).cpu()
        advantages = self.advantages(last, gamma, trace)
        found = {
            "actions": self.actions,
            "log_chances": self.log_chances,
            "advantages": advantages,
            "returns": advantages + self.values,
        }
        return {name: value.flatten() for name, value in found.items()}

    def advantages(self, last: Tensor, gamma: float, trace: float) -> Tensor:
        """Generalised advantage estimates (Schulman et al., 2016, Eq. 16), cut where a life or a game ends.

        Args:
            last: Values (N,) of the states after the rollout.
            gamma: Discount.
            trace: Lambda.

        Returns:
            (T, N): the sum over k of (gamma lambda)^k (r + gamma v' - v).
        """
        found = torch.zeros_like(self.values)
        carried, after = torch.zeros_like(last), last
        for step in reversed(range(len(found))):
            alive = 1 - self.ends[step]
            error = self.rewards[step] + gamma * after * alive - self.values[step]
            carried = error + gamma * trace * alive * carried
            found[step], after = carried, self.values[step]
        return found


class View(Protocol):
    """How a network sees games: when it acts, and again when it learns from what happened."""

    def act(self, step: int, games: Games) -> Streams:
        """The streams of each game's state, step ``step`` of the rollout, which is kept."""

    def last(self, games: Games) -> Streams:
        """The streams of the states after it."""

    def batches(self) -> Iterator[tuple[Tensor, Streams]]:
        """All states of the rollout by chance: their rows in (T x N), and their streams, with gradients."""


class Stacked:
    """Frames stacked as channels: each state by itself."""

    def __init__(self, network: nn.Module, compute: Compute, length: int, batch: int, shape: tuple[int, ...]) -> None:
        """Takes the memory.

        Args:
            network: Takes (B, stack, H, W).
            compute: Where, and in what precision.
            length: Steps of a rollout.
            batch: States of a gradient step.
            shape: Of the games' observations (N, stack, H, W).
        """
        self._network, self._compute, self._batch = network, compute, batch
        games, stack, *size = shape
        # Channels last, as the network takes them, so that drawing states and making inputs of them copies rows.
        self._kept = torch.zeros(length, games, *size, stack, dtype=torch.uint8)

    def _forward(self, observations: Tensor) -> Streams:
        with self._compute.autocast():
            return floats(self._network(self._compute.inputs(observations)))

    def act(self, step: int, games: Games) -> Streams:
        """See :class:`View`."""
        self._kept[step] = torch.from_numpy(games.observations).movedim(1, -1)
        return self._forward(self._kept[step].movedim(-1, 1))

    def last(self, games: Games) -> Streams:
        """See :class:`View`."""
        return self._forward(torch.from_numpy(games.observations))

    def batches(self) -> Iterator[tuple[Tensor, Streams]]:
        """See :class:`View`."""
        states = self._kept.flatten(0, 1).flatten(1)
        for rows in torch.randperm(len(states)).split(self._batch):
            drawn = states.index_select(0, rows).view(-1, *self._kept.shape[2:])
            yield rows, self._forward(drawn.movedim(-1, 1))


class Windowed:
    """Windows of frames, for recurrent networks: all steps of some games together, each frame encoded once."""

    def __init__(self, network: nn.Module, compute: Compute, length: int, batch: int, shape: tuple[int, ...]) -> None:
        """Takes the memory.

        Args:
            network: With ``frames`` and ``from_features``.
            compute: Where, and in what precision.
            length: Steps of a rollout.
            batch: States of a gradient step, a multiple of ``length``.
            shape: Of the games' observations (N, size, H, W).
        """
        self._network, self._compute = network, compute
        self._games, self._size = shape[:2]
        self._length, self._together = length, batch // length
        self._memory = Memory(network, compute, self._size)
        self._frames = torch.zeros(self._games, self._size - 1 + length, *shape[2:], dtype=torch.uint8)
        self._age = torch.zeros(self._games, length, dtype=torch.int64)

    def act(self, step: int, games: Games) -> Streams:
        """See :class:`View`."""
        observations, age = torch.from_numpy(games.observations), torch.from_numpy(games.age)
        if step == 0:
            self._memory.forget()
            self._frames[:, : self._size - 1] = observations[:, :-1]
        self._frames[:, self._size - 1 + step] = observations[:, -1]
        self._age[:, step] = age
        return self._streams(self._memory, observations, age)

    def last(self, games: Games) -> Streams:
        """See :class:`View`."""
        return self._streams(self._memory, torch.from_numpy(games.observations), torch.from_numpy(games.age))

    def _streams(self, memory: Memory, observations: Tensor, age: Tensor) -> Streams:
        with self._compute.autocast():
            return floats(self._network.from_features(memory(observations, age)))  # type: ignore[operator]

    def batches(self) -> Iterator[tuple[Tensor, Streams]]:
        """See :class:`View`."""
        steps = torch.arange(self._length) * self._games
        for games in torch.randperm(self._games).split(self._together):
            with self._compute.autocast():
                features, blank = encode(self._network, self._frames[games], self._compute)
                seen = windows(features, blank, self._age[games], self._size).flatten(0, 1)
                streams = floats(self._network.from_features(seen))  # type: ignore[operator]
            yield (games[:, None] + steps).flatten(), streams
