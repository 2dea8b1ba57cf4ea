"""A map on the game's screen, with the observation's crop put back where it belongs.

``clear`` (the default) dims the screen to grey and lays the palette over it, the stronger the more opaque, so that
colour always means saliency. ``paper`` is the paper's: half the coloured frame plus half the coloured map. In both,
what lies outside the observation is hatched: the agent cannot see it.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from policyscope.errors import PolicyscopeError
from policyscope.rendering.palettes import Palette, level_values, levels, palette_for
from policyscope.rendering.sources import Array

STYLES = ("clear", "paper")
_DIM = 0.62
_OPAQUE = 0.92
_UNSEEN = 0.34
_HATCH = np.array([78, 90, 108], np.float64)
_HATCH_STEP = 8


class Overlay:
    """Draws maps over pictures of one geometry.

    Frames are packed: (n, H, W) uint32, whose bytes are red, green, blue and 255, so that one look-up in a table
    paints a pixel. ``rgb`` unpacks them.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        placement: tuple[int, int, int, int],
        scale: tuple[int, int] = (2, 1),
        style: str = "clear",
    ) -> None:
        """A geometry and a style.

        Args:
            shape: (height, width) of the pictures.
            placement: The part that the maps cover: (top, left, height, width).
            scale: Columns and rows that one pixel of a picture takes.
            style: One of ``STYLES``.

        Raises:
            PolicyscopeError: There is no such style.
        """
        if style not in STYLES:
            raise PolicyscopeError(f"no style '{style}'; there are {', '.join(STYLES)}")
        self.style, self.scale, self.shape = style, scale, shape
        top, left, height, width = placement
        across, down = scale
        self.size = (shape[0] * down, shape[1] * across)
        rows = slice(max(top, 0) * down, min(top + height, shape[0]) * down)
        columns = slice(max(left, 0) * across, min(left + width, shape[1]) * across)
        self.crop = (slice(None), rows, columns)
        self._crop_size = (height * down, width * across)
        # a crop may reach over the screen's edge: what hangs over is cut off after the map is enlarged
        self._inside = (
            slice(rows.start - top * down, rows.stop - top * down),
            slice(columns.start - left * across, columns.stop - left * across),
        )
        unseen = np.ones(self.size, bool)
        unseen[rows, columns] = False
        step = np.add.outer(np.arange(self.size[0]), np.arange(self.size[1]))
        self._unseen = unseen
        self._hatch = unseen & (step % _HATCH_STEP < 2)

    @property
    def hides(self) -> bool:
        """Whether a part of the picture lies outside the observation."""
        return bool(self._unseen.any())

    def background(self, pictures: Array) -> Background:
        """Prepares pictures (n, H, W, 3) uint8: enlarged crisply once, then shared by all panels."""
        plain = self.enlarged(pictures)
        if self.style == "clear":
            greys = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures])
            grey = np.repeat(np.repeat(greys, self.scale[1], axis=1), self.scale[0], axis=2)
            base = _greys(_DIM)[grey]
            unseen, hatch = _greys(_UNSEEN), _greys(_UNSEEN, 0.75)
            base[:, self._unseen] = unseen[grey[:, self._unseen]]
            base[:, self._hatch] = hatch[grey[:, self._hatch]]
            inside = np.ascontiguousarray(grey[self.crop])
            return Background(plain, base, inside.astype(np.uint16) << 8)
        frames = rgb(plain)
        base = packed(frames // 2)
        base[:, self._hatch] = packed((frames[:, self._hatch] * 0.125 + _HATCH * 0.75).astype(np.uint8))
        return Background(plain, base, np.ascontiguousarray(frames[self.crop]))

    def enlarged(self, pictures: Array) -> Array:
        """Pictures (n, H, W, 3) as packed frames without any map."""
        return np.repeat(np.repeat(packed(pictures), self.scale[1], axis=1), self.scale[0], axis=2)

    def paint(self, background: Background, values: Array, signed: bool, palette: Palette) -> Array:
        """Packed frames of normalised maps (n, h, w) over their background."""
        small = levels(values, signed)
        size = (self._crop_size[1], self._crop_size[0])
        large = np.stack([cv2.resize(m, size, interpolation=cv2.INTER_LINEAR)[self._inside] for m in small])
        if self.style == "clear":
            painted = _clear_table(palette, signed)[background.inside | large]
        else:
            table = _paper_table(palette, signed)
            coloured = cv2.applyColorMap(large.reshape(-1, large.shape[-1]), table).reshape(background.inside.shape)
            painted = packed(cv2.addWeighted(background.inside, 0.5, coloured, 0.5, 0))
        if painted.shape[1:] == self.size:
            return np.asarray(painted)
        out = background.base.copy()
        out[self.crop] = painted
        return out


class Background:
    """Pictures prepared for one ``Overlay``: ``plain`` and ``base`` are packed frames with and without colour."""

    def __init__(self, plain: Array, base: Array, inside: Array) -> None:
        self.plain, self.base, self.inside = plain, base, inside


def overlay(
    pictures: Array,
    values: Array,
    signed: bool,
    placement: tuple[int, int, int, int] | None = None,
    *,
    style: str = "clear",
    palette: str | None = None,
    scale: tuple[int, int] = (2, 1),
) -> Array:
    """Draws normalised maps over pictures.

    Args:
        pictures: (n, H, W, 3) uint8.
        values: (n, h, w) in [-1, 1], or [0, 1] where unsigned; any size, enlarged bilinearly to the crop.
        signed: Whether negative values mean something.
        placement: The part of a picture that the maps cover: (top, left, height, width); None for all of it.
        style: ``clear``, or the paper's ``0.5 frame + 0.5 colour``.
        palette: A name in ``PALETTES``; None for the style's own.
        scale: Columns and rows that one pixel of a picture takes.

    Returns:
        (n, H * rows, W * columns, 3) uint8.
    """
    shape = (int(pictures.shape[1]), int(pictures.shape[2]))
    drawing = Overlay(shape, placement or (0, 0, *shape), scale, style)
    return rgb(drawing.paint(drawing.background(pictures), values, signed, palette_for(palette, signed, style)))


def packed(pictures: Array) -> Array:
    """RGB (…, 3) uint8 as one uint32 a pixel."""
    out = np.empty((*pictures.shape[:-1], 4), np.uint8)
    out[..., :3] = pictures
    out[..., 3] = 255
    return np.asarray(out.view(np.uint32)[..., 0])


def rgb(frames: Array) -> Array:
    """The RGB (…, 3) bytes of packed frames, without a copy."""
    contiguous = np.ascontiguousarray(frames)
    return np.asarray(contiguous.view(np.uint8).reshape(*contiguous.shape, 4)[..., :3])


@lru_cache(maxsize=32)
def _greys(dim: float, hatched: float = 0.0) -> Array:
    """Packed colour of each grey level, dimmed, and mixed with the colour of the hatching."""
    grey = np.repeat(_lifted(np.arange(256, dtype=np.float64)[:, None]), 3, axis=1) * dim
    return packed((grey * (1 - hatched) + _HATCH * hatched).astype(np.uint8))


def _lifted(grey: Array) -> Array:
    """Grey levels with the dark ones lifted: Seaquest's deep blue water is nearly black once it is grey."""
    return np.asarray(255 * (grey / 255) ** 0.8)


@lru_cache(maxsize=32)
def _clear_table(palette: Palette, signed: bool) -> Array:
    """Packed colour for each pair of a grey level (high byte) and a map's level (low byte)."""
    values = level_values(signed)
    grey = np.arange(256, dtype=np.float64)[:, None, None]
    opacity = (_OPAQUE * palette.opacity(values))[None, :, None]
    # sprites shine through even where the map is opaque: the colour takes a part of their brightness
    colour = palette.colours(values)[None] * (0.8 + 0.2 * grey / 255)
    mixed = _DIM * _lifted(grey) * (1 - opacity) + colour * opacity
    return packed(np.rint(mixed).astype(np.uint8)).reshape(-1)


@lru_cache(maxsize=32)
def _paper_table(palette: Palette, signed: bool) -> Array:
    """(256, 1, 3): each level's colour, as strong as its magnitude."""
    values = level_values(signed)
    return np.asarray(np.rint(palette.colours(values) * np.abs(values)[:, None]).astype(np.uint8)[:, None, :])
