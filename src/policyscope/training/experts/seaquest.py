"""Seaquest by hand: breathe in time, with a diver aboard, and get there past the sharks.

Rows and columns are those of the 84 x 84 screen, rows counted from the top of the water. The places of things were
read off screens beside the console's memory (tests/training/experts/test_seaquest.py).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.special import softmax

from policyscope.storage import Array
from policyscope.training.experts.expert import SILENT

_UP_AND_FIRE = 10
_LOW = 0.25
"""Of the tank: what is left takes a submarine up from the sea floor."""

_WATER = slice(20, 64)
_LANES = np.array([8.7, 18.3, 28.0, 37.5])
"""Rows along which sharks, their submarines and divers swim."""
_FLOOR = 38
_ACROSS, _DOWN = 2.1, 1.6
"""Columns and rows that the submarine goes in a step."""
_MOVES = np.array([(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1)])
_ACTIONS = np.array([15, 10, 14, 12, 1, 11, 17, 13, 16])
"""What makes each move, firing."""
_AHEAD = np.arange(1, 8) - 0.5
"""Steps looked ahead."""
_WIDE, _HIGH = 7.0, 4.6
"""Columns and rows between the middles of submarine and shark that nearly touch."""
_IN_RANGE = 14
"""Columns from which a shark in front is shot before it is here."""
_BACK = 3
"""Steps over which a drift is measured."""
_RISE, _FETCH, _LAST = 0.3, 0.9, 0.03
"""Of the tank: what a way up past sharks takes, below what a diver is fetched, and with what all is over."""
_FAR = 40
"""Steps to a diver that is not worth the way."""
_NEAR = 22
"""Columns to a shark whose lane is too dangerous to enter."""
_TORPEDO = 6.0
"""Columns that a torpedo goes in a step."""
_SIDE, _TOO_FAR = 30, 6
"""Columns to a side of the screen where it is dangerous, and how far into them one turns back."""
_DOUBT = 0.5
"""Worth, in steps towards the goal, that makes a move e times as likely."""
_DIVE = 13


def breathe(observations: Array) -> Array:
    """Up, firing, when oxygen is low and a diver is aboard; without one, to surface costs the submarine."""
    oxygen, aboard = _gauges(observations[:, -1])
    return np.where((oxygen < _LOW) & aboard, _UP_AND_FIRE, SILENT).astype(np.int64)


def hunt(observations: Array) -> Array:
    """Plays by itself: shoots sharks, fetches a diver when none is aboard, and surfaces before the tank is empty.

    Of the nine moves those are likely that keep clear of sharks longest, and of these the ones that lead to the goal.
    """
    newest = observations[:, -1]
    oxygen, aboard = _gauges(newest)
    row, column, sure = _submarine(newest)
    before, column_before, _ = _submarine(observations[:, -1 - _BACK])
    sharks = _sharks(newest, row, column)
    drift = _drift(sharks, _sharks(observations[:, -1 - _BACK], before, column_before))
    down, across, far = _nearest(_divers(newest, row, column), row, column)
    surface = (oxygen < _RISE) & aboard
    fetch = ~surface & ~aboard & (far < _FAR) & (oxygen < _FETCH) & (oxygen > _LAST)
    prey_down, prey_across = _prey(sharks, drift, row, column)
    goal_down = np.select([surface, fetch], [-1, np.sign(down) * (np.abs(down) > 1)], prey_down)
    goal_across = np.select([surface, fetch], [0, np.sign(across) * (np.abs(across) > 2)], prey_across)
    # Sharks come in from the sides too fast to be dodged there.
    beyond = (column > 83 - _SIDE).astype(int) - (column < _SIDE)
    far_beyond = np.maximum(_SIDE - column, column - 83 + _SIDE) > _TOO_FAR
    goal_across = np.where((goal_across * beyond > 0) & ~fetch, np.where(far_beyond, -beyond, 0), goal_across)
    worth = (
        10 * _clear(sharks, drift, row, column)
        + _towards(goal_down[:, None], goal_across[:, None])
        - 8 * (_MOVES[:, 1] * beyond[:, None] > 0)
    )
    likely = softmax(worth / _DOUBT, axis=1)
    chances = np.zeros((len(newest), 18), np.float32)
    chances[:, _ACTIONS] = likely
    # At the surface it does not show.
    chances[~sure] = 0
    chances[~sure, _DIVE] = 1
    return chances


def _towards(goal_down: Array, goal_across: Array) -> Array:
    """How well each move serves a goal (n, 9), its signs (n, 1) down and to the right."""
    # Up or down first: lanes are where the sharks are.
    served = 2.0 * _MOVES[:, 0] * goal_down + _MOVES[:, 1] * goal_across
    other = (_MOVES[:, 0] != goal_down).astype(float) + (_MOVES[:, 1] != goal_across)
    towards: Array = served - 0.3 * other
    return towards


def _prey(sharks: Array, drift: Array, row: Array, column: Array) -> tuple[Array, Array]:
    """Where to go (n,), down and to the right, for the shark that is shot soonest; without one to the middle."""
    n = len(row)
    steps = np.abs(_LANES - row[:, None]) / _DOWN
    away = np.arange(84) - column[:, None, None]
    then = away + (drift * steps)[:, :, None]
    seen = (then + column[:, None, None] > 2) & (then + column[:, None, None] < 81)
    there = sharks & seen & (np.abs(then) > _NEAR)
    here = sharks & (steps < 2)[:, :, None] & (np.abs(away) > _WIDE)
    soon = np.where(there, steps[:, :, None] + np.abs(then) / _TORPEDO, np.inf)
    soon = np.where(here, np.abs(away) / _TORPEDO, soon).reshape(n, -1)
    lane, at = np.divmod(soon.argmin(axis=1), 84)
    to_lane, side = _LANES[lane] - row, np.sign(then[np.arange(n), lane, at])
    some = np.isfinite(soon.min(axis=1))
    to_middle = (row < _LANES[1] - 2).astype(int) - (row > _LANES[2] + 2)
    down = np.where(some, np.sign(to_lane) * (np.abs(to_lane) > 1.2), to_middle)
    across = np.where(some, side * (np.abs(to_lane) <= 3), np.sign(42 - column) * (np.abs(42 - column) > 8))
    return down, across


def _gauges(screens: Array) -> tuple[Array, Array]:
    """Share of the tank that is left (n,), and whether a diver is aboard (n,)."""
    # The bar is 214 on 85; the first diver's picture darkens its place in the row below, 142 when empty.
    oxygen = (screens[:, 68:70, 26:58].mean(axis=1) > 180).mean(axis=1)
    return oxygen, screens[:, 72:74, 31:33].mean(axis=(1, 2)) < 130


def _submarine(screens: Array) -> tuple[Array, Array, Array]:
    """Row and column (n,) of the own submarine, twice as wide as anything else that is bright, and whether it shows."""
    bright = (screens[:, _WATER] > 115).astype(np.float32)
    filled = uniform_filter(bright, (0, 3, 7), mode="constant").reshape(len(screens), -1)
    row, column = np.divmod(filled.argmax(axis=1), 84)
    return row, column, filled.max(axis=1) > 0.6


def _elsewhere(row: Array, column: Array) -> Array:
    """Where the own submarine is not (n, rows, 84)."""
    rows, columns = np.arange(64 - 20)[None, :, None], np.arange(84)[None, None, :]
    return (np.abs(rows - row[:, None, None]) > 3) | (np.abs(columns - column[:, None, None]) > 5)


def _bands(water: Array) -> Array:
    """The seven rows of each lane (n, 4, 7, 84) of the water (n, rows, 84)."""
    return np.stack([water[:, lane - 3 : lane + 4] for lane in np.round(_LANES).astype(int)], axis=1)


def _sharks(screens: Array, row: Array, column: Array) -> Array:
    """Columns of each lane (n, 4, 84) that a shark or a submarine of theirs covers."""
    covered: Array = _bands((screens[:, _WATER] > 95) & _elsewhere(row, column)).sum(axis=2) >= 2
    return covered


def _divers(screens: Array, row: Array, column: Array) -> Array:
    """Columns of each lane (n, 4, 84) at a diver: dim, five rows high, and no shark about."""
    water, elsewhere = screens[:, _WATER], _elsewhere(row, column)
    dim = _bands((water > 36) & (water <= 80) & elsewhere)
    close = [np.roll(dim, by, axis=3) for by in (-2, -1, 0, 1, 2)]
    shark = _bands((water > 110) & elsewhere).any(axis=2)
    alone = ~np.any([np.roll(shark, by, axis=2) for by in range(-3, 4)], axis=0)
    found: Array = (np.any(close, axis=0).sum(axis=2) >= 5) & (np.sum(close, axis=(0, 3)) >= 8) & alone
    return found


def _nearest(divers: Array, row: Array, column: Array) -> tuple[Array, Array, Array]:
    """Rows down and columns right (n,) to the diver that is reached first, and the steps it takes; inf without one."""
    down = np.round(_LANES)[None, :, None] - row[:, None, None]
    across = np.arange(84)[None, None] - column[:, None, None]
    steps = np.where(divers, np.abs(across) / _ACROSS + np.abs(down) / _DOWN, np.inf).reshape(len(row), -1)
    lane, at = np.divmod(steps.argmin(axis=1), 84)
    return np.round(_LANES)[lane] - row, at - column, steps.min(axis=1)


def _drift(now: Array, before: Array) -> Array:
    """Columns a step (n, 4) that a lane's sharks swim: the shift that best lays those before on those now."""
    best, drift = np.full(now.shape[:2], -np.inf), np.zeros(now.shape[:2])
    for shift in sorted(range(-6, 7), key=abs):
        moved = np.roll(before, shift, axis=2)
        moved[..., :shift] = False if shift > 0 else moved[..., :shift]
        moved[..., 84 + shift :] = False if shift < 0 else moved[..., 84 + shift :]
        laid = (moved & now).sum(axis=2)
        better = laid > best
        best, drift = np.where(better, laid, best), np.where(better, shift / _BACK, drift)
    return drift


def _clear(sharks: Array, drift: Array, row: Array, column: Array) -> Array:
    """Steps (n, 9) for which each move keeps clear of sharks that swim on as they do."""
    n, ahead = len(row), _AHEAD[None, None, :, None]
    to_right = _MOVES[:, 1][None, :, None, None]
    rows = np.clip(row[:, None, None] + _DOWN * _MOVES[:, 0][None, :, None] * _AHEAD, 0, _FLOOR)
    lane_near = np.abs(rows[..., None] - _LANES) < _HIGH
    meets = column[:, None, None, None] + (_ACROSS * to_right - drift[:, None, None, :]) * ahead
    reach = _WIDE + 0.2 * ahead
    first, last = np.ceil(meets - reach), np.floor(meets + reach)
    own = np.abs(row[:, None] - _LANES)[:, None, None, :] < 3
    here = column[:, None, None, None]
    last = np.where(own & (to_right > 0), np.minimum(last, here + _IN_RANGE), last)
    first = np.where(own & (to_right < 0), np.maximum(first, here - _IN_RANGE), first)
    until = np.pad(sharks.cumsum(axis=2), ((0, 0), (0, 0), (1, 0)))
    which, lane = np.arange(n)[:, None, None, None], np.arange(4)
    begin, end = (np.clip(at, 0, 84).astype(int) for at in (first, last + 1))
    touched = (until[which, lane, end] > until[which, lane, begin]) & lane_near
    hit = touched.any(axis=3)
    return np.where(hit.any(axis=2), hit.argmax(axis=2), len(_AHEAD))
