"""Whether two agents can be asked about the same states."""

from __future__ import annotations

from policyscope.agents.agent import Agent
from policyscope.errors import ProtocolError


def check_agents(first: Agent, other: Agent) -> None:
    """Makes sure that an agent can explain what another one played.

    Args:
        first: Who played.
        other: Who is to explain it.

    Raises:
        ProtocolError: It sees or does something else.
    """
    told = f"{other.source} cannot be compared with {first.source}"
    shapes = [tuple(agent.protocol.observation_shape) for agent in (first, other)]
    if shapes[0] != shapes[1]:
        raise ProtocolError(f"{told}: it sees observations of shape {shapes[1]}, not {shapes[0]}")
    if other.actions != first.actions:
        raise ProtocolError(f"{told}: its actions are {', '.join(other.actions)}, not {', '.join(first.actions)}")
    if other.memory_size and other.fingerprint != first.fingerprint:
        raise ProtocolError(f"{told}: it is recurrent, and the episode holds the other's memories; play it by itself")
