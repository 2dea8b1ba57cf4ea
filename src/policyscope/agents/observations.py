"""Where the picture is in an observation of any shape, and the protocol that describes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from gymnasium import spaces

from policyscope.agents.protocol import Layout, Protocol
from policyscope.errors import ProtocolError
from policyscope.storage import Array

# A number or a bar of numbers is a Box too; a picture has both a height and a width.
SMALLEST_SIDE = 4


def canonical(image: Array) -> Array:
    """An image with any order of axes as (frames, H, W, channels); the shorter of its outer axes is the channels'."""
    if image.ndim == 2:
        return image[None, :, :, None]
    if image.ndim == 3:
        return (image.transpose(1, 2, 0) if image.shape[0] < image.shape[2] else image)[None]
    return image.transpose(0, 2, 3, 1) if image.shape[1] <= image.shape[3] else image


def image_space(space: spaces.Space, where: str) -> tuple[Any, spaces.Box]:
    """The key of the image in an observation (None where it is all of it), and its space.

    Args:
        space: Of the whole observation.
        where: What to call its environment in an error.

    Raises:
        ProtocolError: There is no image, or more than one.
    """
    if isinstance(space, spaces.Box) and _is_image(space):
        return None, space
    parts: dict[Any, Any] = {}
    if isinstance(space, spaces.Dict):
        parts = dict(space.spaces)
    elif isinstance(space, spaces.Tuple):
        parts = dict(enumerate(space.spaces))
    images = [key for key, part in parts.items() if isinstance(part, spaces.Box) and _is_image(part)]
    if len(images) == 1:
        return images[0], parts[images[0]]
    told = f"; its parts are {', '.join(f'{key}: {part}' for key, part in parts.items())}" if parts else f": {space}"
    # The bounds of a space may be written over several lines.
    told = " ".join(told.split())
    raise ProtocolError(f"the observation of {where} must have one image, it has {len(images)}{told}")


def protocol_of_space(space: spaces.Space, name: str) -> Protocol:
    """The protocol of an environment whose observations are taken as they are, but with channels first.

    Channels first or last are told by their number, stacked channels from colours (a multiple of three is taken for
    colours), and floats up to 1 are left as they are.

    Args:
        space: Of the environment's observations.
        name: The environment's, and the protocol's.
    """
    _, image = image_space(space, name)
    protocol = protocol_of_pictures(image.shape, image.dtype, name, float(image.high.max()))
    return replace(protocol, env=name, layout="time" if protocol.layout == "time" else "channels")


def protocol_of_pictures(shape: tuple[int, ...], dtype: Any, name: str, high: float | None = None) -> Protocol:
    """The protocol that describes ready observations of a shape and type.

    The shorter of the first and the last axis holds the channels. A multiple of three is taken for colours.

    Args:
        shape: Of one observation: (H, W), (C, H, W), (H, W, C), (lags, C, H, W) or (lags, H, W, C).
        dtype: Of its values; bytes are divided by 255, floats are left alone unless ``high`` says otherwise.
        name: Of the protocol.
        high: The largest value that can occur, where it is known.

    Raises:
        ProtocolError: That is no picture.
    """
    kind = np.dtype(dtype)
    if len(shape) not in (2, 3, 4) or kind.kind not in "uif" or min(shape) < 1:
        raise ProtocolError(f"an observation of shape {shape} and type {kind} is no picture: (C, H, W) is expected")
    layout: Layout
    if len(shape) == 4:
        layout, frames = "time", shape[0]
        channels_first = shape[1] <= shape[3]
        channels, height, width = shape[1:] if channels_first else (shape[3], shape[1], shape[2])
        if channels not in (1, 3):
            raise ProtocolError(
                f"an observation of shape {shape} over time has {channels} channels: 1 or 3 are expected"
            )
        colour_channels = channels
    else:
        channels_first = len(shape) == 2 or shape[0] < shape[-1]
        layout = "channels" if channels_first else "channels_last"
        channels, height, width = (
            (1, *shape) if len(shape) == 2 else shape if channels_first else (shape[2], *shape[:2])
        )
        colour_channels = 3 if channels % 3 == 0 else 1
        frames = channels // colour_channels
    largest = (255.0 if kind.kind in "ui" else 1.0) if high is None or not np.isfinite(high) else float(high)
    return Protocol(
        name=name,
        frame_skip=1,
        sticky=0.0,
        max_frames=0,
        max_pool="none",
        colour="rgb" if colour_channels == 3 else "grey",
        size=(int(height), int(width)),
        stack=int(frames),
        layout=layout,
        ready=True,
        scale=255.0 if largest > 1 else 1.0,
    )


def _is_image(space: spaces.Box) -> bool:
    if len(space.shape) not in (2, 3, 4) or np.dtype(space.dtype).kind not in "uif":
        return False
    _, height, width, _ = canonical(np.empty(space.shape, np.uint8)).shape
    return bool(min(height, width) >= SMALLEST_SIDE)
