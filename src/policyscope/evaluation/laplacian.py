"""Is a map around a thing like a Laplacian's answer? The hypothesis of section 4.3 of the paper, in numbers.

"The strong negative gradients have formed around the features"; "strong positive gradients are followed by strongly
negative gradients and some small positive again"; "guided backpropagation would create a kind of Laplace matrix for
features" (Rosynski et al., 2020). Three questions come of it, asked for each kind of thing, input frame and agent: is
the surround's sign opposite to the core's, does a Laplacian of a Gaussian explain the mean map around the thing, and
does it explain more than a blob does, or an edge detector on the thing's own picture?
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.evaluation.fits import families, fit
from policyscope.evaluation.laplacian_around import OPERATOR_NAMES, Around
from policyscope.evaluation.method_maps import MethodMaps, flat_map, spread_rows
from policyscope.evaluation.objects.extract import objects_of_episode
from policyscope.evaluation.objects.placing import centres, coverage, observed_boxes
from policyscope.evaluation.objects.scene import Objects
from policyscope.evaluation.operators import OPERATORS, SOBEL, response
from policyscope.evaluation.profiles import (
    Patches,
    core_and_surround,
    over_slots,
    patches,
    ring_means,
)
from policyscope.evaluation.statistics import summary
from policyscope.rendering.sources import frames as apart
from policyscope.saliency import plan
from policyscope.saliency.record import differentiating
from policyscope.saliency.request import default_stream
from policyscope.storage import Array

METHOD, STATES, RADIUS, CHUNK = "guided_backprop", 240, 8, 24
MOST_SLOTS, LEAST_MOVED = 48, 1.0


def around(
    agent: Agent,
    episode: Episode,
    *,
    kinds: Sequence[str] | None = None,
    stream: str | None = None,
    action: str | int | None = None,
    lags: Sequence[int] = (0,),
    method: str = METHOD,
    states: int = STATES,
    radius: int = RADIUS,
    name: str | None = None,
) -> list[Around]:
    """Measures a method's maps around the moving things of an episode.

    Args:
        agent: Whose network is explained.
        episode: With RAM, of a game whose objects are known.
        kinds: Of things; by default all that move.
        stream: What is explained; by default what the agent acts by.
        action: As for ``explain``; by default the one that was taken.
        lags: Input frames, 0 the newest.
        method: A signed method with the input's shape.
        states: Frames that are looked at, spread over the episode.
        radius: Of the patches, in observation pixels.
        name: What the agent is called.

    Raises:
        TargetError: The method is not one of the input's shape, or the agent lacks a stream or lag.
        ProtocolError: The game's objects are not known.
    """
    if method not in plan.METHODS or plan.METHODS[method].shape != "input":
        known = ", ".join(n for n, m in plan.METHODS.items() if m.shape == "input")
        raise TargetError(f"maps around things are of methods with the input's shape ({known}), not of {method!r}")
    objects = objects_of_episode(episode)
    chosen = tuple(kinds) if kinds is not None else moving(objects)
    rows = spread_rows(episode, states, after=max(*lags, agent.protocol.stack) + 1)
    made = MethodMaps(agent, episode, [method], stream=stream, action=action)
    cut = _Cut(objects, agent, chosen, radius)
    for maps, part in _chunks(made, episode, rows, lags):
        cut.add(maps, part, _pictures(episode, agent, part, lags))
    return cut.found(name or agent.source, made.stream, default_stream(agent))


def laplacian_table(agent: Agent, episode: Episode, **options: Any) -> list[dict[str, Any]]:
    """The hypothesis's numbers for one agent: ``around``, as plain rows for a table.

    Args:
        agent: Whose network is explained.
        episode: What it played.
        **options: Of ``around``.
    """
    return [row(one) for one in around(agent, episode, **options)]


def row(one: Around) -> dict[str, Any]:
    """One line of the table, plain values."""
    opposite, lead, core, ring = one.opposition, one.lead, summary(one.core), one.ring
    return {
        "agent": one.agent,
        "stream": one.stream,
        "kind": one.kind,
        "lag": one.lag,
        "at": one.at,
        "frames": opposite.n,
        "core": core.mean,
        "core_low": core.low,
        "core_high": core.high,
        "surround": summary(one.surround).mean,
        "ring": ring.radius,
        "ring_depth": ring.depth.mean,
        "ring_low": ring.depth.low,
        "ring_high": ring.depth.high,
        "far_depth": ring.far,
        "opposition": opposite.mean,
        "opposition_low": opposite.low,
        "opposition_high": opposite.high,
        "transition": one.transition.mean,
        "ceiling": one.ceiling.mean,
        "laplacian": one.laplacian.explained.mean,
        "sigma": one.laplacian.sigma,
        "amplitude": one.laplacian.amplitude,
        "gaussian": one.blob.explained.mean,
        "operator": one.operator.name,
        "operator_explains": one.operator.explained.mean,
        "sobel": one.fits[SOBEL].explained.mean,
        **{name: one.fits[name].explained.mean for name in OPERATORS},
        "lead": lead.mean,
        "lead_low": lead.low,
        "lead_high": lead.high,
        "single": one.laplacian.single,
        "verdict": one.verdict,
    }


def moving(objects: Objects) -> tuple[str, ...]:
    """Kinds whose things move, and of which there are not too many to look at one by one."""
    found = []
    for index, kind in enumerate(objects.kinds):
        boxes = objects.boxes[:, objects.kind_of == index]
        steps = np.abs(np.diff(boxes[..., 0] + boxes[..., 2], axis=0)) + np.abs(
            np.diff(boxes[..., 1] + boxes[..., 3], axis=0)
        )
        if boxes.shape[1] <= MOST_SLOTS and np.nansum(steps) > LEAST_MOVED * len(objects) * 0.05:
            found.append(kind)
    return tuple(found)


class _Cut:
    """Patches around the things of some kinds, collected chunk by chunk and averaged over things at once."""

    def __init__(self, objects: Objects, agent: Agent, kinds: Sequence[str], radius: int) -> None:
        self._objects, self._protocol, self._radius = objects, agent.protocol, radius
        self._slots = {kind: np.flatnonzero(objects.kind_of == objects.kinds.index(kind)) for kind in kinds}
        self._parts: dict[tuple[str, int, str], list[dict[str, Array]]] = {}

    def add(self, maps: dict[int, Array], rows: Array, pictures: dict[int, Array]) -> None:
        """Takes patches of maps (lag -> (n, H, W)) and of pictures of the same frames."""
        for lag, one in maps.items():
            size = one.std(axis=(1, 2), keepdims=True)
            scaled = one / np.where(size > 0, size, np.nan)
            for at, then in (("then", rows - lag), ("now", rows))[: 2 if lag else 1]:
                self._place(scaled, pictures[lag], lag, at, then)

    def _place(self, maps: Array, picture: Array, lag: int, at: str, then: Array) -> None:
        places = centres(self._objects, self._protocol, then)
        boxes = observed_boxes(self._objects, self._protocol, then)
        shares = coverage(self._objects, self._protocol, then)
        answers = {name: response(picture, name) for name in OPERATOR_NAMES} if at == "then" else {}
        for kind, slots in self._slots.items():
            where = places[:, slots]
            cut = patches(maps, where, self._radius)
            core, surround = core_and_surround(cut, boxes[:, slots])
            part = {
                "patch": over_slots(cut.values),
                "rings": over_slots(ring_means(cut, where)),
                "core": over_slots(core),
                "surround": over_slots(surround),
                "mask": self._cut(shares[:, self._objects.kinds.index(kind)], where),
                **{name: self._cut(answer, where) for name, answer in answers.items()},
            }
            self._parts.setdefault((kind, lag, at), []).append(part)

    def _cut(self, picture: Array, where: Array) -> Array:
        cut: Patches = patches(picture, where, self._radius)
        return over_slots(cut.values)

    def found(self, agent: str, stream: str, acts_by: str) -> list[Around]:
        """What was collected, measured."""
        found = []
        for (kind, lag, at), parts in self._parts.items():
            whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
            if not np.isfinite(whole["core"]).any():
                continue
            # Around where a thing is now, an older picture shows something else: its own is that of its own place.
            own = {
                name: np.concatenate([part[name] for part in self._parts[kind, lag, "then"]]) for name in OPERATOR_NAMES
            }
            shapes = families(self._radius, _mean(whole["mask"]), {name: _mean(answer) for name, answer in own.items()})
            fits, ceiling = fit(whole["patch"], shapes)
            found.append(
                Around(
                    agent,
                    stream,
                    kind,
                    lag,
                    at,
                    whole["rings"],
                    whole["core"],
                    whole["surround"],
                    {one.name: one for one in fits},
                    ceiling,
                    _mean(whole["patch"]),
                    acts_by,
                )
            )
        return found


def _chunks(
    made: MethodMaps, episode: Episode, rows: Array, lags: Sequence[int]
) -> Iterator[tuple[dict[int, Array], Array]]:
    """Maps (lag -> (n, H, W)) and their rows, some at a time: one pass serves all lags."""
    method = made.names[0]
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        with differentiating():
            trace = made.passes.watched(part, window=max(lags) + 1)
            target = made.target(trace, part)
            computed = plan.compute(trace, target, [method], 1)[method]
            yield {lag: flat_map(computed, made.agent, lag).numpy() for lag in lags}, part
            trace.forget(target)


def _pictures(episode: Episode, agent: Agent, rows: Array, lags: Sequence[int]) -> dict[int, Array]:
    """What the agent saw at each lag, in grey, lag -> (n, H, W) float64 in the observation's own values."""
    stack = agent.protocol.stack
    found = {}
    for lag in lags:
        # Beyond the stack, a network with a memory has seen the frame as the newest of an earlier step.
        earlier = lag - min(lag, stack - 1)
        seen = apart(np.asarray(episode.observations[rows - earlier]), agent.protocol)
        found[lag] = seen[:, min(lag, stack - 1)].mean(axis=-1, dtype=np.float64)
    return found


def _mean(patches_: Array) -> Array:
    known = np.isfinite(patches_)
    return np.asarray(np.where(known, patches_, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))
