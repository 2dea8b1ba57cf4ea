"""An agent's turns in a game: it looks, acts and remembers, and somebody takes notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import torch

from policyscope.agents.agent import Agent
from policyscope.episodes.atari import Outcome
from policyscope.episodes.environment import Environment
from policyscope.episodes.episode import Episode
from policyscope.episodes.policy import Policy, choose
from policyscope.storage import Array

Forward = Callable[[Array, torch.Tensor | None], tuple[dict[str, Array], torch.Tensor | None]]


class Notes(Protocol):
    """Who is told of each turn."""

    def before(self, environment: Environment, streams: Mapping[str, Array], memory: Array | None, start: bool) -> None:
        """The state that is about to be acted in."""

    def after(self, action: int | Array, outcome: Outcome, streams: Mapping[str, Array]) -> None:
        """What the action brought, which completes the row."""


class Turns:
    """An agent in a game that was reset.

    Attributes:
        agent: Who plays.
        environment: The game.
        memory: (1, memory_size), what goes into the next turn; None for a feed-forward agent.
        start: Whether an episode begins with it.
    """

    def __init__(self, agent: Agent, environment: Environment, policy: Policy) -> None:
        self.agent, self.environment, self._policy = agent, environment, policy
        self._forward = _forward_pass(agent)
        self.memory: torch.Tensor | None = None
        self.start = True
        self.forget()

    def forget(self) -> None:
        """An episode begins: nothing is remembered."""
        agent = self.agent
        size = (1, agent.memory_size)
        self.memory = torch.zeros(size, dtype=agent.dtype, device=agent.device) if agent.memory_size else None
        self.start = True

    def go_on(self, past: Episode) -> None:
        """What was played ends in the middle of an episode: its last step is remembered."""
        self.forget()
        self.start = False
        if past.memories is not None:
            memory = torch.as_tensor(past.memories[-1][None]).to(self.agent.device, self.agent.dtype)
            with torch.inference_mode():
                self.memory = self._forward(past.observations[-1], memory)[1]

    def take(self, notes: Notes, seed: int, number: int, action: int | None = None) -> Outcome:
        """Takes one turn; where it ends an episode, the game begins anew.

        Args:
            notes: Who is told.
            seed: Of the run, for the policy's chances.
            number: Row of the run, for the same.
            action: Somebody else's; by default the agent's own choice.
        """
        environment, memory = self.environment, self.memory
        with torch.inference_mode():
            streams, following = self._forward(environment.observation, memory)
        before = None if memory is None else memory[0].float().cpu().numpy()
        notes.before(environment, streams, before, self.start)
        chosen = choose(self._policy, self.agent, streams, seed, number) if action is None else action
        outcome = environment.step(chosen)
        notes.after(chosen, outcome, streams)
        self.memory, self.start = following, False
        if outcome.terminated or outcome.truncated:
            environment.reset()
            self.forget()
        return outcome


def _forward_pass(agent: Agent) -> Forward:
    """A function from an observation and a memory (1, memory_size) to streams, name -> (k,), and the next memory."""
    # The agent looks through its network for these each time it is asked, which takes longer than a small step.
    device, dtype = agent.device, agent.dtype

    def forward(observation: Array, memory: torch.Tensor | None) -> tuple[dict[str, Array], torch.Tensor | None]:
        inputs = agent.protocol.scaled(torch.from_numpy(observation)[None].to(device), dtype)
        streams, following = agent(inputs, memory)
        return {name: values[0].float().reshape(-1).cpu().numpy() for name, values in streams.items()}, following

    return forward
