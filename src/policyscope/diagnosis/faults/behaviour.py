"""Bugs of behaviour: an agent that plays without looking, or without looking everywhere. Weights stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent, Streams
from policyscope.diagnosis.faults.kind import Fault, Place
from policyscope.saliency.request import default_stream

LONGEST_RUN, MOVES = 6, 200
"""Steps for which a drawn action is kept at most, and length of the sequence that is played over and over."""
MARGIN = 10.0
"""By how much the prescribed action exceeds the others: a softmax gives it all but e^-10."""
MERGED = ("q", "policy", "advantage")


def plays_by_clock(agent: Agent) -> Agent:
    """An agent that plays a stored sequence of actions, whatever it sees: its memory counts the steps."""
    random = np.random.default_rng(0)
    runs = [[int(random.integers(len(agent.actions)))] * int(random.integers(1, LONGEST_RUN + 1)) for _ in range(MOVES)]
    return _prescribed(agent, [action for run in runs for action in run][:MOVES])


def always_the_same(agent: Agent) -> Agent:
    """An agent that takes its last action in every state."""
    return _prescribed(agent, [len(agent.actions) - 1])


def sees_a_band(agent: Agent) -> Agent:
    """An agent whose observation is blank but for a horizontal band in the middle, a third of its height."""
    rows = agent.protocol.observation_shape[0 if agent.protocol.layout == "channels_last" else -2]
    band = slice(rows // 3, rows - rows // 3)
    return replace(agent, network=_Masked(_copied(agent), band, agent.protocol.layout == "channels_last"))


class _Prescribed(nn.Module):
    """A network whose steps are counted in its memory, and the action that is due."""

    def __init__(self, inner: nn.Module, moves: list[int], actions: int) -> None:
        super().__init__()
        self.inner = inner
        self.inner_memory = int(getattr(inner, "memory_size", 0))
        self.counts = len(moves) > 1
        self.memory_size = self.inner_memory + self.counts
        self.moves: Tensor
        self.register_buffer("moves", nn.functional.one_hot(torch.tensor(moves), actions).float())

    def forward(self, inputs: Tensor, memory: Tensor | None = None) -> Any:
        given = memory[:, : self.inner_memory] if memory is not None and self.inner_memory else None
        outputs, following = self.inner(inputs, given) if self.inner_memory else (self.inner(inputs), None)
        if not self.counts or memory is None:
            due = self.moves[:1].expand(len(inputs), -1)
            return ((outputs, due), following) if self.memory_size else (outputs, due)
        steps = memory[:, self.inner_memory :]
        due = self.moves[steps[:, 0].long() % len(self.moves)]
        parts = [part for part in (following, steps + 1) if part is not None]
        return (outputs, due), torch.cat(parts, dim=1)


class _Masked(nn.Module):
    """A network that is given zeros for all rows outside a band."""

    def __init__(self, inner: nn.Module, band: slice, channels_last: bool) -> None:
        super().__init__()
        self.inner, self.band, self.axis = inner, band, -3 if channels_last else -2
        self.memory_size = int(getattr(inner, "memory_size", 0))

    def forward(self, inputs: Tensor, *memory: Tensor) -> Any:
        rows = inputs.shape[self.axis]
        kept = torch.zeros(rows, dtype=inputs.dtype, device=inputs.device)
        kept[self.band] = 1
        return self.inner(inputs * kept.view(rows, *[1] * (-self.axis - 1)), *memory)


@dataclass(frozen=True)
class _Overruled:
    """Reads the inner network's streams and raises the action that is due above the others.

    As much is added to ``q`` as to ``advantage``, and nothing on average, so that their merge stays what it was.
    """

    read: Callable[[Any], Streams]

    def __call__(self, outputs: Any) -> Streams:
        inner, due = outputs
        streams = dict(self.read(inner))
        acting = next(streams[name] for name in MERGED if name in streams).detach()
        raised = (due - 1 / due.shape[1]).to(acting)
        wide = acting.amax(dim=1, keepdim=True) - acting.amin(dim=1, keepdim=True)
        for name in MERGED:
            if name in streams and streams[name].shape == raised.shape:
                streams[name] = streams[name] + (wide + MARGIN) * raised
        return streams


def _prescribed(agent: Agent, moves: list[int]) -> Agent:
    network = _Prescribed(_copied(agent), moves, len(agent.actions))
    return replace(agent, network=network, read=_Overruled(agent.read))


def _copied(agent: Agent) -> nn.Module:
    return copy.deepcopy(agent.network)


def _discrete(agent: Agent) -> Place | None:
    return Place(("behaviour",), (default_stream(agent),)) if agent.continuous is None else None


def _anywhere(agent: Agent) -> Place | None:
    return Place(("network", "behaviour", "observation"))


BEHAVIOUR = (
    Fault("plays-by-clock", "a stored sequence of actions is played, whatever is seen", _discrete, plays_by_clock),
    Fault("always-the-same", "the last action is taken in every state", _discrete, always_the_same),
    Fault("sees-a-band", "all rows but the middle third are blanked in the network", _anywhere, sees_a_band),
)
"""Kinds of bug of behaviour: ``by_heart`` ought to find the first two, ``blind_region`` the third."""
