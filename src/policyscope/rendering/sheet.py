"""A contact sheet: chosen steps below each other, the screen and the methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image

from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError
from policyscope.rendering.facts import Facts, actions_of, facts, signed_number
from policyscope.rendering.layout import GAP, scales
from policyscope.rendering.lettering import ACCENT, CARD, GROUND, INK, LOSS, QUIET, fill, line_height, plain, write
from policyscope.rendering.look import Look
from policyscope.rendering.moments import Moment, described, interesting
from policyscope.rendering.normalise import SCOPES
from policyscope.rendering.overlay import Overlay, rgb
from policyscope.rendering.palettes import palette_for
from policyscope.rendering.panels import PanelPictures, colour_bar
from policyscope.rendering.sources import Array, Pictures
from policyscope.rendering.words import detail, has_lags, number, title
from policyscope.saliency.maps import Maps, Panel
from policyscope.storage import disk_errors, replacing

_MARGIN = 204
_HEAD = 66
_COLUMN = 62
_FOOT = 26
_PER_BLOCK = 5


def write_sheet(
    path: Path, episode: Episode, maps: Maps, look: Look | None = None, steps: Sequence[int] | None = None
) -> list[Moment]:
    """Writes a PNG of some steps under every panel.

    Args:
        path: The file to replace.
        episode: What is shown.
        maps: Its maps.
        look: How; ``sheet_steps`` of it says how many steps are chosen where none are given.
        steps: Which steps; None chooses them as ``moments.interesting`` says.

    Returns:
        The steps that are shown, with the reason for each.

    Raises:
        PolicyscopeError: A step is outside the episode.
    """
    look = look or Look()
    known = facts(episode)
    if steps is None:
        moments = interesting(known, look.sheet_steps)
    else:
        outside = [step for step in steps if not 0 <= step < len(known)]
        if outside:
            raise PolicyscopeError(f"step {outside[0]} is outside the episode's 0 to {len(known) - 1}")
        moments = described(known, [int(step) for step in steps])
    canvas = drawn_sheet(episode, maps, look, known, moments)
    with disk_errors(path.parent), replacing(path) as part:
        Image.fromarray(np.ascontiguousarray(rgb(canvas))).save(part, format="PNG")
    return moments


def drawn_sheet(episode: Episode, maps: Maps, look: Look, known: Facts, moments: Sequence[Moment]) -> Array:
    """The sheet as a packed picture."""
    pictures = Pictures(episode)
    # the smallest whole-number scale at which a caption has room
    scale = next((s for s in scales(pictures.pixel) if pictures.shape[1] * s[0] >= 300), scales(pictures.pixel)[-1])
    overlay = Overlay(pictures.shape, pictures.placement, scale, look.style)
    height, across = overlay.size
    blocks = _blocks(maps.panels)
    row_height, wide = height + _FOOT + GAP, max(len(block) for block in blocks) + 1
    block_height = _COLUMN + len(moments) * row_height + GAP
    canvas = plain(_HEAD + len(blocks) * block_height + 34, GAP + _MARGIN + wide * (across + GAP))
    _write_head(canvas, known, overlay.hides, look, maps.panels)

    rows = np.array([moment.step for moment in moments], int)
    background = overlay.background(pictures[rows])
    for b, block in enumerate(blocks):
        top = _HEAD + b * block_height
        for i, moment in enumerate(moments):
            _write_moment(canvas, known, moment, top + _COLUMN + i * row_height, GAP)
        for c, panel in enumerate([None, *block]):
            left = GAP + _MARGIN + c * (across + GAP)
            write(canvas, title(panel) if panel else "Screen", (top + 4, left), 22, INK, GROUND, limit=across)
            about = (
                detail(panel, has_lags(maps.panels), actions_of(episode))
                if panel
                else "hatched in the maps: out of sight"
                if overlay.hides
                else ""
            )
            write(canvas, about, (top + 32, left), 16, QUIET, GROUND, limit=across)
            drawing = PanelPictures(maps, panel, look, overlay) if panel else None
            frames, shown = drawing.frames(rows, background) if drawing else (background.plain, None)
            for i, frame in enumerate(frames):
                r = top + _COLUMN + i * row_height
                canvas[r : r + height, left : left + across] = frame
                fill(canvas, slice(r + height, r + height + _FOOT), slice(left, left + across), CARD)
                if drawing and shown:
                    drawing.foot(canvas, r + height + 5, left + 8, across - 16, shown, i)
    return canvas


def _blocks(panels: Sequence[Panel]) -> list[Sequence[Panel]]:
    """Panels in lines of about equal length, none too long to be read on a page."""
    lines = max(ceil(len(panels) / _PER_BLOCK), 1)
    each = max(ceil(len(panels) / lines), 1)
    return [panels[i * each : (i + 1) * each] for i in range(lines)]


def _write_head(canvas: Array, known: Facts, hides: bool, look: Look, panels: Sequence[Panel]) -> None:
    across = canvas.shape[1] - 2 * GAP
    write(canvas, known.title, (GAP, GAP), 26, INK, GROUND, limit=across)
    games = int(known.starts.sum())
    total = f"{len(known)} steps" + (f" of {games} games" if games > 1 else "")
    write(
        canvas,
        f"{total} · reward {number(float(known.rewards.sum()))}",
        (GAP + 34, GAP),
        16,
        QUIET,
        GROUND,
        limit=across,
    )
    row, column = canvas.shape[0] - 30, GAP
    for signed, low, high in ((True, "lowers the output", "raises it"), (False, "no part", "most")):
        if any(panel.signed == signed for panel in panels):
            column += write(canvas, low, (row, column), 15, QUIET, GROUND) + 8
            bar = colour_bar(palette_for(look.palette, signed, look.style), signed, look.style, 150, 12)
            bar = bar[:, : max(canvas.shape[1] - column, 0)]
            canvas[row + 4 : row + 16, column : column + bar.shape[1]] = bar
            column += 158
            column += write(canvas, high, (row, column), 15, QUIET, GROUND, limit=200) + 40
    room = canvas.shape[1] - column - GAP
    if room > 200:
        write(canvas, "scale: " + SCOPES[look.normalise], (row, column), 15, QUIET, GROUND, limit=room)


def _write_moment(canvas: Array, known: Facts, moment: Moment, row: int, column: int) -> None:
    step, limit = moment.step, _MARGIN - 16
    write(canvas, f"step {step}", (row, column), 22, INK, GROUND, limit=limit)
    row += line_height(22) + 4
    reward = float(known.rewards[step])
    lines = [(moment.reason, LOSS if known.lost[step] or reward < 0 else ACCENT)] if moment.reason else []
    if known.actions:
        lines.append((known.actions[step], INK))
    if reward and not moment.reason.startswith("reward"):
        lines.append((f"reward {signed_number(reward)}", ACCENT if reward > 0 else LOSS))
    lines.append((f"return {number(float(known.returns[step]))}", QUIET))
    if known.lives is not None:
        lines.append((f"lives {known.lives[step]}", QUIET))
    lines += [(f"{curve.name} {number(float(curve.values[step]))}", QUIET) for curve in known.curves]
    for text, colour in lines:
        write(canvas, text, (row, column), 17, colour, GROUND, limit=limit)
        row += line_height(17) + 4
