"""Colours for normalised values, as data."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from policyscope.errors import PolicyscopeError
from policyscope.rendering.sources import Array


@dataclass(frozen=True)
class Palette:
    """Colours from zero outwards.

    Attributes:
        name: Its key in ``PALETTES``.
        positive: Colours (hex) of magnitudes 0 to 1, evenly spaced.
        negative: The same for negative values; None shows their magnitude in the positive colours.
        reach: Exponent of the opacity over the magnitude: below 1, weak values show earlier.
    """

    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...] | None = None
    reach: float = 0.7

    def colours(self, values: Array) -> Array:
        """RGB (…, 3) as floats 0 to 255 of values in [-1, 1]."""
        values = np.asarray(values, np.float64)
        size = np.abs(values)[..., None]
        warm = _along(self.positive, size)
        return warm if self.negative is None else np.where(values[..., None] < 0, _along(self.negative, size), warm)

    def opacity(self, values: Array) -> Array:
        """Opacity 0 to 1 of values in [-1, 1]."""
        return np.asarray(np.clip(np.abs(np.asarray(values, np.float64)), 0, 1) ** self.reach)


PALETTES: dict[str, Palette] = {
    palette.name: palette
    for palette in (
        Palette(
            "blue_orange",
            positive=("#8a3300", "#c65100", "#f58a07", "#ffb52e", "#ffe9ad"),
            negative=("#0b3b8c", "#1260c4", "#2b93f0", "#6cc0ff", "#d0ecff"),
        ),
        Palette("ember", positive=("#4a1680", "#93256f", "#d6455a", "#f98e2b", "#fbd24a", "#fcffc4"), reach=0.75),
        Palette("viridis", positive=("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")),
        Palette("paper", positive=("#00ff00", "#00ff00"), negative=("#ff0000", "#ff0000"), reach=1.0),
    )
}


def palette_for(name: str | None, signed: bool, style: str = "clear") -> Palette:
    """The named palette, or the default: the paper's in its style, else ``blue_orange`` (signed) and ``ember``.

    Raises:
        PolicyscopeError: There is no such palette.
    """
    if name is None:
        name = "paper" if style == "paper" else "blue_orange" if signed else "ember"
    if name not in PALETTES:
        raise PolicyscopeError(f"no palette '{name}'; there are {', '.join(PALETTES)}")
    return PALETTES[name]


def levels(values: Array, signed: bool) -> Array:
    """Normalised values as bytes: 128 is a signed zero and 1 to 255 is -1 to 1; unsigned, 0 to 255 is 0 to 1."""
    scaled = values * np.float32(127) + np.float32(128.5) if signed else values * np.float32(255) + np.float32(0.5)
    return np.asarray(scaled.astype(np.uint8))


@cache
def level_values(signed: bool) -> Array:
    """The value of each of the 256 levels."""
    steps = np.arange(256, dtype=np.float64)
    return np.clip((steps - 128) / 127, -1, 1) if signed else steps / 255


def _along(stops: tuple[str, ...], position: Array) -> Array:
    table = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in stops], np.float64)
    place = np.clip(position[..., 0], 0, 1) * (len(table) - 1)
    low = np.minimum(place.astype(int), max(len(table) - 2, 0))
    part = (place - low)[..., None]
    return np.asarray(table[low] * (1 - part) + table[np.minimum(low + 1, len(table) - 1)] * part)
