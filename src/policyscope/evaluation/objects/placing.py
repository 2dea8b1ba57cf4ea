"""From boxes on the screen to pixels of the observation."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from PIL import Image

from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError
from policyscope.evaluation.objects.scene import Objects
from policyscope.storage import Array

_OPENCV = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}
_AT_ONCE = 24_000_000
"""Screen pixels times kinds that are painted at once."""


def coverage(objects: Objects, protocol: Protocol, rows: Any = None) -> Array:
    """How much of each observation pixel is covered by each kind.

    The boxes of a kind are painted on the screen (their union: what two boxes cover counts once), which is then cropped
    and resized exactly as the protocol does with a picture. With ``area`` that is the share of the pixel's area; with
    another interpolation, the share that covered screen pixels have in the observation pixel's value.

    Args:
        objects: Where things are.
        protocol: How the screen becomes the observation.
        rows: Which frames (a slice or an array of rows); by default all. Ask for some at a time: the answer is large.

    Returns:
        (n, kinds, H, W) float32 in 0 … 1.

    Raises:
        ProtocolError: The observation is not made from the screen, or the crop does not fit it.
    """
    boxes = objects.boxes if rows is None else objects.boxes[rows]
    top, left, height, width = _placement(objects, protocol)
    size = protocol.size or (height, width)
    down, across = _resizing(height, size[0], protocol.resize), _resizing(width, size[1], protocol.resize)
    kinds = len(objects.kinds)
    shares = np.empty((len(boxes), kinds, *size), np.float32)
    step = max(1, _AT_ONCE // (objects.screen[0] * objects.screen[1] * kinds))
    for first in range(0, len(boxes), step):
        painted = _painted(boxes[first : first + step], objects.kind_of, kinds, objects.screen)
        seen = painted[:, :, top : top + height, left : left + width].astype(np.float32)
        shares[first : first + step] = down @ seen @ across.T
    return shares


def centres(objects: Objects, protocol: Protocol, rows: Any = None) -> Array:
    """Where the things' centres are in the observation.

    Args:
        objects: Where things are.
        protocol: How the screen becomes the observation.
        rows: Which frames; by default all.

    Returns:
        (n, S, 2) float64: y, x in observation pixels, 0 at the first pixel's centre; NaN where a thing is not there or
        its centre is outside of the crop.

    Raises:
        ProtocolError: As ``coverage``.
    """
    boxes = (objects.boxes if rows is None else objects.boxes[rows]).astype(np.float64)
    top, left, height, width = _placement(objects, protocol)
    size = protocol.size or (height, width)
    y = ((boxes[..., 1] + boxes[..., 3]) / 2 - top) * size[0] / height - 0.5
    x = ((boxes[..., 0] + boxes[..., 2]) / 2 - left) * size[1] / width - 0.5
    inside = (y >= -0.5) & (y <= size[0] - 0.5) & (x >= -0.5) & (x <= size[1] - 0.5)
    found: Array = np.where(inside[..., None], np.stack([y, x], axis=-1), np.nan)
    return found


def observed_boxes(objects: Objects, protocol: Protocol, rows: Any = None) -> Array:
    """Boxes in the observation.

    Args:
        objects: Where things are.
        protocol: How the screen becomes the observation.
        rows: Which frames; by default all.

    Returns:
        (n, S, 4) float64: x0, y0, x1, y1, edges in observation pixels: the first pixel reaches from 0 to 1. NaN where a
        thing is not there; boxes may reach beyond the crop.

    Raises:
        ProtocolError: As ``coverage``.
    """
    boxes = (objects.boxes if rows is None else objects.boxes[rows]).astype(np.float64)
    top, left, height, width = _placement(objects, protocol)
    size = protocol.size or (height, width)
    found: Array = (boxes - [left, top, left, top]) * np.tile([size[1] / width, size[0] / height], 2)
    return found


def _placement(objects: Objects, protocol: Protocol) -> tuple[int, int, int, int]:
    if protocol.ready:
        raise ProtocolError(
            f"protocol {protocol.name!r} takes the environment's observation as it is (ready): where the screen went "
            "in it is not known"
        )
    top, left, height, width = protocol.placement(*objects.screen)
    if top + height > objects.screen[0] or left + width > objects.screen[1]:
        raise ProtocolError(
            f"crop {protocol.crop} reaches beyond the screen of {objects.game}, which is {objects.screen[0]} x "
            f"{objects.screen[1]}"
        )
    return top, left, height, width


def _painted(boxes: Array, kind_of: Array, kinds: int, screen: tuple[int, int]) -> Array:
    """Masks (n, kinds, H, W) bool: each kind's boxes, rounded to whole pixels and cut at the screen's edges."""
    height, width = screen
    there = ~np.isnan(boxes[..., 0])
    frame, slot = np.nonzero(there)
    whole = np.rint(boxes[frame, slot]).astype(np.int64)
    x0, x1 = whole[:, 0].clip(0, width), whole[:, 2].clip(0, width)
    y0, y1 = whole[:, 1].clip(0, height), whole[:, 3].clip(0, height)
    masks = np.zeros((len(boxes), kinds, height, width), bool)
    # A loop over boxes is faster than sums over pixels, of which there are many more.
    for i, kind, top, bottom, left, right in np.stack([frame, kind_of[slot], y0, y1, x0, x1], axis=1).tolist():
        masks[i, kind, top:bottom, left:right] = True
    return masks


@lru_cache(maxsize=32)
def _resizing(before: int, after: int, method: str) -> Array:
    """The matrix (after, before) float32 of a resize along one axis: its answers to single pixels."""
    if before == after:
        return np.eye(after, dtype=np.float32)
    # One axis is left as it is by being resized to its own length.
    single = np.eye(before, dtype=np.float32)
    if method == "pillow":
        image = Image.fromarray(single, mode="F").resize((before, after), Image.Resampling.BILINEAR)
        matrix: Array = np.asarray(image)
        return matrix
    resized: Array = np.asarray(cv2.resize(single, (before, after), interpolation=_OPENCV[method]))
    return resized
