"""Text for pictures: drawn once with Pillow's own typeface, kept, and pasted into packed frames."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from policyscope.rendering.overlay import packed
from policyscope.rendering.sources import Array

Colour = tuple[int, int, int]

INK: Colour = (240, 243, 247)
QUIET: Colour = (150, 160, 174)
GROUND: Colour = (14, 17, 22)
CARD: Colour = (24, 29, 36)
LINE: Colour = (47, 55, 66)
ACCENT: Colour = (255, 181, 46)
LOSS: Colour = (255, 107, 107)


@lru_cache(maxsize=16)
def typeface(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's scalable typeface (Aileron), which comes with it and is free of licence conditions."""
    return ImageFont.load_default(size)  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def width(text: str, size: int) -> int:
    """Columns that a line of text takes."""
    return int(np.ceil(typeface(size).getlength(_drawable(text))))


def line_height(size: int) -> int:
    """Rows that a line of text takes."""
    ascent, descent = typeface(size).getmetrics()
    return int(ascent + descent)


def shortened(text: str, size: int, limit: int) -> str:
    """The text, cut with an ellipsis where it is wider than ``limit`` columns."""
    if width(text, size) <= limit:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width(text[:middle].rstrip(" ·") + "…", size) <= limit else (low, middle - 1)
    return text[:low].rstrip(" ·") + "…" if low else ""


@lru_cache(maxsize=4096)
def lettered(text: str, size: int, colour: Colour, ground: Colour) -> Array:
    """A line of text as a packed picture on a plain ground."""
    text = _drawable(text)
    image = Image.new("RGB", (max(width(text, size), 1), line_height(size)), ground)
    ImageDraw.Draw(image).text((0, 0), text, font=typeface(size), fill=colour)
    return packed(np.asarray(image))


def write(
    canvas: Array,
    text: str,
    at: tuple[int, int],
    size: int,
    colour: Colour = INK,
    ground: Colour = CARD,
    limit: int | None = None,
    align: str = "left",
) -> int:
    """Pastes a line of text into a packed picture and returns the columns it took.

    Args:
        canvas: (H, W) packed, written to.
        text: The line.
        at: (row, column) of its upper left corner; of the upper right or the middle one as ``align`` says.
        size: Of the type.
        colour: Of the type.
        ground: What it stands on.
        limit: Columns it may take, with an ellipsis at the end where it would take more.
        align: ``left``, ``right`` or ``middle``.
    """
    picture = lettered(text if limit is None else shortened(text, size, limit), size, colour, ground)
    row, column = at
    column -= {"left": 0, "right": picture.shape[1], "middle": picture.shape[1] // 2}[align]
    column = max(column, 0)
    target = canvas[row : row + picture.shape[0], column : column + picture.shape[1]]
    target[:] = picture[: target.shape[0], : target.shape[1]]
    return int(target.shape[1])


def plain(height: int, columns: int, colour: Colour = GROUND) -> Array:
    """A packed picture of one colour."""
    return np.full((height, columns), packed(np.array(colour, np.uint8)[None])[0], np.uint32)


def fill(canvas: Array, rows: slice, columns: slice, colour: Colour) -> None:
    """Fills a part of a packed picture."""
    canvas[rows, columns] = packed(np.array(colour, np.uint8)[None])[0]


@lru_cache(maxsize=4096)
def _drawable(text: str) -> str:
    """The text with a question mark for what the typeface has no picture of."""
    return "".join(c if (" " <= c <= "~" or "\xa1" <= c <= "\xff" or c == "…") else "?" for c in text)
