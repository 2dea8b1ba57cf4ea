"""Films of an episode: MP4 through PyAV, GIF through Pillow. Both are written whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from policyscope.errors import MissingExtraError
from policyscope.rendering.board import Board
from policyscope.rendering.overlay import rgb
from policyscope.rendering.sources import Array
from policyscope.storage import disk_errors, replacing

Progress = Callable[[int, int, str], None]

_GIF_WIDTH = 960


def write_mp4(path: Path, board: Board, fps: float = 15.0, progress: Progress | None = None) -> int:
    """Encodes all steps as H.264 that any browser plays and that starts before it is loaded whole.

    Frames are drawn and encoded in small batches, so memory does not grow with the episode.

    Args:
        path: The file to replace.
        board: Draws the frames.
        fps: Steps a second.
        progress: Called with (frames done, frames in all, what is done).

    Returns:
        Frames written.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtraError("PyAV", "video", "an MP4 video") from error
    total, done = len(board), 0
    with (
        disk_errors(path.parent),
        replacing(path) as part,
        av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1000))
        stream.height, stream.width = board.size
        stream.pix_fmt = "yuv420p"
        # keyframes every two seconds keep scrubbing quick
        stream.options = {"preset": "veryfast", "crf": "20", "g": str(max(round(2 * fps), 1))}
        for frames in board.batches(np.arange(total)):
            for frame in frames:
                pixels = frame.view(np.uint8).reshape(*frame.shape, 4)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgba")))
            done += len(frames)
            if progress:
                progress(done, total, f"drawing {path.name}")
        container.mux(stream.encode())
    return done


def write_gif(
    path: Path, board: Board, fps: float = 15.0, most: int = 100, progress: Progress | None = None
) -> tuple[int, int]:
    """Writes a looping GIF with one palette; where the episode is longer than ``most``, every n-th step is shown.

    The film keeps its pace: a frame stays for as long as the steps it stands for.

    Args:
        path: The file to replace.
        board: Draws the frames.
        fps: Steps a second.
        most: Frames at most.
        progress: Called with (frames done, frames in all, what is done).

    Returns:
        Frames written, and every how many steps one was taken.
    """
    every = max(-(-len(board) // most), 1)
    steps = np.arange(0, len(board), every)
    scale = min(_GIF_WIDTH / board.size[1], 1.0)
    size = (round(board.size[1] * scale), round(board.size[0] * scale))
    sample = steps[np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 6)).astype(int))]
    palette = shared_palette([_shrunk(board.frames(sample[i : i + 1])[0], size) for i in range(len(sample))])

    def images() -> Iterator[Image.Image]:
        done = 0
        for frames in board.batches(steps):
            for frame in frames:
                small = Image.fromarray(_shrunk(frame, size))
                yield small.quantize(palette=palette, dither=Image.Dither.NONE)
            done += len(frames)
            if progress:
                progress(done, len(steps), f"drawing {path.name}")

    stream = images()
    with disk_errors(path.parent), replacing(path) as part:
        # browsers play a GIF's frames of less than 20 ms at 100 ms
        delay = max(round(1000 * every / fps / 10) * 10, 20)
        next(stream).save(
            part, format="GIF", save_all=True, append_images=stream, duration=delay, loop=0, optimize=False, disposal=1
        )
    return len(steps), every


def _shrunk(frame: Array, size: tuple[int, int]) -> Array:
    pixels = np.ascontiguousarray(rgb(frame))
    return (
        pixels if (pixels.shape[1], pixels.shape[0]) == size else cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    )


def shared_palette(frames: list[Array]) -> Image.Image:
    """The 256 colours that serve sampled frames best."""
    return Image.fromarray(np.concatenate(frames)).quantize(
        256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE
    )
