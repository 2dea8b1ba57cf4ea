"""Evidence as pictures: a map on the dimmed screen, bars layer by layer, a strip of frames, and several side by side.

All of them are (H, W, 3) uint8 with a caption above and, where it helps, a line below; they stand on one dark ground,
so that ``beside`` can join them. Colours are the palettes of ``rendering``, which colour-blind people can tell apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering.layout import GAP, scales
from policyscope.rendering.lettering import (
    ACCENT,
    GROUND,
    INK,
    LINE,
    QUIET,
    Colour,
    fill,
    line_height,
    plain,
    width,
    write,
)
from policyscope.rendering.normalise import normalise
from policyscope.rendering.overlay import Overlay, packed, rgb
from policyscope.rendering.palettes import palette_for
from policyscope.rendering.panels import colour_bar
from policyscope.rendering.sources import Pictures, as_bytes, value_range
from policyscope.storage import Array

CAPTION_SIZE, TEXT_SIZE = 19, 15
_SCREEN = 400
_FRAME = 180
_BARS = 640
_ROW = 30
_BLUE: Colour = (43, 147, 240)
_ENDS = {True: ("lowers it", "raises it"), False: ("none", "most")}

Box = tuple[int, int, int, int]


def over_screen(
    screen: Array,
    values: Array,
    signed: bool,
    caption: str,
    *,
    placement: Box | None = None,
    pixel: float = 1.0,
    ends: tuple[str, str] | None = None,
    most: float | None = None,
    boxes: Sequence[Box] = (),
    foot: str = "",
) -> Array:
    """A map over a dimmed grey screen, with the palette's scale below.

    Args:
        screen: (H, W, 3) uint8, or a recorded frame (H, W, 1 or 3) or (H, W) in its own values.
        values: (h, w) of any size; raw, they are divided by the 99.5th percentile of their absolute value.
        signed: Whether negative values mean something.
        caption: What is seen, in a few words.
        placement: The part of the screen that the map covers, (top, left, height, width); by default all of it.
        pixel: The shape of a screen's pixel, width over height (12 / 7 for ale-py's).
        ends: Words at the lower and upper end of the scale.
        most: The value in full colour, where several pictures share a scale.
        boxes: Outlined parts of the map, (top, left, height, width) in its own pixels.
        foot: A sentence below.
    """
    picture = _as_screen(screen)
    height, across = picture.shape[:2]
    scale = next((s for s in scales(pixel) if across * s[0] >= _SCREEN), scales(pixel)[-1])
    drawing = Overlay((height, across), placement or (0, 0, height, across), scale)
    finite = np.nan_to_num(np.asarray(values, np.float32), posinf=0, neginf=0)[None]
    if most is None:
        shown = normalise(finite, signed).values
    else:
        shown = np.clip(finite / (most or 1), -1 if signed else 0, 1).astype(np.float32)
    palette = palette_for(None, signed)
    canvas = drawing.paint(drawing.background(picture[None]), shown, signed, palette)[0].copy()
    for box in boxes:
        _outline(canvas, drawing, box, finite.shape[1:])
    low, high = ends or _ENDS[signed]
    legend = plain(line_height(TEXT_SIZE) + 4, canvas.shape[1])
    column = write(legend, low, (2, 0), TEXT_SIZE, QUIET, GROUND) + 8
    bar = colour_bar(palette, signed, "clear", 120, 10)[:, : max(canvas.shape[1] - column, 0)]
    legend[7:17, column : column + bar.shape[1]] = bar
    write(legend, high, (2, column + 128), TEXT_SIZE, QUIET, GROUND)
    return _captioned(np.concatenate([canvas, plain(6, canvas.shape[1]), legend]), caption, foot)


def over_row(
    episode: Episode,
    row: int,
    values: Array,
    signed: bool,
    caption: str,
    *,
    ends: tuple[str, str] | None = None,
    most: float | None = None,
    boxes: Sequence[Box] = (),
    foot: str = "",
) -> Array:
    """``over_screen`` for a row of an episode: its screen, or the newest frame of its observation where it has none."""
    pictures = Pictures(episode)
    return over_screen(
        pictures[np.array([row])][0],
        values,
        signed,
        caption,
        placement=pictures.placement,
        pixel=pictures.pixel,
        ends=ends,
        most=most,
        boxes=boxes,
        foot=foot,
    )


def bars(
    names: Sequence[str],
    values: Sequence[float | None],
    caption: str,
    *,
    mark: Collection[int] = (),
    log: bool = False,
    most: float | None = None,
    unit: str = "",
    foot: str = "",
) -> Array:
    """Horizontal bars, one a name, from top to bottom, each with its number.

    Args:
        names: What stands left of the bars.
        values: 0 or more; None (and what is not finite) has no bar and says so.
        caption: What is seen.
        mark: Which bars are wrong: they are orange, the others blue.
        log: Lengths are logarithms; the scale begins a decade below the smallest positive value.
        most: The value of a full bar, by default the largest.
        unit: Written after each number.
        foot: A sentence below.
    """
    known = [float(v) for v in values if v is not None and np.isfinite(v)]
    positive = [v for v in known if v > 0]
    full = most if most is not None else max(positive, default=1.0)
    low = np.log10(min(positive, default=1.0)) - 1
    span = max(np.log10(full) - low, 1) if full > 0 else 1
    left = min(max((width(name, TEXT_SIZE) for name in names), default=0) + 16, _BARS // 2)
    room = _BARS - left - 120
    canvas = plain(max(len(names), 1) * _ROW, _BARS)
    if log:  # a line a decade, so that lengths can be read
        for decade in np.arange(np.ceil(low), np.floor(low + span) + 1):
            place = left + int(room * (decade - low) / span)
            fill(canvas, slice(None), slice(place, place + 1), LINE)
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        top = index * _ROW
        marked = index in mark
        write(canvas, name, (top + 6, left - 12), TEXT_SIZE, ACCENT if marked else INK, GROUND, left - 12, "right")
        fill(canvas, slice(top + 5, top + _ROW - 5), slice(left, left + 1), QUIET)
        if value is None or not np.isfinite(value):
            write(canvas, "none" if value is None else "not finite", (top + 6, left + 8), TEXT_SIZE, ACCENT, GROUND)
            continue
        share = (np.log10(value) - low) / span if log and value > 0 else value / full if full > 0 and not log else 0
        end = left + int(room * float(np.clip(share, 0, 1)))
        fill(canvas, slice(top + 6, top + _ROW - 6), slice(left, max(end, left + 1)), ACCENT if marked else _BLUE)
        text = f"{_number(float(value))}{unit}"
        write(canvas, text, (top + 6, end + 8), TEXT_SIZE, ACCENT if marked else INK, GROUND)
    return _captioned(canvas, caption, foot)


def strip(frames: Array, captions: Sequence[str], caption: str, *, mark: Collection[int] = (), foot: str = "") -> Array:
    """Frames of a stack side by side, each with a word below it.

    Args:
        frames: (n, H, W, 1 or 3) in their own values, in the order in which they are shown.
        captions: One a frame, such as ``lag 3``.
        caption: What is seen.
        mark: Which frames are wrong: they have an orange edge.
        foot: A sentence below.
    """
    pictures = as_bytes(np.asarray(frames), value_range(np.asarray(frames)))
    scale = max(_FRAME // pictures.shape[2], 1)
    large = packed(pictures).repeat(scale, axis=1).repeat(scale, axis=2)
    height, across = large.shape[1:]
    edge, below = 3, line_height(TEXT_SIZE) + 6
    canvas = plain(height + 2 * edge + below, len(large) * (across + 2 * edge + GAP) - GAP)
    for index, (picture, text) in enumerate(zip(large, captions, strict=True)):
        left = index * (across + 2 * edge + GAP)
        marked = index in mark
        fill(canvas, slice(0, height + 2 * edge), slice(left, left + across + 2 * edge), ACCENT if marked else LINE)
        canvas[edge : edge + height, left + edge : left + edge + across] = picture
        at = (height + 2 * edge + 4, left + edge)
        write(canvas, text, at, TEXT_SIZE, ACCENT if marked else QUIET, GROUND, limit=across)
    return _captioned(canvas, caption, foot)


def beside(pictures: Sequence[Array], caption: str = "", foot: str = "") -> Array:
    """Pictures of this file side by side, under a caption of their own."""
    height = max(picture.shape[0] for picture in pictures)
    parts: list[Array] = []
    for picture in pictures:
        grown = plain(height, picture.shape[1])
        grown[: picture.shape[0]] = packed(picture)
        parts.append(grown)
    joined = np.concatenate(parts, axis=1)
    return _captioned(joined, caption, foot, margin=0) if caption or foot else np.ascontiguousarray(rgb(joined))


def _as_screen(screen: Array) -> Array:
    """A screen or a recorded frame as (H, W, 3) uint8."""
    picture = np.asarray(screen)
    picture = picture[..., None] if picture.ndim == 2 else picture
    return np.ascontiguousarray(as_bytes(picture, value_range(picture)))


def _outline(canvas: Array, drawing: Overlay, box: Box, shape: tuple[int, ...]) -> None:
    """A thin white line around a part of the map, dark on both sides so that it is seen on every colour."""
    _, rows, columns = drawing.crop
    down, across = (rows.stop - rows.start) / shape[0], (columns.stop - columns.start) / shape[1]
    top, left = rows.start + round(box[0] * down), columns.start + round(box[1] * across)
    bottom, right = rows.start + round((box[0] + box[2]) * down), columns.start + round((box[1] + box[3]) * across)
    for inset, thick, colour in ((0, 4, GROUND), (1, 2, INK)):
        t, b, low, high = top + inset, bottom - inset, left + inset, right - inset
        for r, c in (
            (slice(t, t + thick), slice(low, high)),
            (slice(b - thick, b), slice(low, high)),
            (slice(t, b), slice(low, low + thick)),
            (slice(t, b), slice(high - thick, high)),
        ):
            fill(canvas, r, c, colour)


def _captioned(canvas: Array, caption: str, foot: str, margin: int = GAP) -> Array:
    """A packed picture between its caption and its foot, both in as many lines as they need, as RGB."""
    across = canvas.shape[1]
    side = margin or GAP
    inner = across - 2 * (side - margin)
    head = _lines(caption, CAPTION_SIZE, inner)
    tail = _lines(foot, TEXT_SIZE, inner)
    above = len(head) * (line_height(CAPTION_SIZE) + 2) + (8 if head else 0) + (GAP if margin or head else 0)
    below = len(tail) * (line_height(TEXT_SIZE) + 3) + (8 if tail else 0) + (GAP if margin or tail else 0)
    whole = plain(above + canvas.shape[0] + below, across + 2 * margin)
    for index, line in enumerate(head):
        at = (GAP + index * (line_height(CAPTION_SIZE) + 2), side)
        write(whole, line, at, CAPTION_SIZE, INK, GROUND, limit=inner)
    whole[above : above + canvas.shape[0], margin : margin + across] = canvas
    for index, line in enumerate(tail):
        at = (above + canvas.shape[0] + 8 + index * (line_height(TEXT_SIZE) + 3), side)
        write(whole, line, at, TEXT_SIZE, QUIET, GROUND, limit=inner)
    return np.ascontiguousarray(rgb(whole))


def _lines(text: str, size: int, limit: int) -> list[str]:
    """Words in lines no wider than ``limit``."""
    lines: list[str] = []
    for word in text.split():
        if lines and width(f"{lines[-1]} {word}", size) <= limit:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _number(value: float) -> str:
    return f"{value:.3g}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.1e}"
