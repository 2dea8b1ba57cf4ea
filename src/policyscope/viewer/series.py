"""The numbers of each step that the timeline shows, as columns of one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering.facts import actions_of, facts, probabilities
from policyscope.saliency.maps import Maps
from policyscope.storage import Array

_OVER_ACTIONS = ("q", "advantage", "policy", "log_std")
_OVER_LAGS = "attention"


@dataclass(frozen=True)
class Column:
    """A number a step.

    Attributes:
        name: Of the entry: an action, a layer, a lag.
        group: Columns of one group share a lane: ``reward``, ``stream:q``, ``lags`` …
        values: (N,) float32, NaN where it is not known.
    """

    name: str
    group: str
    values: Array


def columns(episode: Episode, maps: Maps | None = None) -> list[Column]:
    """All that is known of each step, in the order of the timeline.

    Args:
        episode: What was played.
        maps: What was explained of it; where that is only its beginning, the rest is NaN. Of several targets the
            first one's numbers are taken.
    """
    return [*_happened(episode), *_streams(episode), *(_explained(maps, len(episode)) if maps is not None else ())]


def discrete(episode: Episode) -> bool:
    """Whether the actions are indices."""
    return episode.actions.ndim == 1 if episode.actions is not None else "log_std" not in episode.streams


def entry_names(stream: str, count: int, actions: Sequence[str]) -> list[str]:
    """What a stream's entries are called.

    Args:
        stream: Its name.
        count: Its entries.
        actions: The actions' names, where they are known.
    """
    if count == 1:
        return [stream]
    if stream.startswith(_OVER_LAGS):
        return [f"t-{count - 1 - place}" for place in range(count)]
    if stream in _OVER_ACTIONS or stream == "probability":
        return list(actions) if len(actions) == count else [f"action {index}" for index in range(count)]
    return [f"{stream} {index}" for index in range(count)]


def _happened(episode: Episode) -> Iterator[Column]:
    known = facts(episode)
    yield _column("reward", episode.rewards)
    if known.lives is not None:
        yield _column("lives", known.lives)
    if episode.actions is not None and discrete(episode):
        yield _column("action", episode.actions)
    if known.greedy is not None:
        yield _column("greedy", known.greedy)
    yield _column("start", known.starts)
    yield _column("lost", known.lost)
    yield _column("over", episode.game_over)


def _streams(episode: Episode) -> Iterator[Column]:
    actions = actions_of(episode)
    for name, values in episode.streams.items():
        yield from _entries(name, values, actions)
        if name == "policy" and values.shape[1] > 1 and discrete(episode):
            yield from _entries("probability", probabilities(values), actions)


def _entries(stream: str, values: Array, actions: Sequence[str]) -> Iterator[Column]:
    names = entry_names(stream, values.shape[1], actions)
    return (_column(name, values[:, index], f"stream:{stream}") for index, name in enumerate(names))


def _explained(maps: Maps, steps: int) -> Iterator[Column]:
    shares, health, disagreement = maps.lag_shares(), maps.health(), maps.disagreement()
    if shares is not None:
        for lag in range(shares.shape[1]):
            yield _column(f"t-{lag}", shares[:, lag], "lags", steps)
    if health is not None:
        for index, layer in enumerate(health.layers):
            yield _column(layer, health.alive[:, index], "alive", steps)
        if health.flow is not None:
            names = (*maps.meta["layers"], "input")
            for index, name in enumerate(names):
                yield _column(name, health.flow[:, index], "flow", steps)
    if disagreement is not None:
        yield _column("disagreement", disagreement, steps=steps)


def _column(name: str, values: Array, group: str | None = None, steps: int | None = None) -> Column:
    values = np.asarray(values, np.float32)[:steps]
    missing = (steps or len(values)) - len(values)
    whole = np.concatenate([values, np.full(missing, np.nan, np.float32)]) if missing else values
    return Column(name, name if group is None else group, whole)
