"""One panel's pictures with what must stand beside them: scale, share clipped, and a word where there is no map."""

from __future__ import annotations

import numpy as np

from policyscope.rendering.lettering import CARD, INK, QUIET, fill, shortened, width, write
from policyscope.rendering.look import Look
from policyscope.rendering.normalise import Normalised, episode_statistics, normalise, smoothed
from policyscope.rendering.overlay import Background, Overlay, packed
from policyscope.rendering.palettes import Palette, palette_for
from policyscope.rendering.sources import Array
from policyscope.rendering.words import nothing, number
from policyscope.saliency.maps import Maps, Panel

_BAR = (92, 8)


class PanelPictures:
    """Draws one panel of the maps in one look."""

    def __init__(self, maps: Maps, panel: Panel, look: Look, overlay: Overlay) -> None:
        self.panel, self._look, self._overlay = panel, look, overlay
        self._maps = maps[panel]
        self.palette: Palette = palette_for(look.palette, panel.signed, look.style)
        whole = look.normalise in ("episode", "paper_episode")
        self._statistics = episode_statistics(maps, panel, look.smooth) if whole else None
        self.bar = colour_bar(self.palette, panel.signed, look.style, *_BAR)

    def normalised(self, rows: slice | Array) -> Normalised:
        """The chosen steps' maps as the look wants them."""
        raw = smoothed(np.asarray(self._maps[rows], np.float32), self._look.smooth)
        return normalise(raw, self.panel.signed, self._look.normalise, self._statistics, self._look.gain)

    def frames(self, rows: slice | Array, background: Background) -> tuple[Array, Normalised]:
        """Packed pictures (n, H, W) of the chosen steps, and how their maps were normalised."""
        shown = self.normalised(rows)
        frames = self._overlay.paint(background, shown.values, self.panel.signed, self.palette)
        for index in np.flatnonzero(shown.zero | shown.broken):
            _announce(frames[index], "not finite" if shown.broken[index] else nothing(self.panel))
        return frames, shown

    def foot(self, canvas: Array, row: int, column: int, columns: int, shown: Normalised, index: int) -> None:
        """Writes the colour bar with its ends, and the share clipped, on a strip whose ground is ``CARD``."""
        if shown.zero[index] or shown.broken[index]:
            return
        middle = row + 7
        if self.panel.signed:
            least = write(canvas, "-" + number(shown.scale[index]), (row, column), 12, QUIET) + 6
        else:
            least = write(canvas, "0", (row, column), 12, QUIET) + 6
        bar = self.bar[:, : max(columns - least, 0)]
        canvas[middle - 3 : middle + 5, column + least : column + least + bar.shape[1]] = bar
        end = column + least + bar.shape[1] + 6
        end += write(canvas, number(shown.scale[index]), (row, end), 12, QUIET)
        share = shown.clipped[index]
        text = "0 clipped" if not share else f"{100 * share:.1f} % clipped" if share >= 0.0005 else "<0.1 % clipped"
        if column + columns - end > width(text, 12) + 8:
            write(canvas, text, (row, column + columns), 12, QUIET, align="right")


def colour_bar(palette: Palette, signed: bool, style: str, columns: int, rows: int) -> Array:
    """A packed picture of the palette as it looks over black, from -1 (or 0) to 1."""
    values = np.linspace(-1 if signed else 0, 1, columns)
    strength = np.abs(values) if style == "paper" else palette.opacity(values)
    colours = np.rint(palette.colours(values) * strength[:, None]).astype(np.uint8)
    return np.repeat(packed(colours)[None], rows, axis=0)


def caption(canvas: Array, row: int, column: int, columns: int, name: str, about: str) -> None:
    """Writes a panel's name and, where there is room, what it explains."""
    used = write(canvas, name, (row, column), 17, INK, limit=columns)
    room = columns - used - 14
    if room > 40 and shortened(about, 13, room):
        write(canvas, about, (row + 3, column + columns), 13, QUIET, limit=room, align="right")


def _announce(frame: Array, text: str) -> None:
    """Lays a plate with a few words over the middle of a picture that has no map."""
    height, columns = 30, width(text, 16) + 28
    row, column = (frame.shape[0] - height) // 2, (frame.shape[1] - columns) // 2
    if row < 0 or column < 0:
        return
    fill(frame, slice(row, row + height), slice(column, column + columns), CARD)
    write(frame, text, (row + 5, column + 14), 16, INK, CARD)
