"""A small contact sheet of a probe: screens, and what each stream looks at there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from policyscope.errors import TargetError
from policyscope.rendering.lettering import GROUND, INK, QUIET, plain, write
from policyscope.rendering.normalise import EpisodeStatistics, frame_statistics, normalise
from policyscope.rendering.overlay import overlay, packed, rgb
from policyscope.saliency import plan
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

METHODS = {"guided_backprop": True, "grad_cam": False}
"""Method -> whether its maps are signed."""

_SIDE = 168
_GAP = 6
_HEAD = 52


@dataclass(frozen=True)
class Looked:
    """Where a stream looks by one method.

    Attributes:
        stream: Its name.
        method: One of ``METHODS``.
        maps: (n, H, W) float32.
    """

    stream: str
    method: str
    maps: Array


@dataclass(frozen=True)
class Pictures:
    """A column of a sheet: a heading, a remark, and (n, H, W, 3) uint8."""

    title: str
    about: str
    pictures: Array


def looked(
    trace: Trace, targets: dict[str, Tensor], newest: Callable[[Tensor], Tensor], layer: str | int
) -> list[Looked]:
    """Where each stream looks in some states.

    Args:
        trace: The watched pass on the states.
        targets: Stream -> what is explained of it, (n,).
        newest: From an input-shaped gradient to the newest frame's map (n, H, W).
        layer: Grad-CAM's.
    """
    found = []
    for stream, target in targets.items():
        maps = _maps(trace, target, layer)
        for method, signed in METHODS.items():
            last = newest(maps[method]) if signed else _last(maps[method])
            found.append(Looked(stream, method, last.detach().float().cpu().numpy()))
    return found


def joined(parts: Sequence[Sequence[Looked]]) -> list[Looked]:
    """The same streams and methods on one batch of states after the other, as one."""
    return [replace(same[0], maps=np.concatenate([p.maps for p in same])) for same in zip(*parts, strict=True)]


def columns(found: Sequence[Looked], frames: Array, together: bool = False) -> list[Pictures]:
    """Screens and maps over them.

    Args:
        found: Maps of the states.
        frames: (n, colours, H, W) uint8, the newest frame of each state.
        together: One scale for all states of a column, so that a film does not flicker; else each its own.
    """
    colour = np.moveaxis(frames if frames.shape[1] == 3 else frames[:, :1].repeat(3, axis=1), 1, -1)
    larger = max(_SIDE // max(colour.shape[1:3]), 1)
    made = [Pictures("", "", np.repeat(np.repeat(colour, larger, axis=1), larger, axis=2))]
    for one in found:
        signed = METHODS[one.method]
        whole = EpisodeStatistics.of(frame_statistics(one.maps)) if together else None
        shown = normalise(one.maps, signed, "episode" if together else "frame", whole)
        about = one.method.replace("_", " ") + (" (zero)" if shown.zero.all() else "")
        made.append(Pictures(one.stream, about, overlay(colour, shown.values, signed, scale=(larger, larger))))
    return made


def sheet(made: Sequence[Pictures], step: int) -> Array:
    """Draws states below each other, the screen and each stream's maps side by side.

    Args:
        made: The columns.
        step: Of the training.

    Returns:
        (rows, columns, 3) uint8.
    """
    count, height, width = made[0].pictures.shape[:3]
    canvas = plain(_HEAD + count * (height + _GAP), _GAP + len(made) * (width + _GAP))
    for column, one in enumerate(made):
        left = _GAP + column * (width + _GAP)
        write(canvas, one.title if column else f"step {step:,}", (4, left), 17, INK, GROUND, limit=width)
        write(canvas, one.about, (26, left), 14, QUIET, GROUND, limit=width)
        for row, picture in enumerate(one.pictures):
            top = _HEAD + row * (height + _GAP)
            canvas[top : top + height, left : left + width] = packed(np.ascontiguousarray(picture))
    return np.ascontiguousarray(rgb(canvas))


def _maps(trace: Trace, target: Tensor, layer: str | int) -> dict[str, Tensor]:
    """Each method's maps; zero where the target is cut off from what the method explains."""
    maps: dict[str, Tensor] = {}
    for method, signed in METHODS.items():
        try:
            maps |= plan.compute(trace, target, [method], layer)
        except TargetError:
            blank = torch.zeros_like(trace.leaf)
            maps[method] = blank if signed else blank.flatten(1, -3)[:, 0]
    trace.forget(target)
    return maps


def _last(maps: Tensor) -> Tensor:
    """The newest of (B, lags, H, W), or (B, H, W) as they are."""
    return maps[:, -1] if maps.ndim == 4 else maps
