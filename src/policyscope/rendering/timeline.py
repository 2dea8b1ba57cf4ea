"""The strip beneath a video: what the agent expected and what it got, over the whole episode."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from policyscope.rendering.facts import Facts
from policyscope.rendering.lettering import ACCENT, CARD, LINE, LOSS, Colour, line_height, plain, width, write
from policyscope.rendering.overlay import packed
from policyscope.rendering.sources import Array

HEIGHT = 66
CURVE: Colour = (108, 192, 255)
_SHARP = 3


class Timeline:
    """A strip that is drawn once; only the cursor moves."""

    def __init__(self, facts: Facts, columns: int) -> None:
        self.strip = plain(HEIGHT, columns, CARD)
        labels = [facts.curves[0].name if facts.curves else "", "reward"]
        self.left = max(width(label, 12) for label in labels) + 20
        self.right = columns - 10
        self._steps = len(facts)
        if facts.curves:
            write(self.strip, labels[0], (8 + 15 - line_height(12) // 2, 10), 12, CURVE, CARD)
        write(self.strip, labels[1], (HEIGHT - 17 - line_height(12) // 2, 10), 12, ACCENT, CARD)
        self.strip[:, self.left : self.right] = self._drawn(facts, self.right - self.left)

    def column(self, step: int) -> int:
        """Where a step stands."""
        return self.left + round(step * (self.right - self.left - 2) / max(self._steps - 1, 1))

    def _drawn(self, facts: Facts, columns: int) -> Array:
        image = Image.new("RGB", (columns * _SHARP, HEIGHT * _SHARP), CARD)
        draw = ImageDraw.Draw(image)

        def across(step: float) -> float:
            return step * (columns - 2) * _SHARP / max(self._steps - 1, 1) + _SHARP / 2

        base = (HEIGHT - 10) * _SHARP
        draw.line([(0, base), (columns * _SHARP, base)], fill=LINE, width=_SHARP)
        for step in np.flatnonzero(facts.starts)[1:].tolist():
            draw.line([(across(step), 0), (across(step), HEIGHT * _SHARP)], fill=LINE, width=2 * _SHARP)
        for step in np.flatnonzero(facts.lost).tolist():
            x, y = across(step), base + 3 * _SHARP
            draw.polygon([(x - 4 * _SHARP, y + 6 * _SHARP), (x + 4 * _SHARP, y + 6 * _SHARP), (x, y)], fill=LOSS)
        largest = np.abs(facts.rewards).max(initial=0)
        for step in np.flatnonzero(facts.rewards).tolist():
            size = (0.35 + 0.65 * abs(facts.rewards[step]) / largest) * 16 * _SHARP
            colour = ACCENT if facts.rewards[step] > 0 else LOSS
            draw.line([(across(step), base - size), (across(step), base)], fill=colour, width=2 * _SHARP)
        if facts.curves:
            values = np.asarray(facts.curves[0].values, np.float64)
            good = np.isfinite(values)
            low, high = (values[good].min(), values[good].max()) if good.any() else (0.0, 1.0)
            heights = (38 - 30 * (np.where(good, values, low) - low) / max(high - low, 1e-9)) * _SHARP
            draw.line([(across(i), float(y)) for i, y in enumerate(heights)], fill=CURVE, width=2 * _SHARP)
        return packed(np.asarray(image.resize((columns, HEIGHT), Image.Resampling.BOX)))
