"""What rules look at: an agent, an episode, and a few passes of it that all rules share."""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Agent
from policyscope.diagnosis.wiring import Wiring
from policyscope.episodes.episode import Episode
from policyscope.episodes.play import play
from policyscope.errors import TargetError
from policyscope.saliency import plan, targets
from policyscope.saliency.lags import by_lag
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating, evaluating
from policyscope.saliency.request import default_stream
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

STATES = 24
"""States that are looked at closely, spread over the episode."""
PAIRS, ASKED = 24, 240
"""Moments of which two states in a row are compared, and of so many those in which the screen moves."""
LONGER = 3_000
AFFORDABLE = 20.0
TRIED = 40
"""Steps of a longer stretch of play, seconds that it may take, and steps by which that is told."""
INNER = ("attention", "log_std")
"""Beginnings of the names of streams that say how, not what."""


class Examination:
    """An agent, an episode, and what several rules need of them; each is worked out once, when it is asked for.

    Attributes:
        agent: Who is examined.
        episode: What it saw and did.
        rows: (n,) rows of the episode that are looked at closely.
        following: Whether the agent may be asked to play further games (not where the episode came from elsewhere).
        passes: Forward passes on the episode's states.
        hopeless: What was found makes all further rules pointless: numbers that are none.
    """

    def __init__(self, agent: Agent, episode: Episode, *, following: bool = True, states: int = STATES) -> None:
        self.agent, self.episode = agent, episode
        self.following = following and agent.protocol.game is not None
        self.passes = Passes(agent, episode)
        self.hopeless = False
        self.rows = _spread(np.arange(len(episode)), states)

    # -- the streams --------------------------------------------------------------------------------------------

    @property
    def outputs(self) -> tuple[str, ...]:
        """The streams that say what to do or what it is worth, without attention and spread."""
        return tuple(name for name in self.agent.streams if not name.startswith(INNER))

    @cached_property
    def longer(self) -> Episode | None:
        """A longer stretch of play, where the agent may play on and is fast enough for it."""
        if not self.following:
            return None
        # Opening a game takes as long as many steps of it; and other processes' time is not this agent's.
        times = [time.process_time()]
        for steps in (TRIED, 3 * TRIED):
            play(self.agent, steps, seed=1)
            times.append(time.process_time())
        first, second = np.diff(times)
        affordable = (second - first) / (2 * TRIED) * LONGER < AFFORDABLE
        return play(self.agent, LONGER, seed=1) if affordable else None

    @property
    def acting(self) -> str:
        """The stream that the agent acts by."""
        return default_stream(self.agent)

    @cached_property
    def streams(self) -> dict[str, Array]:
        """Name -> (N, k) float32: what the network says of every state of the episode, with its memory as recorded.

        What was recorded is taken where the network says the same of the sampled states.
        """
        kept = self.episode.streams
        sample = self.said(self.rows)
        if all(name in kept and _alike(kept[name][self.rows], values) for name, values in sample.items()):
            return {name: np.asarray(kept[name]) for name in sample}
        batches = [np.arange(first, min(first + 64, len(self.episode))) for first in range(0, len(self.episode), 64)]
        parts = [self.said(batch) for batch in batches]
        return {name: np.concatenate([part[name] for part in parts]) for name in sample}

    def said(self, rows: Array) -> dict[str, Array]:
        """Name -> (n, k) float32: the streams of some rows, in one batch."""
        with torch.inference_mode(), evaluating(self.agent.network):
            if self.agent.memory_size:
                streams = self.passes.unrolled(*self.passes.window(rows, 1))
            else:
                streams = self.passes.streams(self.passes.pictures(rows))
        return {name: values.float().reshape(len(rows), -1).cpu().numpy() for name, values in streams.items()}

    # -- the sample, with gradients -----------------------------------------------------------------------------

    @cached_property
    def trace(self) -> Trace:
        """The watched pass on ``rows``; a recurrent network sees the current frame and its memory as recorded."""
        with differentiating():
            return self.passes.watched(self.rows)

    @cached_property
    def wiring(self) -> Wiring:
        """Which layers ran, and what leads where."""
        return Wiring(self.agent, self.episode, self.rows, self.agent.streams)

    def stream_of(self, layer: str) -> str | None:
        """The one stream that a layer is of: what is merged into Q is its own stream's."""
        using = [stream for stream in self.outputs if layer in self.wiring.uses(stream)]
        own = [stream for stream in using if stream != "q"] or using
        return own[0] if len(own) == 1 else None

    def target(self, stream: str, selection: str = "greedy") -> Tensor:
        """What is explained of a stream in each state of ``rows``, (n,)."""
        key = (stream, selection)
        if key not in self._targets:
            values = targets.stream_of(self.trace.outputs, stream)
            chosen = "greedy" if values.numel() != self.trace.states else "sum"
            with differentiating():
                self._targets[key] = targets.select(
                    values, chosen if selection == "greedy" else selection, self.trace.states, stream
                )
        return self._targets[key]

    @cached_property
    def _targets(self) -> dict[tuple[str, str], Tensor]:
        return {}

    def gradient(self, stream: str, selection: str = "greedy", rule: str = "standard") -> Tensor:
        """The gradient of a stream at the input, (n, lags, colours, H, W), oldest first; zero where it is cut off."""
        with differentiating():
            try:
                found = self.trace.gradients(self.target(stream, selection), rule).input  # type: ignore[arg-type]
            except TargetError:
                found = torch.zeros_like(self.trace.leaf)
        return by_lag(found, self.agent)

    def map(self, method: str, stream: str, layer: str | int = 1) -> Array:
        """A gradient method's maps of the newest frame, (n, H, W); zero where the target is cut off."""
        trace = self.trace
        with differentiating():
            try:
                found = plan.compute(trace, self.target(stream), [method], layer)[method]
            except TargetError:
                height, width = trace.image_size
                return np.zeros((trace.states, height, width), np.float32)
        if plan.METHODS[method].shape == "input" or plan.METHODS[method].parts:
            found = by_lag(found, self.agent)[:, -1].sum(dim=1)
        elif found.ndim == 4:
            found = found[:, -1]
        return np.asarray(found.detach().float().cpu().numpy())

    # -- the observations ---------------------------------------------------------------------------------------

    def frames(self, rows: Array) -> Array:
        """Observations frame by frame as they were recorded, (n, lags, H, W, colours), oldest first."""
        protocol = self.agent.protocol
        seen = self.episode.observations[rows]
        if protocol.layout == "channels_last":
            height, width = seen.shape[1:3]
            return np.asarray(seen.reshape(len(seen), height, width, protocol.stack, -1).transpose(0, 3, 1, 2, 4))
        if protocol.layout == "time":
            return np.asarray(seen.transpose(0, 1, 3, 4, 2))
        stacked = seen.reshape(len(seen), protocol.stack, -1, *seen.shape[2:])
        return np.asarray(stacked.transpose(0, 1, 3, 4, 2))

    @cached_property
    def pairs(self) -> Array:
        """Rows whose next row is of the same episode, spread over it."""
        return _spread(np.flatnonzero(~self.episode.starts[1:]), PAIRS)

    @cached_property
    def moving(self) -> Array:
        """Such rows between which the screen changes, where screens were recorded."""
        screens, rows = self.episode.screens, np.flatnonzero(~self.episode.starts[1:])
        if screens is None:
            return self.pairs
        rows = _spread(rows, ASKED)
        return _spread(np.array([r for r in rows if (screens[r] != screens[r + 1]).any()], np.int64), PAIRS)


def _spread(rows: Array, count: int) -> Array:
    """At most so many of some rows, evenly chosen."""
    if len(rows) <= count:
        return rows
    chosen: Array = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    return chosen


def _alike(recorded: Array, said: Array) -> bool:
    """Whether two sets of outputs are the same but for rounding."""
    return recorded.shape == said.shape and bool(np.allclose(recorded, said, rtol=1e-3, atol=1e-4 * np.abs(said).max()))
