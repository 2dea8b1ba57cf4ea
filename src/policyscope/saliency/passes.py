"""Rows of an episode on their way through an agent's network: over a window of frames where it has a memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Agent, Streams
from policyscope.episodes.episode import Episode
from policyscope.errors import ProtocolError
from policyscope.saliency.record import record
from policyscope.saliency.trace import Trace
from policyscope.storage import Array


class Passes:
    """Forward passes of an agent on an episode's states.

    Raises:
        ProtocolError: The episode's observations are not those that the agent sees.
    """

    def __init__(self, agent: Agent, episode: Episode) -> None:
        self.agent, self.episode = agent, episode
        shape, wanted = tuple(episode.observations.shape[1:]), tuple(agent.protocol.observation_shape)
        if shape != wanted:
            raise ProtocolError(
                f"the episode's observations have shape {shape}, the agent's protocol makes {wanted}: explain it with "
                "the agent that it was played by"
            )

    def watched(
        self,
        rows: Array,
        *,
        window: int = 1,
        positive_inputs: bool = False,
        capture: tuple[str, ...] = (),
        inputs: Tensor | None = None,
    ) -> Trace:
        """The watched pass on some rows.

        Args:
            rows: (n,) of the episode.
            window: Frames that a recurrent network is unrolled over.
            positive_inputs: The guided rule's paper-faithful option.
            capture: Module paths whose outputs are kept.
            inputs: Given to the network instead of the rows' own pictures, of their shape.
        """
        agent, protocol = self.agent, self.agent.protocol
        if not agent.memory_size:
            lags = protocol.stack if protocol.layout == "time" else 0
            return record(
                self.streams,
                self.pictures(rows) if inputs is None else inputs,
                agent.network,
                lags=lags,
                positive_inputs=positive_inputs,
                capture=capture,
            )
        own, memory, alive = self.window(rows, window)
        return record(
            lambda x: self.unrolled(x, memory, alive),
            own if inputs is None else inputs,
            agent.network,
            lags=window,
            positive_inputs=positive_inputs,
            capture=capture,
        )

    def pictures(self, rows: Array) -> Tensor:
        """Observations as the network takes them, but channels before height and width, (n, …)."""
        in_a_row = bool((np.diff(rows) == 1).all())
        observations = self.episode.observations[slice(rows[0], rows[-1] + 1) if in_a_row else rows]
        return self._channels_first(self.agent.prepare(observations))

    def window(self, rows: Array, window: int) -> tuple[Tensor, Tensor, Tensor]:
        """The last frames (n, window, …), the memory that went into the first, and which belong to the episode."""
        observations, memories, valid = self.episode.window(rows, window)
        inputs = self._channels_first(self.agent.prepare(observations.reshape(-1, *observations.shape[2:])))
        blank = np.zeros((len(rows), self.agent.memory_size), np.float32)
        memory = torch.as_tensor(blank if memories is None else memories).to(inputs)
        return inputs.view(len(rows), window, *inputs.shape[1:]), memory, torch.as_tensor(valid).to(inputs)

    def streams(self, pictures: Tensor) -> Streams:
        """What a network without a memory makes of pictures."""
        return self.agent(self._given(pictures))[0]

    def unrolled(self, frames: Tensor, memory: Tensor, alive: Tensor) -> Streams:
        """A recurrent network's streams after a window of frames (n, window, …)."""
        streams = Streams()
        for step in range(frames.shape[1]):
            # Where an episode begins inside the window, the memory stays as it is until the first frame.
            keep = alive[:, step, None]
            streams, following = self.agent(self._given(frames[:, step]), memory)
            if following is not None:
                memory = keep * following + (1 - keep) * memory
        return streams

    def _channels_first(self, prepared: Tensor) -> Tensor:
        return prepared.movedim(-1, -3).contiguous() if self.agent.protocol.layout == "channels_last" else prepared

    def _given(self, pictures: Tensor) -> Tensor:
        return pictures.movedim(-3, -1) if self.agent.protocol.layout == "channels_last" else pictures
