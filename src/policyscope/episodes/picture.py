"""From the screen to the observation: pure functions that a protocol drives.

A picture is (H, W, colours), a stack (stack, H, W, colours), oldest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import cv2
import numpy as np
from PIL import Image

from policyscope.agents.protocol import Layout, Protocol
from policyscope.storage import Array

REC709 = (0.2125, 0.7154, 0.0721)
_OPENCV = {"area": cv2.INTER_AREA, "bilinear": cv2.INTER_LINEAR, "nearest": cv2.INTER_NEAREST}


def picture(screens: Sequence[Array], protocol: Protocol) -> Array:
    """One picture from the last screens of an action.

    Args:
        screens: One or two screens (height, width, 3) or (height, width, 1), oldest first.
        protocol: What becomes of them.

    Returns:
        (H, W, colours), of the screens' type.
    """
    seen = [_cropped(screen, protocol) for screen in (screens[-1:] if protocol.max_pool == "none" else screens)]
    kind = seen[0].dtype
    if protocol.max_pool == "screens":
        seen = [reduce(np.maximum, seen)]
    if not protocol.colour_first:
        seen = [_resized(image, protocol) for image in seen]
    seen = [_coloured(image, protocol) for image in seen]
    if protocol.max_pool == "greys":
        seen = [reduce(np.maximum, seen)]
    if protocol.stretch:
        seen = [_stretched(image) for image in seen]
    if protocol.colour_first:
        seen = [_resized(image, protocol) for image in seen]
    return _typed(reduce(np.maximum, seen), kind)


def first_stack(image: Array, protocol: Protocol) -> Array:
    """The stack (stack, H, W, colours) when an episode begins with this picture."""
    stack = np.zeros((protocol.stack, *image.shape), image.dtype)
    stack[-1 if protocol.pad == "zero" else slice(None)] = image
    return stack


def pushed(stack: Array, image: Array) -> Array:
    """A new stack, without the oldest picture and with ``image`` as its newest."""
    return np.concatenate([stack[1:], image[None]])


def arranged(stack: Array, layout: Layout) -> Array:
    """A stack (stack, H, W, colours) in the order of axes that the network takes, contiguous."""
    frames, height, width, colours = stack.shape
    if layout == "channels_last":
        return np.ascontiguousarray(stack.transpose(1, 2, 0, 3)).reshape(height, width, frames * colours)
    over_time = np.ascontiguousarray(stack.transpose(0, 3, 1, 2))
    return over_time if layout == "time" else over_time.reshape(frames * colours, height, width)


def _cropped(screen: Array, protocol: Protocol) -> Array:
    if protocol.crop is None:
        return screen
    top, left, height, width = protocol.crop
    return screen[top : top + height, left : left + width]


def _coloured(image: Array, protocol: Protocol) -> Array:
    """The image (H, W, colours) in the protocol's colours."""
    if protocol.colour == "rgb" or image.shape[2] == 1:
        return image
    if protocol.colour == "mean":
        mean: Array = image.sum(axis=2, keepdims=True, dtype=np.float64) / image.shape[2]
        return mean
    if protocol.colour == "rec709":
        # Truncated, as Gymnasium does it.
        weighted: Array = np.multiply(image, REC709).sum(axis=2, keepdims=True).astype(image.dtype)
        return weighted
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[:, :, None]


def _stretched(image: Array) -> Array:
    """Bytes that cover 0 to 255, as scipy's old ``bytescale`` made them."""
    low, high = image.min(), image.max()
    scale = 255.0 / (float(high) - float(low) or 1.0)
    stretched: Array = ((image.astype(np.float64) - low) * scale + 0.5).astype(np.uint8)
    return stretched


def _resized(image: Array, protocol: Protocol) -> Array:
    if protocol.size is None or image.shape[:2] == protocol.size:
        return image
    height, width = protocol.size
    image = image.astype(np.float32) if image.dtype == np.float64 else image
    if protocol.resize == "pillow":
        bands = [Image.fromarray(image[:, :, band]) for band in range(image.shape[2])]
        resized = [np.asarray(band.resize((width, height), Image.Resampling.BILINEAR)) for band in bands]
        return np.stack(resized, axis=2)
    # OpenCV takes the last axis of length one away.
    return np.asarray(cv2.resize(image, (width, height), interpolation=_OPENCV[protocol.resize])).reshape(
        height, width, -1
    )


def _typed(image: Array, kind: np.dtype) -> Array:
    if image.dtype == kind:
        return image
    typed: Array = np.rint(image).clip(0, 255).astype(kind) if kind.kind in "ui" else image.astype(kind)
    return typed
