"""What the user says beside the file, and the protocol that comes of it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from policyscope.agents import environments
from policyscope.agents.environments import imported
from policyscope.agents.games import action_names, find_environment, find_game
from policyscope.agents.presets import preset
from policyscope.agents.protocol import Protocol
from policyscope.errors import CheckpointError, ProtocolError

ENVIRONMENT = Protocol(name="environment", frame_skip=1, sticky=0.0, max_frames=0, max_pool="none")
"""How an environment of somebody else's is played unless the user says otherwise: as it is."""


@dataclass(frozen=True)
class Wishes:
    """What is known about an agent besides its file; None leaves it to the file.

    Attributes:
        game: Any way to write one of ale-py's games.
        protocol: A Protocol, a preset's name, or a JSON file.
        network: A module, or ``MODULE:FACTORY``.
        env: A Gymnasium id or ``MODULE:FACTORY``, where the game is not ale-py's.
        policy: How the agent acts: ``greedy``, ``sample`` or ``epsilon=0.01``.
        normalise: An npz file with ``mean`` and ``var`` of the observations, or ``off``.
    """

    game: str | None = None
    protocol: Protocol | str | Path | None = None
    network: nn.Module | str | None = None
    env: str | None = None
    policy: str | None = None
    normalise: str | Path | None = None

    def settle(self, usual: str | Protocol, hints: Sequence[str], name: str, **values: Any) -> Protocol:
        """The protocol of an agent: the user's if given, else the usual one of its kind, for its game.

        Args:
            usual: Preset of the agent's kind.
            hints: Texts that may tell the game or the environment.
            name: What to call the agent in an error.
            values: What the file tells about the usual protocol; the user's own protocol stays as it is.
        """
        chosen = preset(usual if self.protocol is None else self.protocol)
        if self.env is not None:
            game, env = None, self.env
        elif self.game is not None:
            game, env = self.game, None
        else:
            game = chosen.game or find_game(hints)
            env = chosen.env or (None if game else find_environment(hints))
        if game is None and env is None:
            raise ProtocolError(
                f"nothing tells which game {name} plays; pass --game (or --env for one that is not Atari)"
            )
        if self.protocol is None:
            # A preset is about Atari; a protocol that an agent was saved with is about its own environment.
            alien = env is not None and isinstance(usual, str)
            chosen = replace(ENVIRONMENT if alien else chosen, **values)
            if alien and len(chosen.observation_shape) == 3:
                channels, height, width = chosen.observation_shape
                chosen = replace(chosen, ready=environments.is_stacked(str(env), (channels, height, width)))
        return preset(chosen, game) if game else replace(chosen, game=None, env=env)


def with_actions(protocol: Protocol, count: int, name: str) -> tuple[Protocol, tuple[str, ...]]:
    """Names a network's discrete actions, and settles whether they are the game's own or all 18.

    Args:
        protocol: With its game or environment.
        count: Outputs of the network.
        name: What to call the agent in an error.
    """
    if protocol.game is None:
        return protocol, tuple(str(number) for number in range(count))
    for full in (protocol.full_action_space, not protocol.full_action_space):
        names = action_names(protocol.game, full)
        if len(names) == count:
            return replace(protocol, full_action_space=full), names
    own = action_names(protocol.game)
    raise ProtocolError(
        f"{name} chooses among {count} actions, but {protocol.game} has {len(own)} ({', '.join(own)}), or all 18; "
        "is --game right?"
    )


def count_actions(protocol: Protocol) -> int:
    """How many actions, or dimensions of an action, the protocol's game or environment has."""
    if protocol.game is not None:
        return len(action_names(protocol.game, protocol.full_action_space))
    return environments.count_actions(str(protocol.env))


def build(network: nn.Module | str, observation_shape: tuple[int, ...], actions: int) -> nn.Module:
    """The user's own network.

    Args:
        network: A module, or ``MODULE:FACTORY``, which is called as ``FACTORY(observation_shape, actions)``.
        observation_shape: Channels, height and width (or as the protocol's layout says).
        actions: Number of actions, or dimensions of a continuous one.
    """
    if isinstance(network, nn.Module):
        return network
    factory = imported(network, "--network")
    try:
        inspect.signature(factory).bind(observation_shape, actions)
    except TypeError as error:
        name = network.partition(":")[2]
        raise CheckpointError(
            f"--network {network} must be callable as {name}(observation_shape, actions): {error}"
        ) from error
    # Some callables that are written in C have no signature to ask for.
    except ValueError:
        pass
    made = factory(observation_shape, actions)
    if not isinstance(made, nn.Module):
        raise CheckpointError(f"--network {network} gave a {type(made).__name__}, not a torch.nn.Module")
    return made
