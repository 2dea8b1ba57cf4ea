"""The smaller claims: cancelling over lags, gradients of rare states, phantom gradients, small ones of the actor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from policyscope.errors import TargetError
from policyscope.evaluation.baselines import Pictures
from policyscope.evaluation.cancelling import cancelled, cancelled_by_chance
from policyscope.evaluation.hiding import chunks
from policyscope.evaluation.last_hidden import going_in, listening, outlets
from policyscope.evaluation.magnitude import magnitude
from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.phantom import empty, phantom
from policyscope.evaluation.rarity import ranked_together, rarity
from policyscope.evaluation.statistics import summary
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.saliency import plan, targets
from policyscope.saliency.lags import by_lag
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating
from policyscope.saliency.request import known_streams
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

_ROWS = 32
_SPREAD = 256
_SIGNED = ("gradient", "guided_backprop")


def smaller(subject: Subject) -> Outcome:
    """What the paper says in passing, as numbers; a state is rare by what the last hidden layer makes of it."""
    values, numbers = _of_gradients(subject)
    values |= _phantoms(subject)
    rows: list[list[Cell]] = []
    for method in _SIGNED:
        one, chance = values["cancelled", method, ""], values["cancelled_by_chance", method, ""]
        rows.append([f"{method}: energy that cancels over lags", str(summary(one)), f"by chance {summary(chance)}"])
    for method, related in numbers["rarity"].items():
        rows.append([f"{method}: strength against rarity of the state", related["text"], "rank correlation"])
    for key in [key for key in values if key[0] == "phantom"]:
        rows.append([f"{key[1]}: density where nothing is", str(summary(values[key])), "even 1"])
    for name, ratio in numbers["strengths"].items():
        rows.append([f"size of the gradient of {name}, over the value's", f"{ratio:.3g}", ""])
    return Outcome(values, [Table("smaller claims", ("what", "mean", "beside"), rows, "")], numbers)


def _of_gradients(subject: Subject) -> tuple[dict[Key, Array], dict[str, Any]]:
    agent, episode = subject.agent, subject.episode
    passes, maps = Passes(agent, episode), subject.maps(*_SIGNED)
    window = agent.protocol.stack if not agent.memory_size else 4
    paths = _last_hidden(passes, subject.rows(_SPREAD))
    parts: dict[str, list[Array]] = {}

    def add(name: str, found: Array) -> None:
        parts.setdefault(name, []).append(found)

    for chunk in chunks(subject.rows(_SPREAD), _ROWS):
        with differentiating(), listening(agent.network, len(chunk)) as seen:
            trace = passes.watched(chunk, window=window)
            target = maps.target(trace, chunk)
            for method, made in plan.compute(trace, target, _SIGNED, 1).items():
                lags = by_lag(made, agent).sum(dim=2).detach().float().cpu().numpy()
                add(f"cancelled {method}", cancelled(lags))
                add(f"chance {method}", cancelled_by_chance(lags, subject.seed))
                add(f"size {method}", magnitude(lags).mean(axis=(1, 2, 3)))
            for stream in known_streams(agent):
                one = targets.select(targets.stream_of(trace.outputs, stream), "greedy", trace.states, stream)
                add(f"strength {stream}", _strength(trace.gradients(one, "standard").input))
            add("features", going_in(seen, paths) if paths else _outputs(trace, agent.streams))
    found = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    rare = rarity(found["features"], subject.rows(_SPREAD))
    values: dict[Key, Array] = {("rarity", "states", ""): rare}
    for name, sizes in found.items():
        if name.startswith("strength "):
            logs = np.where(sizes > 0, np.log10(np.where(sizes > 0, sizes, 1)), np.nan)
            values["log strength", name.removeprefix("strength "), ""] = logs
    related = {}
    for method in _SIGNED:
        values["cancelled", method, ""] = found[f"cancelled {method}"]
        values["cancelled_by_chance", method, ""] = found[f"chance {method}"]
        interval = ranked_together(rare, found[f"size {method}"])
        related[method] = vars(interval) | {"text": str(interval)}
    typical = {
        name.removeprefix("strength "): float(np.median(sizes))
        for name, sizes in found.items()
        if name.startswith("strength ")
    }
    value = typical.get("value", 0.0)
    strengths = {name: size / value for name, size in typical.items() if name != "value"} if value else {}
    return values, {"rarity": related, "rarity_in": list(paths or agent.streams), "strengths": strengths}


def _last_hidden(passes: Passes, rows: Array) -> tuple[str, ...]:
    """The layers whose input is the last hidden layer; none where the agent has no such layer."""
    try:
        return outlets(passes, rows)
    except TargetError:
        return ()


def _outputs(trace: Trace, streams: Sequence[str]) -> Array:
    """(n, entries): what the network puts out, all streams side by side."""
    outputs = torch.cat([trace.outputs[name].reshape(trace.states, -1) for name in streams], dim=1)
    return np.asarray(outputs.detach().float().cpu().numpy())


def _strength(gradient: torch.Tensor | None) -> Array:
    """The mean size of a gradient (n, …) -> (n,)."""
    if gradient is None:
        return np.zeros(0)
    return np.asarray(gradient.detach().abs().flatten(1).mean(dim=1).float().cpu().numpy())


def _phantoms(subject: Subject) -> dict[Key, Array]:
    """How dense each map is where nothing is in any of the frames that an observation has."""
    pictures, maps = Pictures(subject.agent, subject.episode), subject.maps()
    rows = subject.rows(_SPREAD)
    background = np.median(pictures(rows), axis=0)
    frames = subject.agent.protocol.stack
    parts: dict[str, list[Array]] = {name: [] for name in maps.names}
    for chunk in chunks(rows, _ROWS):
        seen = np.stack([pictures(chunk, lag) for lag in range(frames)], axis=1)
        nothing = empty(seen, background)
        for name, made in maps(chunk).items():
            parts[name].append(phantom(made, nothing))
    return {("phantom", name, ""): np.concatenate(found) for name, found in parts.items()}
