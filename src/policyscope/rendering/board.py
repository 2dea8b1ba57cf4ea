"""The frames of a video: header, grid of panels, timeline. What does not change is drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.rendering import timeline
from policyscope.rendering.facts import actions_of, facts, signed_number
from policyscope.rendering.layout import CAPTION, FOOT, GAP, Cell, Layout, arrange
from policyscope.rendering.lettering import (
    ACCENT,
    CARD,
    GROUND,
    INK,
    LOSS,
    QUIET,
    Colour,
    fill,
    line_height,
    plain,
    width,
    write,
)
from policyscope.rendering.look import Look
from policyscope.rendering.overlay import Overlay
from policyscope.rendering.panels import PanelPictures, caption
from policyscope.rendering.sources import Array, Pictures
from policyscope.rendering.timeline import Timeline
from policyscope.rendering.words import detail, has_lags, number, title
from policyscope.saliency.maps import Maps, Panel

_BATCH = 8
_PAD = 8
_TITLE = 15
_LABEL = 12
_VALUE = 20
_SLOT = line_height(_LABEL) + line_height(_VALUE)


class _Slot(NamedTuple):
    label: str
    widest: str


class Board:
    """Draws whole frames of an episode and its maps.

    Attributes:
        size: (height, width) of a frame, both even.
        layout: Where each panel stands.
    """

    def __init__(self, episode: Episode, maps: Maps, look: Look, layout: Layout | None = None) -> None:
        self._look = look
        self._pictures = Pictures(episode)
        self._facts = facts(episode)
        self._actions = actions_of(episode)
        self.layout = layout or arrange(maps.panels, self._pictures.shape, self._pictures.pixel, look.screen)
        self._overlay = Overlay(self._pictures.shape, self._pictures.placement, self.layout.scale, look.style)
        panels = [cell for cell, _, _ in self.layout.cells() if isinstance(cell, Panel)]
        self._panels = {panel: PanelPictures(maps, panel, look, self._overlay) for panel in panels}
        grid_height, grid_width = self.layout.size
        columns = max(grid_width, 480)
        self._slots = self._placed_slots(columns)
        self._top = self._slots[-1][1] + _SLOT
        self._left = (columns - grid_width) // 2
        self._strip = self._top + grid_height
        height = self._strip + timeline.HEIGHT + GAP
        self.size = (height + height % 2, columns + columns % 2)
        self._timeline = Timeline(self._facts, self.size[1] - 2 * GAP)
        self._template = self._drawn_template()

    def __len__(self) -> int:
        return len(self._facts)

    def place(self, cell: Cell) -> tuple[slice, slice]:
        """Rows and columns of a frame in which a cell's picture stands."""
        row, column = next((row, column) for found, row, column in self.layout.cells() if found == cell)
        top, left = self._top + row + CAPTION, self._left + column
        return slice(top, top + self.layout.picture[0]), slice(left, left + self.layout.picture[1])

    def frames(self, steps: Array) -> Array:
        """Packed frames (n, H, W) of the chosen steps."""
        rows = _as_slice(steps)
        frames = np.repeat(self._template[None], len(steps), axis=0)
        background = self._overlay.background(self._pictures[rows])
        room = self.layout.picture[1] - 2 * _PAD
        for cell, _, _ in self.layout.cells():
            down, across = self.place(cell)
            if not isinstance(cell, Panel):
                frames[:, down, across] = background.plain
                continue
            panel = self._panels[cell]
            frames[:, down, across], shown = panel.frames(rows, background)
            for index in range(len(steps)):
                panel.foot(frames[index], down.stop + 4, across.start + _PAD, room, shown, index)
        for frame, step in zip(frames, steps, strict=True):
            self._write_facts(frame, int(step))
        return frames

    def batches(self, steps: Array) -> Iterator[Array]:
        """Frames in small batches, the next one drawn while the caller uses the last."""
        parts = [steps[i : i + _BATCH] for i in range(0, len(steps), _BATCH)]
        with ThreadPoolExecutor(1) as ahead:
            waiting = [ahead.submit(self.frames, part) for part in parts[:1]]
            for part in [*parts[1:], None]:
                ready = waiting.pop()
                frames = ready.result()
                if part is not None:
                    waiting.append(ahead.submit(self.frames, part))
                yield frames

    def _drawn_template(self) -> Array:
        canvas = plain(*self.size)
        write(canvas, self._facts.title, (GAP - 2, GAP), _TITLE, QUIET, GROUND, limit=self.size[1] - 2 * GAP)
        for slot, row, column in self._slots:
            write(canvas, slot.label, (row, column), _LABEL, QUIET, GROUND)
        room, lags = self.layout.picture[1] - 2 * _PAD, has_lags(self._panels)
        for cell, _, _ in self.layout.cells():
            down, across = self.place(cell)
            fill(canvas, slice(down.start - CAPTION, down.stop + FOOT), across, CARD)
            top, left = down.start - CAPTION + 4, across.start + _PAD
            if isinstance(cell, Panel):
                caption(canvas, top, left, room, title(cell), detail(cell, lags, self._actions))
                continue
            caption(canvas, top, left, room, "Screen", "")
            if self._overlay.hides:
                text = "hatched in the maps: out of the agent's sight"
                write(canvas, text, (down.stop + 4, left), _LABEL, QUIET, limit=room)
        strip = self._timeline.strip
        canvas[self._strip : self._strip + len(strip), GAP : GAP + strip.shape[1]] = strip
        return canvas

    def _placed_slots(self, columns: int) -> list[tuple[_Slot, int, int]]:
        known = self._facts
        last = len(known) - 1
        slots = [_Slot("step", f"{last} / {last}")]
        if known.actions:
            longest = max(set(known.actions), key=lambda name: width(name, _VALUE))
            slots.append(_Slot("action", longest + "  not greedy" * (known.greedy is not None)))
        slots += [_Slot("reward", "+1000"), _Slot("return", "-1000000")]
        slots += [_Slot("lives", "lives")] if known.lives is not None else []
        slots += [_Slot(curve.name, "-0.00012") for curve in known.curves]
        placed, row, column = [], GAP + line_height(_TITLE) + 6, GAP
        for slot in slots:
            needed = max(width(slot.widest, _VALUE), width(slot.label, _LABEL)) + 22
            if column > GAP and column + needed > columns:
                row, column = row + _SLOT + 4, GAP
            placed.append((slot, row, column))
            column += needed
        return placed

    def _write_facts(self, frame: Array, step: int) -> None:
        known = self._facts
        reward = float(known.rewards[step])
        texts: list[tuple[str, Colour]] = [(f"{step} / {len(known) - 1}", INK)]
        texts += [(known.actions[step], INK)] if known.actions else []
        texts.append((signed_number(reward), ACCENT if reward > 0 else LOSS if reward < 0 else QUIET))
        texts.append((number(float(known.returns[step])), INK))
        if known.lives is not None:
            texts.append((str(int(known.lives[step])), LOSS if known.lost[step] else INK))
        texts += [(number(float(curve.values[step])), INK) for curve in known.curves]
        for (slot, row, column), (text, colour) in zip(self._slots, texts, strict=True):
            at = (row + line_height(_LABEL), column)
            used = write(frame, text, at, _VALUE, colour, GROUND, limit=self.size[1] - column - GAP)
            if slot.label == "action" and known.greedy is not None:
                word = "greedy" if known.greedy[step] else "not greedy"
                below = (at[0] + line_height(_VALUE) - line_height(_LABEL) - 3, column + used + 8)
                write(frame, word, below, _LABEL, QUIET if known.greedy[step] else ACCENT, GROUND)
        column = GAP + self._timeline.column(step)
        fill(frame, slice(self._strip, self._strip + timeline.HEIGHT), slice(column, column + 2), INK)


def _as_slice(steps: Array) -> slice | Array:
    """A run of steps as a slice, which stored arrays read faster."""
    if len(steps) and (len(steps) == 1 or bool((np.diff(steps) == 1).all())):
        return slice(int(steps[0]), int(steps[-1]) + 1)
    return steps
