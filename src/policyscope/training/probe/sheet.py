"""A small contact sheet of a probe: screens, and what each stream looks at there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from policyscope.errors import TargetError
from policyscope.rendering.lettering import GROUND, INK, QUIET, plain, write
from policyscope.rendering.normalise import normalise
from policyscope.rendering.overlay import overlay, packed, rgb
from policyscope.saliency import plan
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

METHODS = {"guided_backprop": True, "grad_cam": False}
"""Method -> whether its maps are signed."""

_SIDE = 168
_GAP = 6
_HEAD = 52


def sheet(
    trace: Trace,
    targets: dict[str, Tensor],
    frames: Array,
    newest: Callable[[Tensor], Tensor],
    layer: str | int,
    step: int,
) -> Array:
    """Draws states below each other, the screen and each stream's maps side by side.

    Args:
        trace: The watched pass on the states.
        targets: Stream -> what is explained of it, (n,).
        frames: (n, colours, H, W) uint8, the newest frame of each state.
        newest: From an input-shaped gradient to the newest frame's map (n, H, W).
        layer: Grad-CAM's.
        step: Of the training.

    Returns:
        (rows, columns, 3) uint8.
    """
    colour = np.moveaxis(frames if frames.shape[1] == 3 else frames[:, :1].repeat(3, axis=1), 1, -1)
    larger = max(_SIDE // max(colour.shape[1:3]), 1)
    scale = (larger, larger)
    pictures = [("screen", "", np.repeat(np.repeat(colour, larger, axis=1), larger, axis=2))]
    for stream, target in targets.items():
        maps = _maps(trace, target, layer)
        for method, signed in METHODS.items():
            found = newest(maps[method]) if signed else _last(maps[method])
            shown = normalise(found.detach().float().cpu().numpy(), signed)
            drawn = overlay(colour, shown.values, signed, scale=scale)
            about = method.replace("_", " ") + (" (zero)" if shown.zero.all() else "")
            pictures.append((stream, about, drawn))
    height, width = pictures[0][2].shape[1:3]
    canvas = plain(_HEAD + len(colour) * (height + _GAP), _GAP + len(pictures) * (width + _GAP))
    for column, (title, about, drawn) in enumerate(pictures):
        left = _GAP + column * (width + _GAP)
        write(canvas, title if column else f"step {step:,}", (4, left), 17, INK, GROUND, limit=width)
        write(canvas, about, (26, left), 14, QUIET, GROUND, limit=width)
        for row, picture in enumerate(drawn):
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
