"""What an agent scores: whole games side by side, of which nothing is kept but their returns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import torch

from policyscope.agents.agent import Agent
from policyscope.agents.protocol import Protocol
from policyscope.episodes.environment import Environment
from policyscope.episodes.interrupts import Interrupts
from policyscope.episodes.play import one_thread, opened
from policyscope.episodes.policy import choose, policy_of
from policyscope.errors import PolicyscopeError
from policyscope.storage import Array

LIMIT = 27_000
"""Actions after which a game is cut off: a protocol's 108,000 frames, four an action."""


@dataclass
class _Game:
    """A game that is being played; its memory is (memory_size,), None for a feed-forward network."""

    index: int
    environment: Environment
    memory: torch.Tensor | None
    over: bool = False


def play_returns(
    agent: Agent,
    games: int = 30,
    seed: int = 0,
    *,
    protocol: Protocol | None = None,
    policy: str | None = None,
    limit: int = LIMIT,
    watch: Callable[[int, int], None] | None = None,
) -> Array:
    """Plays whole games side by side and returns what each brought, unclipped.

    Game i is the first game of ``play(agent, seed=seed + i)``: the same start, the same chances, an empty memory.
    The network is called on batches, whose rounding may differ from that of single states in the last bit.

    Args:
        agent: Who plays.
        games: How many.
        seed: Of the first game; the others have those that follow.
        protocol: Played under instead of the agent's own; its observations have the same shape.
        policy: ``greedy``, ``sample`` or ``epsilon=0.01``; by default the agent's own.
        limit: Actions after which a game is cut off, with the return that it has by then.
        watch: Called with (games over, games in all) after each action.

    Returns:
        (games,) float64, in the order of the seeds.

    Raises:
        PolicyscopeError: The agent cannot act by that policy, or a number is out of range.
        ProtocolError: The protocol does not fit the agent.
    """
    if games < 1 or limit < 1 or seed < 0:
        raise PolicyscopeError(
            f"games and limit must be at least 1 and the seed at least 0, not {games}, {limit} and {seed}"
        )
    agent = agent if protocol is None else replace(agent, protocol=protocol)
    chosen = policy_of(policy or agent.policy, agent)
    returns = np.zeros(games)
    blank = torch.zeros(agent.memory_size, dtype=agent.dtype, device=agent.device) if agent.memory_size else None
    with ExitStack() as held, torch.inference_mode():
        held.enter_context(one_thread())
        interrupts = held.enter_context(Interrupts())
        playing = [_Game(i, held.enter_context(opened(agent, None)), blank) for i in range(games)]
        for game in playing:
            game.environment.reset(seed + game.index)
        for step in range(limit):
            interrupts.check()
            streams, memories = _forward(agent, playing)
            for row, game in enumerate(playing):
                own = {name: values[row].reshape(-1) for name, values in streams.items()}
                outcome = game.environment.step(choose(chosen, agent, own, seed + game.index, step))
                returns[game.index] += outcome.reward
                game.memory, game.over = None if memories is None else memories[row], outcome.game_over
                if (outcome.terminated or outcome.truncated) and not game.over:  # a lost life that ends an episode
                    game.environment.reset()
                    game.memory = blank
            playing = [game for game in playing if not game.over]
            if watch is not None:
                watch(games - len(playing), games)
            if not playing:
                break
    return returns


def _forward(agent: Agent, playing: list[_Game]) -> tuple[dict[str, Array], torch.Tensor | None]:
    """Streams, name -> (games still played, k), and their next memories."""
    memories = [game.memory for game in playing if game.memory is not None]
    observations = np.stack([game.environment.observation for game in playing])
    streams, following = agent(agent.prepare(observations), torch.stack(memories) if memories else None)
    return {name: values.float().cpu().numpy() for name, values in streams.items()}, following
