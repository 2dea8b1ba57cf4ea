"""Pong by hand: to where the ball will come."""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array

_FIELD = slice(14, 77)
"""Rows of Pong between its walls."""
_BETWEEN = slice(11, 73)
"""Columns between the paddles; the own paddle's are the three to the right."""
_GROUND = 87
_TOP, _BOTTOM = -1.25, 63.25
"""Where the ball's centre turns, in rows of the field."""
_HALF = 5.0
"""Of the own paddle's height, with its blurred ends."""
_NEAR = 4.0
"""Rows: half of the way that the paddle goes for a single step's push."""


def play_back(observations: Array) -> Array:
    """The paddle goes to where the ball will come, the walls' reflections counted, and waits in the middle.

    About as good as the console: it returns nine balls of ten, and does not try to place them.
    """
    rows, columns = np.arange(63, dtype=np.float32), np.arange(62, dtype=np.float32)
    light = np.abs(observations[:, -4:, _FIELD, _BETWEEN].astype(np.float32) - _GROUND)
    light[light <= 40] = 0
    mass = light.sum(axis=(2, 3))
    seen, mass = mass > 0, np.maximum(mass, 1)
    y, x = light.sum(axis=3) @ rows / mass, light.sum(axis=2) @ columns / mass
    across = x[:, -1] - x[:, -2]
    coming = seen[:, -2:].all(axis=1) & (across > 0.3)
    time = np.where(coming, (columns[-1] + 1 - x[:, -1]) / np.maximum(across, 0.3), 0)
    goal = np.where(coming, _reflected(y[:, -1] + _fall(y, seen.all(axis=1)) * time), rows.mean())
    paddle, before = (_middle(observations[:, at, _FIELD, 73:76]) for at in (-1, -2))
    # The paddle goes on for about a step's way after the push has ended.
    off = goal - (2 * paddle - before)
    return np.where(off < -_NEAR, 2, np.where(off > _NEAR, 3, 0)).astype(np.int64)


def _reflected(y: Array) -> Array:
    """Rows (n,) of a ball that flew on through the walls, folded back between them."""
    height = _BOTTOM - _TOP
    folded = np.abs(y - _TOP) % (2 * height)
    return np.where(folded > height, 2 * height - folded, folded) + _TOP


def _fall(y: Array, known: Array) -> Array:
    """Rows a step that a ball falls: the mean of the last three steps, unless it met a wall meanwhile.

    Args:
        y: Its last four rows (n, 4), the newest last.
        known: Whether all four are (n,); else the last step's is taken.
    """
    steps = np.diff(y, axis=1)
    newest, fastest = steps[:, -1], np.abs(steps).max(axis=1)
    steady = steps.max(axis=1) - steps.min(axis=1) < 0.9
    # In the step of the bounce way up and down cancel: the ball leaves the wall that is near as fast as it came.
    leaving = np.where(y[:, -1] > 31, -fastest, fastest)
    bounced = np.where(np.abs(newest) > 0.6 * fastest, newest, leaving)
    return np.where(known, np.where(steady, steps.mean(axis=1), bounced), newest)


def _middle(columns: Array) -> Array:
    """Row (n,) of a paddle's middle in its columns (n, 63, w), also where a part of it is beyond the walls."""
    shows: Array = np.any(np.abs(columns.astype(np.float32) - _GROUND) > 8, axis=2)
    top, bottom = shows.argmax(axis=1), 62 - shows[:, ::-1].argmax(axis=1)
    middle = np.where(top == 0, bottom - _HALF, np.where(bottom == 62, top + _HALF, (top + bottom) / 2))
    return np.where(shows.any(axis=1), middle, 31.0)
