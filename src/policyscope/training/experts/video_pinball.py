"""Video Pinball by hand: nudge the table when the ball is about to fall between the flippers.

A nudge shifts the ball some two pixels of the console's screen and leaves its speed; the ball is lost through the gap
between the flippers alone. Eight nudges the same way with no other step between them would tilt the table.
"""

from __future__ import annotations

import numpy as np

from policyscope.storage import Array

_NOTHING, _SHOOT, _FLIP, _PULL, _TO_RIGHT, _TO_LEFT = 0, 1, 2, 5, 7, 8
_TOP, _BOTTOM, _LEFT, _RIGHT = 36, 70, 26, 58
"""The part of the screen above the flippers in which only the ball moves."""
_BUMPERS_END, _BETWEEN = 57, slice(4, 28)
"""Above this row the ball is looked for between the lower bumpers: columns from the part's left."""
_GAP, _FLIPPERS = 41.5, 72.8
"""Column of the gap's middle, and row at which the ball is at the flippers."""
_FALLS = 1.6
"""Rows a step: a slower ball is turning, and where it will land is not known."""
_WIDE = 8.4
"""Columns from the gap's middle within which a ball is pushed away from it."""


def nudge(observations: Array) -> Array:
    """Shoots the ball, pushes it off the gap while it falls towards it, and else moves both flippers up and down."""
    newest = observations[:, -1]
    # The ball waits in its lane, above the plunger, whose bright head sinks as it is pulled.
    waits, pulled = newest[:, 52, 78] > 50, newest[:, 66, 78] < 60
    # Raised flippers hold the ball or let it roll into the gap; those that move throw it back up.
    raised = newest[:, 71, 38] > 60
    known, beside = np.zeros(len(newest), bool), np.zeros(len(newest), np.float32)
    # Among the flippers the ball is not seen: it goes on as it came, up to two steps ago; newer sightings are better.
    for ago in (0, 1, 2):
        change = _changes(observations[:, -1 - ago], observations[:, -2 - ago])
        (row, column, seen), (row_before, column_before, seen_before) = _spot(change), _spot(-change)
        down, across = row - row_before, column - column_before
        falls = seen & seen_before & (down > _FALLS) & (row + ago * down < _FLIPPERS - 0.8)
        lands = column + across * (_FLIPPERS - row) / np.maximum(down, _FALLS) - _GAP
        beside = np.where(falls & ~known, lands, beside)
        known |= falls
    push = np.where(beside >= 0, _TO_RIGHT, _TO_LEFT)
    plays = np.where(known & (np.abs(beside) < _WIDE), push, np.where(raised, _NOTHING, _FLIP))
    return np.where(waits, np.where(pulled, _SHOOT, _PULL), plays).astype(np.int64)


def _changes(after: Array, before: Array) -> Array:
    """What became lighter (n, h, w), or darker where negative: the ball came or went there."""
    part = (slice(None), slice(_TOP, _BOTTOM), slice(_LEFT, _RIGHT))
    change = after[part].astype(np.float32) - before[part]
    between = change[:, : _BUMPERS_END - _TOP, _BETWEEN].copy()
    change[:, : _BUMPERS_END - _TOP] = 0
    change[:, : _BUMPERS_END - _TOP, _BETWEEN] = between
    return change


def _spot(light: Array) -> tuple[Array, Array, Array]:
    """Row, column and presence (n,) of the one small spot of light; what is larger is a flash or a lit target."""
    light = np.where(light > 12, light, 0)
    mass = light.sum(axis=(1, 2))
    whole = np.maximum(mass, 1)
    rows, columns = (np.arange(size, dtype=np.float32) for size in light.shape[1:])
    row, column = light.sum(axis=2) @ rows / whole, light.sum(axis=1) @ columns / whole
    return row + _TOP, column + _LEFT, (mass > 60) & (mass < 400)
