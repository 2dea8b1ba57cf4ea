"""The same agent in a game that is changed slightly: the console's switches of mode and difficulty."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from ale_py import ALEInterface, LoggerMode, roms
from torch import Tensor, nn

from policyscope.agents.agent import Agent
from policyscope.agents.protocol import Protocol
from policyscope.diagnosis.examination import Examination
from policyscope.episodes.returns import play_returns
from policyscope.storage import Array

GAMES, STEPS = 4, 200
"""Games side by side, and the actions after which they are cut off."""
AFFORDABLE = 15.0
"""Seconds of the processor that all of them may take."""
CHANGES = 2


@dataclass(frozen=True, eq=False)
class Compared:
    """Returns of short games of one kind.

    Attributes:
        name: What is changed, in words.
        returns: (games,) of the agent.
        chance: (games,) of random actions with the same seeds.
    """

    name: str
    returns: Array
    chance: Array

    @property
    def games(self) -> int:
        """How many were played."""
        return len(self.returns)

    def lead(self, rows: Array) -> float:
        """By how much the agent is better than chance, over some of the games."""
        return float(self.returns[rows].mean() - self.chance[rows].mean())


def compared(examination: Examination) -> tuple[Compared | None, list[Compared]]:
    """The usual game and some changed ones; None and nothing where that would take too long or cannot be done."""
    agent = examination.agent
    changes = variants(agent.protocol)
    if not changes or agent.continuous is not None:
        return None, []
    if _seconds(agent) * STEPS * (1 + len(changes)) > AFFORDABLE:
        return None, []
    usual, *others = (_played(agent, name, protocol) for name, protocol in [("", agent.protocol), *changes])
    return usual, others


def variants(protocol: Protocol) -> list[tuple[str, Protocol]]:
    """Changes of a game, each with its name: another difficulty before another mode, which may change the rules."""
    if protocol.game is None:
        return []
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.loadROM(str(roms.get_rom_path(protocol.game)))
    found = []
    for what, available in (("difficulty", ale.getAvailableDifficulties()), ("mode", ale.getAvailableModes())):
        used = getattr(protocol, what)
        used = available[0] if used is None else used
        other = next((int(value) for value in available if value != used), None)
        if other is not None:
            switched: dict[str, Any] = {what: other}
            found.append((f"{what} {other} instead of {used}", replace(protocol, **switched)))
    return found[:CHANGES]


def _seconds(agent: Agent) -> float:
    """How long a step of the games takes, the agent's and those by chance, without their beginning."""
    took = []
    for steps in (2, 12):
        begun = time.process_time()
        play_returns(agent, GAMES, seed=1000, limit=steps)
        took.append(time.process_time() - begun)
    # By chance there is no network, but there are as many games.
    return 2 * max(took[1] - took[0], 0.0) / 10


class _Nothing(nn.Module):
    """Outputs that say nothing, for an agent that acts by chance."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.actions = actions

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.zeros(len(inputs), self.actions)


def _played(agent: Agent, name: str, protocol: Protocol) -> Compared:
    by_chance = replace(
        agent,
        network=_Nothing(len(agent.actions)),
        read=lambda outputs: {"q": outputs},
        streams=("q",),
        policy="epsilon=1",
    )
    returns, chance = (
        play_returns(who, GAMES, seed=1000, protocol=protocol, limit=STEPS) for who in (agent, by_chance)
    )
    return Compared(name, np.asarray(returns), np.asarray(chance))
