"""Hiding parts of what an agent sees, and what it would say then: batches of masked observations through its network.

A hidden pixel takes its baseline's value: the picture blurred by a Gaussian, or the episode's background (the temporal
median of its frames), which takes moving things away and leaves no trace, or zero. Hidden are all frames that an
observation stacks, in the same place, or the newest alone. An agent's memory is the recorded one, made by what it
really saw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Agent, Streams
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError
from policyscope.evaluation.magnitude import magnitude
from policyscope.saliency.convolution import ChannelsLast
from policyscope.saliency.passes import Passes
from policyscope.saliency.perturbation import gaussian_blur
from policyscope.saliency.record import eagerly, evaluating
from policyscope.saliency.request import default_stream
from policyscope.storage import Array

Baseline = Literal["blur", "background", "zero"]
Lags = Literal["all", "newest"]

SIGMA = 5.0
"""Pixels: what RISE blurs with."""
BATCH = 128
"""Masked observations that go through the network at once."""
_SAMPLE = 128
"""States by which the background and the temperature are known."""


@dataclass(frozen=True)
class Answers:
    """What an agent says of some states.

    Attributes:
        policy: (m, actions) probabilities: of a policy its own; of Q-values ``softmax(q / temperature)``.
        acting: (m, actions) what it acts by: Q-values or logits.
        value: (m,): its value stream, else its largest Q-value.
        is_q: Whether ``acting`` are Q-values.
    """

    policy: Array
    acting: Array
    value: Array
    is_q: bool

    def __getitem__(self, index: Array) -> Answers:
        return Answers(self.policy[index], self.acting[index], self.value[index], self.is_q)


class Hiding:
    """An agent and an episode of which parts can be hidden.

    Args:
        agent: Who looks; its actions are discrete.
        episode: What it saw.
        baseline: What stands in for a hidden pixel.
        sigma: Of the blur, in pixels.
        lags: Which of the stacked frames are hidden.
        window: Of an agent with a memory, the last observations in which a part is hidden; it remembers what was
            recorded before them.
        temperature: By which Q-values become probabilities; by default the mean, over the episode, of their standard
            deviation over actions, so that neither a Q-function's scale nor its offset matters.

    Attributes:
        acting: The stream it acts by.
        passes_made: States that went through the network so far.
    """

    def __init__(
        self,
        agent: Agent,
        episode: Episode,
        *,
        baseline: Baseline = "blur",
        sigma: float = SIGMA,
        lags: Lags = "all",
        window: int = 1,
        temperature: float | None = None,
    ) -> None:
        if agent.continuous is not None:
            raise PolicyscopeError(
                f"the actions of {agent.source} are continuous: hiding parts of a state is measured on discrete ones"
            )
        if window > 1 and not agent.memory_size:
            raise PolicyscopeError(f"{agent.source} has no memory: window is 1 (its frames are hidden together anyway)")
        self.agent, self.episode = agent, episode
        self.passes = Passes(agent, episode)
        self.baseline, self.sigma, self.lags, self.size_of_window = baseline, sigma, lags, window
        self.passes_made = 0
        self.acting = default_stream(agent)
        self.temperature = temperature or 1.0
        if temperature is None and self.acting == "q":
            self.temperature = self._spread_of_q()
        self.passes_made = 0

    def _spread_of_q(self) -> float:
        rows = np.unique(np.linspace(0, len(self.episode) - 1, _SAMPLE).round().astype(int))
        return float(self.states(rows).original.acting.std(axis=1).mean()) or 1.0

    def states(self, rows: Array) -> States:
        """Some rows, ready to be hidden from."""
        return States(self, rows)

    def answers(self, streams: Streams) -> Answers:
        """What streams say."""
        acting = streams[self.acting].float().reshape(len(streams[self.acting]), -1)
        q = self.acting == "q"
        policy = (acting / (self.temperature if q else 1.0)).softmax(dim=1)
        value = streams["value"].float().reshape(len(acting), -1)[:, 0] if "value" in streams else acting.amax(dim=1)
        policy_, acting_, value_ = (part.double().cpu().numpy() for part in (policy, acting, value))
        return Answers(policy_, acting_, value_, q)

    def replaced(self, pictures: Tensor) -> Tensor:
        """What stands in for the pixels of pictures (…, H, W), of their shape."""
        if self.baseline == "blur":
            full = gaussian_blur(pictures, self.sigma)
        elif self.baseline == "zero":
            full = torch.zeros_like(pictures)
        else:
            full = self.background.to(pictures).expand_as(pictures)
        if self.lags == "all":
            return full
        newest = pictures.clone()
        place = self._newest(pictures)
        newest[place] = full[place]
        return newest

    @cached_property
    def background(self) -> Tensor:
        """The temporal median of each channel, of one prepared observation's shape."""
        rows = np.unique(np.linspace(0, len(self.episode) - 1, _SAMPLE).round().astype(int))
        median = np.median(np.asarray(self.episode.observations[rows]), axis=0).astype(np.float32)
        prepared = self.agent.prepare(median[None])[0]
        return prepared.movedim(-1, -3) if self.agent.protocol.layout == "channels_last" else prepared

    def _newest(self, pictures: Tensor) -> tuple[slice | int, ...]:
        """Where the newest frame is in (n, [window,] [stack,] channels, H, W)."""
        protocol = self.agent.protocol
        every = slice(None)
        in_memory: tuple[slice | int, ...] = (every, -1) if self.agent.memory_size else (every,)
        if protocol.layout == "time":
            return (*in_memory, -1)
        return (*in_memory, slice(-protocol.colours, None))


class States:
    """Some rows of an episode: what the agent saw, what replaces it, and what it says of any mixture of both.

    Attributes:
        rows: (n,) of the episode.
        original: What the agent says of them as they are.
        size: Height and width.
    """

    def __init__(self, hiding: Hiding, rows: Array) -> None:
        self._hiding, self.rows = hiding, rows
        self._memory: tuple[Tensor, Tensor] | None = None
        if hiding.agent.memory_size:
            self._seen, *rest = hiding.passes.window(rows, hiding.size_of_window)
            self._memory = (rest[0], rest[1])
        else:
            self._seen = hiding.passes.pictures(rows)
        self._instead = hiding.replaced(self._seen)
        self.size = (int(self._seen.shape[-2]), int(self._seen.shape[-1]))
        self._streams = self._forward(torch.arange(len(rows)), None)

    @property
    def seen(self) -> Tensor:
        """The observations as the network takes them, channels before height and width."""
        return self._seen

    @property
    def original(self) -> Answers:
        """What the agent says of them as they are."""
        return self._hiding.answers(self._streams)

    def answered(self, index: Array, masks: Array) -> Answers:
        """What the agent says with parts hidden.

        Args:
            index: (m,) which of the states.
            masks: (m, H, W) bool, True where a pixel is hidden.
        """
        parts = [
            self._forward(torch.as_tensor(index[first : first + BATCH]), torch.as_tensor(masks[first : first + BATCH]))
            for first in range(0, len(index), BATCH)
        ]
        return self._hiding.answers({name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    def _forward(self, index: Tensor, masks: Tensor | None) -> Streams:
        agent, passes = self._hiding.agent, self._hiding.passes
        with torch.inference_mode(), evaluating(agent.network), eagerly(), ChannelsLast():
            inputs = self._seen[index]
            if masks is not None:
                wide = masks.to(inputs.device).view(len(masks), *[1] * (inputs.ndim - 3), *self.size)
                inputs = torch.where(wide, self._instead[index], inputs)
            self._hiding.passes_made += len(inputs)
            if self._memory is None:
                return passes.streams(inputs)
            memory, alive = self._memory
            return passes.unrolled(inputs, memory[index], alive[index])


# -- which pixels ---------------------------------------------------------------------------------------------------


def ranks(maps: Array, seed: int = 0) -> Array:
    """The rank (n, H, W) int32 of each pixel of maps (n, H, W), 0 the most salient.

    Salient is what is large in absolute value. Pixels that are equally salient (most of a Grad-CAM map is zero) come
    in an order drawn by chance: the order of memory would hide the score on top of the screen before all else.
    """
    count, pixels = len(maps), maps[0].size if len(maps) else 0
    chance = np.random.default_rng(seed).permuted(np.tile(np.arange(pixels), (count, 1)), axis=1)
    sizes = np.take_along_axis(magnitude(maps).reshape(count, -1), chance, axis=1)
    order = np.take_along_axis(chance, np.argsort(-sizes, axis=1, kind="stable"), axis=1)
    found = np.empty((count, pixels), np.int32)
    np.put_along_axis(found, order, np.arange(pixels, dtype=np.int32)[None], axis=1)
    return found.reshape(maps.shape)


def top(ranked: Array, share: float) -> Array:
    """(n, H, W) bool: the most salient share of the pixels, at least one unless the share is zero."""
    return np.asarray(ranked < _number(share, ranked[0].size))


def strongest(sizes: Array, share: float, chance: np.random.Generator) -> Array:
    """(n, H, W) bool: the largest share of the values of each map, equal ones by chance, at least one.

    As ``top(ranks(...), share)`` on what is not taken absolutely, with no order made of all the others.
    """
    flat = sizes.reshape(len(sizes), -1)
    number = _number(share, flat.shape[1])
    if number == 0:
        return np.zeros(sizes.shape, bool)
    least = np.partition(flat, -number, axis=1)[:, [-number]]
    found = flat > least
    for row, missing in enumerate(number - found.sum(axis=1)):
        equal = np.flatnonzero(flat[row] == least[row])
        found[row, equal if len(equal) == missing else chance.choice(equal, missing, replace=False)] = True
    return found.reshape(sizes.shape)


def _number(share: float, pixels: int) -> int:
    return max(round(share * pixels), 1) if share > 0 else 0


def chunks(rows: Array, size: int) -> Iterator[Array]:
    """Rows a few at a time."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


# -- how much an answer changed -------------------------------------------------------------------------------------

MEASURES = ("kl", "tv", "action", "probability", "q", "value")


def changes(before: Answers, after: Answers, actions: Array) -> Array:
    """How much answers changed, (m, measures) float64 in the order of ``MEASURES``.

    ``kl`` is ``KL(before || after)`` of the policies in nats; ``tv`` half the sum of absolute differences; ``action`` 1
    where the greedy action is another; ``probability`` and ``q`` by how much those of the explained action fell (NaN
    where there are no Q-values); ``value`` the absolute change of the value.

    Args:
        before: (m,) states as they are.
        after: The same states with something hidden.
        actions: (m,) the explained action of each.
    """
    each = np.arange(len(actions))
    floor = np.finfo(np.float64).tiny
    logs = np.log(np.maximum(before.policy, floor)) - np.log(np.maximum(after.policy, floor))
    found = np.empty((len(actions), len(MEASURES)))
    found[:, 0] = np.maximum((before.policy * logs).sum(axis=1), 0)
    found[:, 1] = 0.5 * np.abs(before.policy - after.policy).sum(axis=1)
    found[:, 2] = before.acting.argmax(axis=1) != after.acting.argmax(axis=1)
    found[:, 3] = before.policy[each, actions] - after.policy[each, actions]
    found[:, 4] = before.acting[each, actions] - after.acting[each, actions] if before.is_q else np.nan
    found[:, 5] = np.abs(before.value - after.value)
    return found


def explained_actions(episode: Episode, rows: Array, original: Answers) -> Array:
    """The actions (n,) that maps explain by default: those taken, else the greedy ones."""
    actions = episode.actions
    if actions is not None and actions.ndim == 1:
        return np.asarray(actions[rows]).astype(np.int64)
    return np.asarray(original.acting.argmax(axis=1))
