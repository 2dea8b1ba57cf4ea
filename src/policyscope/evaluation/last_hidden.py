"""What a network makes of each state, last of all: the input of the layer that it acts by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent, Streams
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import evaluating
from policyscope.saliency.request import default_stream
from policyscope.storage import Array

Seen = dict[str, tuple[Tensor, Tensor]]
"""Path of a linear layer -> what went in and came out, in the order in which they ran last."""
CHUNK = 128
_PROBED = 4


def hidden(agent: Agent, episode: Episode, rows: Array) -> tuple[Array, tuple[str, ...]]:
    """The last hidden layer's activations.

    That is what goes into the linear layer whose output is the stream that the agent acts by; of a dueling network,
    what goes into those of the advantage and of the value, side by side.

    Args:
        agent: Whose network is asked.
        episode: Its states, and its memories where it has any.
        rows: (n,) of the episode.

    Returns:
        (n, units) float32, and the paths of the modules.

    Raises:
        TargetError: No linear layer leads to what the agent acts by.
    """
    passes = Passes(agent, episode)
    paths = outlets(passes, rows)
    parts = []
    for first in range(0, len(rows), CHUNK):
        _, seen = _run(passes, rows[first : first + CHUNK])
        parts.append(going_in(seen, paths))
    return np.concatenate(parts), paths


def outlets(passes: Passes, rows: Array) -> tuple[str, ...]:
    """The paths of the linear layers that what the agent acts by comes out of.

    Args:
        passes: Of the agent that is asked.
        rows: (n,) of the episode, of which a few are looked at.

    Raises:
        TargetError: There is none.
    """
    agent = passes.agent
    streams, seen = _run(passes, rows[:_PROBED])
    for names in ((default_stream(agent),), ("advantage", "value")):
        found = [path for name in names if (path := _made_by(streams.get(name), seen)) is not None]
        if found:
            return tuple(dict.fromkeys(found))
    width = streams[default_stream(agent)].shape[-1]
    wide = [path for path, (_, output) in seen.items() if output.shape[-1] == width]
    if not wide:
        raise TargetError(
            f"no linear layer of {agent.source} leads to its {default_stream(agent)}: there is no last hidden layer"
        )
    return (wide[-1],)


def _made_by(stream: Tensor | None, seen: Seen) -> str | None:
    """The layer whose output a stream is, up to what is the same for all actions (a dueling advantage's mean)."""
    if stream is None:
        return None
    wanted = stream.reshape(len(stream), -1)
    for path, (_, output) in reversed(seen.items()):
        if output.shape == wanted.shape and torch.allclose(output, wanted, rtol=1e-4, atol=1e-5):
            return path
    return None


def _run(passes: Passes, rows: Array) -> tuple[Streams, Seen]:
    agent = passes.agent
    with torch.inference_mode(), evaluating(agent.network), listening(agent.network, len(rows)) as seen:
        if agent.memory_size:
            streams = passes.unrolled(*passes.window(rows, 1))
        else:
            streams = passes.streams(passes.pictures(rows))
    return streams, seen


@contextmanager
def listening(network: nn.Module, states: int) -> Iterator[Seen]:
    """Yields what is filled by each pass inside the block: the linear layers that see a row a state.

    Args:
        network: Whose layers.
        states: That go through it.
    """
    seen: Seen = {}

    def keeper(path: str) -> Any:
        def keep(_module: nn.Module, given: Any, output: Tensor) -> None:
            if given[0].ndim == 2 and len(given[0]) == states:
                seen.pop(path, None)
                seen[path] = (given[0].detach(), output.detach())

        return keep

    handles = [
        module.register_forward_hook(keeper(path))
        for path, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def going_in(seen: Seen, paths: Sequence[str]) -> Array:
    """What went into some layers, side by side, (n, units) float32."""
    return np.concatenate([seen[path][0].float().cpu().numpy() for path in paths], axis=1)
