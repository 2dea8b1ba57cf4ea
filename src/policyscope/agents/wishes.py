"""What the user says beside the file, and the protocol that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from policyscope.agents.environments import Description, GivenEnv, describe
from policyscope.agents.games import action_names, find_environment, find_game
from policyscope.agents.imports import made_by
from policyscope.agents.presets import preset
from policyscope.agents.protocol import Protocol
from policyscope.errors import CheckpointError, PolicyscopeError, ProtocolError

ENVIRONMENT = Protocol(name="environment", frame_skip=1, sticky=0.0, max_frames=0, max_pool="none")
"""How an environment of somebody else's is played unless the user says otherwise: as it is."""

GivenNetwork = nn.Module | str | Callable[..., nn.Module]
"""A module, or what makes it of an observation's shape and a number of actions: ``MODULE:FACTORY`` or a callable."""


@dataclass(frozen=True)
class Wishes:
    """What is known about an agent besides its file; None leaves it to the file.

    Attributes:
        game: Any way to write one of ale-py's games.
        protocol: A Protocol, a preset's name, or a JSON file.
        network: A module, or what makes it.
        env: A Gymnasium environment, its id, ``MODULE:FACTORY`` or a callable, where the game is not ale-py's.
        policy: How the agent acts: ``greedy``, ``sample`` or ``epsilon=0.01``.
        normalise: An npz file with ``mean`` and ``var`` of the observations, or ``off``.
    """

    game: str | None = None
    protocol: Protocol | str | Path | None = None
    network: GivenNetwork | None = None
    env: GivenEnv | None = None
    policy: str | None = None
    normalise: str | Path | None = None
    _described: list[Description] = field(default_factory=list, init=False, repr=False, compare=False)

    def settle(self, usual: str | Protocol, hints: Sequence[str], name: str, **values: Any) -> Protocol:
        """The protocol of an agent: the user's if given, else the usual one of its kind, for its game.

        Where the game is not ale-py's, a preset gives way to the environment's own observations, except for what the
        file tells.

        Args:
            usual: Preset of the agent's kind, or the protocol that it was saved with.
            hints: Texts that may tell the game or the environment.
            name: What to call the agent in an error.
            values: What the file tells about the usual protocol; the user's own protocol stays as it is.
        """
        chosen = preset(usual if self.protocol is None else self.protocol)
        game: str | None = None
        env: GivenEnv | None = self.env
        if env is None and self.game is not None:
            game = self.game
        elif env is None:
            game = chosen.game or (None if chosen.env else find_game(hints))
            env = chosen.env or (None if game else find_environment(hints))
        if game is None and env is None:
            raise ProtocolError(
                f"nothing tells which game {name} plays; pass --game (or --env for one that is not Atari)"
            )
        if self.protocol is None and env is not None and isinstance(usual, str):
            chosen = self._as_it_is(env, values)
        elif self.protocol is None:
            chosen = replace(chosen, **values)
        if env is None:
            return preset(chosen, game)
        return replace(chosen, game=None, env=env if isinstance(env, str) else self.environment(env).name)

    def environment(self, env: GivenEnv | None) -> Description:
        """What the agent's environment tells about itself, asked once.

        Args:
            env: What it is called, where the user did not give it.
        """
        if not self._described:
            given = env if self.env is None else self.env
            assert given is not None
            self._described.append(describe(given))
        return self._described[0]

    def with_actions(self, protocol: Protocol, count: int, name: str) -> tuple[Protocol, tuple[str, ...]]:
        """Names a network's discrete actions, and settles whether they are a game's own or all 18.

        Args:
            protocol: With its game or environment.
            count: Outputs of the network.
            name: What to call the agent in an error.
        """
        if protocol.game is None:
            return protocol, self._names(protocol, count)
        for full in (protocol.full_action_space, not protocol.full_action_space):
            names = action_names(protocol.game, full)
            if len(names) == count:
                return replace(protocol, full_action_space=full), names
        own = action_names(protocol.game)
        raise ProtocolError(
            f"{name} chooses among {count} actions, but {protocol.game} has {len(own)} ({', '.join(own)}), or all 18; "
            "is --game right?"
        )

    def build(self, observation_shape: tuple[int, ...], actions: int) -> nn.Module:
        """The user's own network.

        Args:
            observation_shape: Channels, height and width (or as the protocol's layout says).
            actions: Number of actions, or dimensions of a continuous one.
        """
        given = self.network
        assert given is not None
        if isinstance(given, nn.Module):
            return given
        made = made_by(given, "--network", observation_shape=observation_shape, actions=actions)
        if not isinstance(made, nn.Module):
            raise CheckpointError(f"--network {given} gave a {type(made).__name__}, not a torch.nn.Module")
        if any(isinstance(weight, UninitializedParameter) for weight in made.parameters()):
            memory = getattr(made, "memory_size", 0)
            with torch.no_grad():
                made(torch.zeros(1, *observation_shape), *([torch.zeros(1, memory)] if memory else []))
        return made

    def _as_it_is(self, env: GivenEnv, values: dict[str, Any]) -> Protocol:
        if not values:
            return self.environment(env).protocol
        told = replace(ENVIRONMENT, **values)
        try:
            shown = self.environment(env).protocol
        # An agent can be loaded where its environment cannot be made; playing it will say what is missing.
        except PolicyscopeError:
            return told
        return replace(told, ready=shown.observation_shape == told.observation_shape)

    def _names(self, protocol: Protocol, count: int) -> tuple[str, ...]:
        try:
            actions = self.environment(protocol.env).actions
        # As above; and a wrapper that is not there may have chosen among the actions.
        except PolicyscopeError:
            actions = None
        if actions is not None and actions.bounds is None and len(actions.names) == count:
            return actions.names
        return tuple(map(str, range(count)))
