"""Agents from Python: any torch module, with its outputs named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from policyscope.agents.agent import Agent, ContinuousActions, Streams
from policyscope.agents.environments import GivenEnv, describe
from policyscope.agents.games import action_names
from policyscope.agents.presets import preset
from policyscope.agents.protocol import Protocol
from policyscope.errors import CheckpointError, ProtocolError

Key = None | int | str | Callable[[Any], Tensor]


def make_agent(
    network: nn.Module,
    protocol: Protocol | str | Path | None = None,
    *,
    game: str | None = None,
    env: GivenEnv | None = None,
    streams: Mapping[str, Key] | None = None,
    actions: Sequence[str] | None = None,
    read: Callable[[Any], Streams] | None = None,
    policy: str | None = None,
    continuous: ContinuousActions | None = None,
    source: str = "python",
    facts: Mapping[str, Any] | None = None,
) -> Agent:
    """Makes an agent of any torch module that maps observations to values or actions.

    Args:
        network: Takes (B, *protocol.observation_shape) floats; with an integer attribute ``memory_size`` also a memory
            (B, memory_size), and returns ``(outputs, memory)``. It is put into evaluation mode.
        protocol: How the screen becomes an observation: a Protocol, a preset's name, or a JSON file. Left out, the
            observations of ``env`` are taken as they are; without ``env`` it is ``modern``.
        game: Any way to write one of ale-py's games, where the protocol does not name it.
        env: A Gymnasium environment, its id, ``MODULE:FACTORY`` or a callable that makes it, instead of a game.
        streams: Name of a stream -> where it is in the network's output: None for the output itself, an index of a
            tuple, a key of a dict, or a function of the output. Left out, a dict keeps its names, a single tensor is
            ``q`` (``policy`` where actions are continuous), and of a pair the one with a single column is ``value`` and
            the other ``policy``.
        actions: Names of the actions; by default the game's or the environment's, or numbers.
        read: From the network's output to its streams, instead of ``streams``.
        policy: How it acts: ``greedy``, ``sample`` or ``epsilon=0.01``.
        continuous: Bounds of continuous actions; by default those of ``env``.
        source: Where it came from, for people to read.
        facts: What is known about it.

    Example:
        >>> agent = make_agent(network, "cleanrl", game="breakout", streams={"policy": 0, "value": 1})
        >>> agent = make_agent(network, env="CarRacing-v3")
    """
    if env is None:
        protocol = preset(protocol, game)
    else:
        shown = describe(env)
        protocol = shown.protocol if protocol is None else replace(preset(protocol), game=None, env=shown.name)
        actions, continuous = actions or shown.actions.names, continuous or shown.actions.bounds
    network = network.eval()
    if read is None:
        read = Selection(streams) if streams is not None else Guess("q" if continuous is None else "policy")
    agent = Agent(
        network, protocol, streams=(), actions=tuple(actions or ()), read=read, continuous=continuous, source=source
    )
    found = agent.check_inputs()
    names = tuple(found)
    if not names:
        raise CheckpointError(f"the network of {source} has no streams; name them with streams= or read=")
    if isinstance(read, Guess):
        agent = replace(agent, read=Selection(read.keys))
    main = found.get("q", found.get("policy"))
    return replace(
        agent,
        streams=names,
        actions=_names(agent, found[names[0]].shape[-1] if main is None else main.shape[-1], main is not None),
        policy=policy or ("sample" if "policy" in names and "q" not in names and continuous is None else "greedy"),
        facts=dict(facts or {}),
    )


class Selection:
    """Reads named streams from a network's output."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self.keys = dict(keys)

    def __call__(self, outputs: Any) -> Streams:
        """Picks each stream, (B, k)."""
        streams = {}
        for name, key in self.keys.items():
            try:
                value = key(outputs) if callable(key) else outputs if key is None else outputs[key]
            except (KeyError, IndexError, TypeError) as error:
                raise CheckpointError(f"stream {name!r} is not at {key!r} in the network's output: {error}") from error
            if not isinstance(value, Tensor) or value.dim() not in (1, 2):
                what = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
                raise CheckpointError(f"stream {name!r} must be a tensor (B, k) or (B,), not {what}; see streams=")
            streams[name] = value
        return streams


class Guess:
    """Names the outputs of a network from their kinds and shapes, once; ``single`` is the name of a lone tensor."""

    def __init__(self, single: str = "q") -> None:
        self.single = single
        self.keys: dict[str, Key] = {}

    def __call__(self, outputs: Any) -> Streams:
        """Picks the streams of the first output that it sees."""
        if isinstance(outputs, Tensor):
            self.keys = {self.single: None}
        elif isinstance(outputs, Mapping):
            self.keys = {str(k): k for k, v in outputs.items() if isinstance(v, Tensor) and v.dim() in (1, 2)}
        elif isinstance(outputs, (tuple, list)):
            self.keys = _guess_several(outputs, self.single)
        else:
            raise CheckpointError(
                f"the network returns a {type(outputs).__name__}; say where its streams are with read="
            )
        return Selection(self.keys)(outputs)


def _guess_several(outputs: Sequence[Any], single: str) -> dict[str, Key]:
    columns = [value.shape[-1] if isinstance(value, Tensor) and value.dim() == 2 else 1 for value in outputs]
    tensors = [isinstance(value, Tensor) for value in outputs]
    if len(outputs) == 1 and tensors[0]:
        return {single: 0}
    if len(outputs) == 2 and all(tensors) and sorted(columns)[0] == 1 < max(columns):
        value = columns.index(1)
        return {"policy": 1 - value, "value": value}
    raise CheckpointError(
        f"the network returns {len(outputs)} outputs; name them, e.g. streams={{'policy': 0, 'value': 1}}"
    )


def _names(agent: Agent, count: int, sure: bool) -> tuple[str, ...]:
    """Names of the actions; ``sure`` says that the count is theirs."""
    if agent.actions:
        if sure and len(agent.actions) != count:
            where = f"{agent.protocol.game or agent.protocol.env or 'the agent'} has {len(agent.actions)} actions"
            raise ProtocolError(
                f"the network of {agent.source} chooses among {count} actions, but {where} "
                f"({', '.join(agent.actions)}); name its outputs with streams= if they are others"
            )
        return agent.actions
    game, full = agent.protocol.game, agent.protocol.full_action_space
    if agent.continuous is None and game is not None:
        for whole in (full, not full):
            if len(action_names(game, whole)) == count:
                return action_names(game, whole)
    return tuple(str(number) for number in range(count))
