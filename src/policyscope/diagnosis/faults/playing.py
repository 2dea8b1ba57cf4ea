"""Plays an agent that has a fault, in a pipeline that may have one, and keeps what an innocent loop would keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.diagnosis.faults.kind import Fault, View
from policyscope.episodes.atari import Outcome
from policyscope.episodes.environment import Environment, make_environment
from policyscope.episodes.episode import Episode
from policyscope.episodes.picture import arranged
from policyscope.episodes.play import one_thread
from policyscope.episodes.policy import choose, policy_of
from policyscope.episodes.turns import Turns
from policyscope.storage import Array

AFTER, LONGEST = 20, 5_000
"""Steps after an episode's end, for faults that show there alone, and those that are played at most to reach it."""


def play_faulty(agent: Agent, fault: Fault | None = None, steps: int = 500, seed: int = 0) -> tuple[Agent, Episode]:
    """Breaks an agent, and plays it.

    Args:
        agent: A healthy one; it stays as it was.
        fault: What to break; None plays it as it is.
        steps: To play.
        seed: Of the game, and of the fault's own chances.

    Returns:
        The agent as its owner would have it (with the fault in it where that is in the network), and what it saw and
        did.
    """
    broken = fault.network(agent) if fault is not None and fault.network is not None else agent
    environment = make_environment(agent.protocol)
    notes = _Notes()
    try:
        with one_thread():
            environment.reset(seed)
            turns = _Turns(broken, _Distorted(environment, fault, seed), fault, seed)
            ended, step = 0, 0
            waits = fault is not None and fault.ends
            while step < steps or (waits and ended < AFTER and step < LONGEST):
                action = turns.action(seed, step) if fault is not None and fault.action is not None else None
                outcome = turns.take(notes, seed, step, action)
                # The first steps of the next episode belong to an end.
                ended += outcome.terminated or outcome.truncated or bool(ended)
                step += 1
    finally:
        environment.close()
    return broken, notes.episode(broken)


class _Distorted:
    """A game whose observations go through a broken pipeline; all else is the game's own."""

    def __init__(self, game: Environment, fault: Fault | None, seed: int) -> None:
        self._game, self._fault = game, fault
        self._random = np.random.default_rng(seed)
        self._before: Array | None = None
        self._steps, self._first = 0, self._stack()
        self.observation = self._seen()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._game, name)

    def step(self, action: int) -> Outcome:
        self._before, self._steps = self._stack(), self._steps + 1
        outcome = self._game.step(action)
        self.observation = self._seen()
        return outcome

    def reset(self, seed: int | None = None) -> None:
        self._before, self._steps = self._stack(), 0
        self._game.reset(seed)
        self.observation = self._seen()

    def _stack(self) -> Array:
        """The game's stack, (frames, H, W, colours), oldest first."""
        protocol, seen = self._game.protocol, self._game.observation
        if protocol.layout == "time":
            return np.ascontiguousarray(seen.transpose(0, 2, 3, 1))
        if protocol.layout == "channels_last":
            return np.ascontiguousarray(seen.reshape(*seen.shape[:2], protocol.stack, -1).transpose(2, 0, 1, 3))
        return np.ascontiguousarray(seen.reshape(protocol.stack, -1, *seen.shape[1:]).transpose(0, 2, 3, 1))

    def _seen(self) -> Array:
        if self._fault is None or self._fault.view is None:
            return self._game.observation
        view = View(self._stack(), self._before, self._steps, self._first, self._random)
        return arranged(np.ascontiguousarray(self._fault.view(view)), self._game.protocol.layout)


class _Turns(Turns):
    """Turns of an agent whose memory may be kept wrongly, and whose actions may be."""

    def __init__(self, agent: Agent, environment: Any, fault: Fault | None, seed: int) -> None:
        self._fault = fault
        super().__init__(agent, environment, policy_of(agent.policy, agent))

    def forget(self) -> None:
        kept = getattr(self, "memory", None)
        super().forget()
        if self._fault is not None and self._fault.forgets is False and kept is not None:
            self.memory = kept

    def take(self, *arguments: Any, **options: Any) -> Outcome:
        outcome = super().take(*arguments, **options)
        if self._fault is not None and self._fault.forgets and self.memory is not None:
            self.memory = self.memory * 0
        return outcome

    def action(self, seed: int, number: int) -> int:
        """What the broken loop makes of the outputs."""
        assert self._fault is not None
        assert self._fault.action is not None
        with torch.inference_mode():
            streams, _ = self._forward(self.environment.observation, self.memory)
        chosen = choose(self._policy, self.agent, streams, seed, number)
        return self._fault.action(int(chosen), streams)


@dataclass
class _Notes:
    """Rows in memory."""

    rows: dict[str, list[Any]] = field(default_factory=dict)

    def before(self, environment: Environment, streams: Mapping[str, Array], memory: Array | None, start: bool) -> None:
        row = {
            "observations": environment.observation,
            "screens": environment.screen,
            "ram": environment.ram,
            "lives": environment.lives,
            "starts": start,
            "memories": memory,
        }
        for name, value in row.items():
            if value is not None:
                self.rows.setdefault(name, []).append(np.array(value))

    def after(self, action: int | Array, outcome: Outcome, streams: Mapping[str, Array]) -> None:
        row = {
            "actions": action,
            "rewards": outcome.reward,
            "terminated": outcome.terminated,
            "truncated": outcome.truncated,
        }
        for name, value in row.items():
            self.rows.setdefault(name, []).append(value)
        for name, values in streams.items():
            self.rows.setdefault(f"streams.{name}", []).append(values)

    def episode(self, agent: Agent) -> Episode:
        columns = {name: np.stack(rows) for name, rows in self.rows.items()}
        streams = {name.removeprefix("streams."): columns.pop(name) for name in list(columns) if "streams." in name}
        columns["actions"] = columns["actions"].astype(np.int64)
        columns["rewards"] = columns["rewards"].astype(np.float32)
        episode = Episode.from_arrays(columns.pop("observations"), **columns, streams=streams, protocol=agent.protocol)
        episode.meta["policy"] = agent.policy
        return episode
