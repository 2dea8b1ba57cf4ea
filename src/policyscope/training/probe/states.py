"""States that a probe keeps, and how they go through the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent, Streams
from policyscope.agents.observations import protocol_of_pictures
from policyscope.agents.protocol import Protocol
from policyscope.episodes.episode import Episode
from policyscope.errors import ProtocolError
from policyscope.saliency.record import evaluating, record
from policyscope.saliency.trace import Trace
from policyscope.storage import Array
from policyscope.training.probe import measures

Forward = Callable[[nn.Module, Tensor], Any]

STATES = 64
STATES_OVER_TIME = 16
# Floats up to 1, and normalised ones, which trainers clip at 10.
NO_BYTES = 10


class ProbeStates:
    """A fixed batch of observations.

    Attributes:
        full: The difference between black and white in an observation: 255, or 1 where no value is above 10.
        frames: (n, lags, colours, H, W), the observations frame by frame, newest last.
        places: (n, H, W), where something moves (see ``measures.moving``).

    Args:
        agent: How the observations are fed.
        observations: (n, *observation_shape), or (n, window, *observation_shape) for a network with a memory.
        forward: How the network is called; None for ``network(inputs)``.

    Raises:
        ProtocolError: That is not their shape.
    """

    def __init__(self, agent: Agent, observations: Array | Tensor, forward: Forward | None) -> None:
        self.agent, self._forward = agent, forward
        self._observations = torch.as_tensor(observations).detach().clone()
        shape = tuple(agent.protocol.observation_shape)
        windows = agent.memory_size > 0 and self._observations.ndim == len(shape) + 2
        if len(self._observations) == 0 or tuple(self._observations.shape[1 + windows :]) != shape:
            raise ProtocolError(
                f"a probe of {agent.source} needs observations of shape (n, {', '.join(map(str, shape))}), "
                f"not {tuple(self._observations.shape)}"
            )
        self._window = self._observations.shape[1] if windows else 0
        self.full = 255.0 if float(self._observations.max()) > NO_BYTES else 1.0
        self.frames = self.by_frame(self._arranged(self._observations))
        self.places = measures.moving(self.frames, self.full)

    def __len__(self) -> int:
        return len(self._observations)

    def trace(self, network: nn.Module, rows: Array | slice = slice(None)) -> Trace:
        """The watched pass of some states through a network."""
        over_time = self.agent.protocol.layout == "time"
        lags = self._window or (self.agent.protocol.stack if over_time else 0)
        return record(lambda x: self._run(network, x), self._pictures(rows), network, lags=lags)

    def streams(self) -> Streams:
        """What the network makes of the first state.

        Raises:
            ProtocolError: It does not take it.
        """
        agent = self.agent
        try:
            with evaluating(agent.network), torch.no_grad():
                streams: Any = self._run(agent.network, self._pictures(slice(1)))
        except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ProtocolError(f"the network of {agent.source} does not run on its observations: {reason}") from error
        if not isinstance(streams, dict):
            raise ProtocolError(f"read must make a dict of streams, not a {type(streams).__name__}")
        return streams

    def by_frame(self, pictures: Tensor) -> Tensor:
        """The network's input, or its gradient, as (B, lags, colours, H, W), newest last.

        The steps of a window are its lags, all frames of a step together.
        """
        if self._window > 1 or self.agent.protocol.layout == "time":
            return pictures
        pictures = pictures.flatten(1, 2) if self._window else pictures
        frames: Tensor = pictures.unflatten(1, (self.agent.protocol.stack, -1))
        return frames

    def screens(self, rows: Array) -> Array:
        """The newest frame of some states, (n, colours, H, W) uint8."""
        newest = self.frames[rows, -1].float().cpu().numpy()
        # normalised observations go below zero and above one
        low, high = min(float(newest.min()), 0.0), max(float(newest.max()), self.full)
        return np.asarray((255 / (high - low) * (newest - low)).astype(np.uint8))

    def _pictures(self, rows: Array | slice) -> Tensor:
        return self._arranged(self.agent.prepare(self._observations[rows])).contiguous()

    def _run(self, network: nn.Module, pictures: Tensor) -> Streams:
        if self._forward is not None:
            return self.agent.read(self._forward(network, self._given(pictures)))
        agent = replace(self.agent, network=network)
        if not self._window:
            return agent(self._given(pictures))[0]
        streams, memory = Streams(), None
        for step in pictures.unbind(dim=1):
            streams, memory = agent(self._given(step), memory)
        return streams

    def _arranged(self, observations: Tensor) -> Tensor:
        """Channels before height and width."""
        return observations.movedim(-1, -3) if self.agent.protocol.layout == "channels_last" else observations

    def _given(self, pictures: Tensor) -> Tensor:
        """As the network takes them."""
        return pictures.movedim(-3, -1) if self.agent.protocol.layout == "channels_last" else pictures


def described(observations: Array | Tensor, name: str, stack: int | None = None, scale: float = 1.0) -> Protocol:
    """The protocol of observations that a trainer gives its network.

    Args:
        observations: (n, C, H, W), (n, H, W, C) or (n, lags, C, H, W).
        name: What to call it.
        stack: Frames in the channels; by default channels that are a multiple of three are coloured frames.
        scale: What the network's inputs are divided by first.

    Raises:
        ProtocolError: They are no pictures, or no stack of that many.
    """
    shape, dtype = tuple(observations.shape[1:]), torch.as_tensor(observations[:1]).numpy(force=True).dtype
    protocol = replace(protocol_of_pictures(shape, dtype, name), scale=scale)
    channels = protocol.stack * protocol.colours
    if stack is None:
        return protocol
    if channels not in (stack, 3 * stack):
        raise ProtocolError(f"observations of shape {shape} have {channels} channels, which are no stack of {stack}")
    return replace(protocol, stack=stack, colour="grey" if channels == stack else "rgb")


def spread_over(agent: Agent, episode: Episode, states: int | None, window: int) -> Array:
    """Observations of states of an episode, evenly spread; windows of them for a network with a memory.

    Args:
        agent: Whose states they are.
        episode: Where they are from.
        states: How many; None for 64, or 16 where each is several frames that go through the network one by one.
        window: Frames of a window; each lies within one episode.

    Raises:
        ProtocolError: The episode is too short.
    """
    over_time = agent.memory_size > 0 or agent.protocol.layout == "time"
    rows = np.arange(len(episode))
    if agent.memory_size:
        begun = np.maximum.accumulate(np.where(episode.starts, rows, 0))
        rows = rows[rows - begun >= window - 1]
    if not len(rows):
        raise ProtocolError(f"the episode has {len(episode)} steps: too few for a window of {window}")
    wanted = min(states or (STATES_OVER_TIME if over_time else STATES), len(rows))
    rows = rows[np.linspace(0, len(rows) - 1, wanted).round().astype(int)]
    return episode.window(rows, window)[0] if agent.memory_size else np.asarray(episode.observations[rows])


def in_a_row(agent: Agent, episode: Episode, steps: int, window: int) -> Array:
    """Observations of steps that follow each other, from the middle of an episode; as ``spread_over`` gives them."""
    first = max((len(episode) - steps) // 2, 0)
    rows = np.arange(first, min(first + steps, len(episode)))
    return episode.window(rows, window)[0] if agent.memory_size else np.asarray(episode.observations[rows])
