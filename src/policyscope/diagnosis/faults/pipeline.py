"""Bugs around a network: in the observation's pipeline, in a memory's keeping, in how actions are read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from policyscope.agents.agent import Agent
from policyscope.diagnosis.faults.kind import Fault, Place, View
from policyscope.storage import Array

_SEEN = Place(("observation", "network"))


def _always(agent: Agent) -> Place | None:
    return _SEEN


def _stacked(agent: Agent) -> Place | None:
    return _SEEN if agent.protocol.stack > 1 else None


def _remembers(agent: Agent) -> Place | None:
    return Place(("memory",)) if agent.memory_size else None


def _discrete(agent: Agent) -> Place | None:
    return Place(("actions",)) if agent.continuous is None else None


def _permuted(view: View) -> Array:
    order = np.roll(np.arange(len(view.stack)), 1)
    order[[0, 1]] = order[[1, 0]]
    return view.stack[order]


def _stale(view: View) -> Array:
    """The frames before an episode's start are the last ones of the episode before."""
    missing = len(view.stack) - 1 - view.steps
    if view.before is None or missing <= 0:
        return view.stack
    seen = view.stack.copy()
    seen[:missing] = view.before[1 : 1 + missing]
    return seen


def _late(view: View) -> Array:
    return view.stack if view.before is None else view.before


def _shifted(view: View) -> Array:
    rows, columns = (round(side / 8) for side in view.stack.shape[1:3])
    moved = np.zeros_like(view.stack)
    moved[:, rows:, columns:] = view.stack[:, :-rows, :-columns]
    return moved


def _each(view: View, change: Any) -> Array:
    """Every frame changed by itself, (H, W, colours)."""
    frames = [np.asarray(change(frame)).reshape(frame.shape) for frame in view.stack]
    return np.stack(frames)


def _cropped(view: View) -> Array:
    height, width = view.stack.shape[1:3]
    top, left = height // 6, width // 6
    return _each(
        view,
        lambda frame: cv2.resize(
            np.ascontiguousarray(frame[top:-top, left:-left]), (width, height), interpolation=cv2.INTER_AREA
        ),
    )


def _coarse(view: View) -> Array:
    height, width = view.stack.shape[1:3]

    def change(frame: Array) -> Array:
        small = cv2.resize(frame, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST))

    return _each(view, change)


def _last_as_first(view: View) -> Array:
    """What comes of a picture with its channels last whose shape is changed rather than its axes moved."""
    frames, height, width, colours = view.stack.shape
    last = np.ascontiguousarray(view.stack.transpose(1, 2, 0, 3)).reshape(-1)
    return last.reshape(frames, colours, height, width).transpose(0, 2, 3, 1)


def _noisy(view: View) -> Array:
    noise = view.random.normal(0, 60, view.stack.shape)
    return np.clip(view.stack + noise, 0, 255).astype(view.stack.dtype)


def _worst(action: int, streams: dict[str, Any]) -> int:
    return int((streams["q"] if "q" in streams else streams["policy"]).argmin())


def _next(action: int, streams: dict[str, Any]) -> int:
    return (action + 1) % len(streams["q"] if "q" in streams else streams["policy"])


def _unscaled(agent: Agent) -> Agent:
    return replace(agent, protocol=replace(agent.protocol, scale=1.0))


PIPELINE = (
    Fault("stack-reversed", "the newest frame comes first", _stacked, view=lambda view: view.stack[::-1]),
    Fault("stack-permuted", "frames in no order", _stacked, view=_permuted),
    Fault(
        "stack-repeated",
        "the newest frame in every place",
        _stacked,
        view=lambda view: np.repeat(view.stack[-1:], len(view.stack), axis=0),
    ),
    Fault("stack-stale", "the stack is not emptied at an episode's end", _stacked, view=_stale, ends=True),
    Fault("observation-late", "the observation before the current one", _always, view=_late),
    Fault("picture-shifted", "the picture is moved by an eighth", _always, view=_shifted),
    Fault("picture-cropped", "a sixth of each side is cut off", _always, view=_cropped),
    Fault("picture-coarse", "the picture is a quarter of its size, enlarged", _always, view=_coarse),
    Fault(
        "picture-transposed",
        "rows and columns change places",
        lambda agent: _SEEN if agent.protocol.size and agent.protocol.size[0] == agent.protocol.size[1] else None,
        view=lambda view: view.stack.transpose(0, 2, 1, 3),
    ),
    Fault("picture-flipped", "left and right change places", _always, view=lambda view: view.stack[:, :, ::-1]),
    Fault("colours-inverted", "black is white", _always, view=lambda view: 255 - view.stack),
    Fault("channels-last-as-first", "a picture with its channels last is reshaped", _stacked, view=_last_as_first),
    Fault(
        "scaled-twice",
        "the environment has divided by 255 already",
        _always,
        view=lambda view: view.stack.astype(np.float32) / 255,
    ),
    Fault("not-scaled", "bytes are not divided by 255", _always, network=_unscaled),
    Fault("observation-frozen", "the first observation for ever", _always, view=lambda view: view.first),
    Fault("observation-blank", "nothing but black", _always, view=lambda view: np.zeros_like(view.stack)),
    Fault("observation-noisy", "strong noise on every pixel", _always, view=_noisy),
    Fault("memory-forgotten", "the memory is emptied at each step", _remembers, forgets=True),
    Fault("memory-carried-over", "the memory is kept across an episode's end", _remembers, forgets=False, ends=True),
    Fault("worst-action", "the action of the least value is taken", _discrete, action=_worst),
    Fault("actions-permuted", "the action after the chosen one is taken", _discrete, action=_next),
)
"""Kinds of bug around the network."""
