"""A small film of a probe: states that follow each other, as a GIF that TensorBoard and Weights & Biases play."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from policyscope.rendering.video import shared_palette
from policyscope.storage import Array
from policyscope.training.probe.sheet import Pictures, sheet

FRAMES = 48
"""States of a film."""
PACE = 10
"""Frames a second: a little slower than a game of four frames a step."""
_SAMPLED = 6


def film(made: Sequence[Pictures], step: int) -> Array:
    """A sheet of one row for each state.

    Args:
        made: The columns.
        step: Of the training.

    Returns:
        (n, rows, columns, 3) uint8.
    """
    count = len(made[0].pictures)
    return np.stack([sheet([replace(p, pictures=p.pictures[i : i + 1]) for p in made], step) for i in range(count)])


def gif(frames: Array, fps: float = PACE) -> bytes:
    """A looping GIF with one palette.

    Args:
        frames: (n, H, W, 3) uint8.
        fps: Frames a second.
    """
    sample = frames[np.unique(np.linspace(0, len(frames) - 1, _SAMPLED).astype(int))]
    palette = shared_palette(list(sample))
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=max(round(100 / fps) * 10, 20),
        loop=0,
        optimize=False,
        disposal=1,
    )
    return file.getvalue()


def add_gif(writer: Any, name: str, frames: Array, step: int, fps: float = PACE) -> bool:
    """Writes a film where TensorBoard shows images, which it then plays.

    Args:
        writer: A ``torch.utils.tensorboard.SummaryWriter``; others have no way to be given a finished picture.
        name: Of the picture.
        frames: (n, H, W, 3) uint8.
        step: Of the training.
        fps: Frames a second.

    Returns:
        Whether it could be written.
    """
    try:
        from tensorboard.compat.proto.summary_pb2 import Summary
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return False
    if not isinstance(writer, SummaryWriter):
        return False
    _, height, width, _ = frames.shape
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=gif(frames, fps))
    # SummaryWriter encodes films itself, by a library that is gone (moviepy 1), so what it writes to is asked.
    writer._get_file_writer().add_summary(Summary(value=[Summary.Value(tag=name, image=image)]), step)
    return True
