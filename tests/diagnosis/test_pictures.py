"""Evidence as pictures."""

from __future__ import annotations

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import _BLUE, bars, beside, over_row, over_screen, strip
from policyscope.episodes.episode import Episode
from policyscope.rendering.lettering import ACCENT, GROUND, INK

SCREEN = np.full((40, 40, 3), 120, np.uint8)


def coloured(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of a colour, (k, 2)."""
    return np.argwhere((picture == np.array(colour, np.uint8)).all(axis=-1))


def test_a_map_colours_the_screen_where_it_says_something_and_nowhere_else() -> None:
    values = np.zeros((8, 8))
    plain = over_screen(SCREEN, values, True, "nothing")
    values[:, 4:] = 1
    marked = over_screen(SCREEN, values, True, "nothing")
    differs = np.flatnonzero((plain != marked).any(axis=(0, 2)))
    middle = (plain.shape[1]) / 2
    assert differs.min() > 0.85 * middle
    assert differs.max() > 1.9 * middle


def test_a_box_is_outlined_where_it_is() -> None:
    values = np.zeros((4, 4))
    plain = over_screen(SCREEN, values, False, "a box")
    boxed = over_screen(SCREEN, values, False, "a box", boxes=[(0, 2, 2, 2)])
    rows, columns = np.nonzero((plain != boxed).any(axis=2))
    assert columns.min() >= plain.shape[1] // 2
    assert len(coloured(boxed[rows.min() : rows.max()], INK)) > len(coloured(plain[rows.min() : rows.max()], INK))


def test_bars_are_as_long_as_their_values_and_marked_ones_are_orange() -> None:
    picture = bars(["one", "two", "none"], [1.0, 0.5, None], "Two and none", mark=[1])
    blue, orange = coloured(picture, _BLUE), coloured(picture, ACCENT)
    lengths = [np.bincount(found[:, 0]).max() for found in (blue, orange)]
    assert abs(lengths[0] / lengths[1] - 2) < 0.2
    assert blue[:, 0].max() < orange[:, 0].max()


def test_logarithmic_bars_show_what_is_a_thousand_times_smaller() -> None:
    values = [1.0, 1e-3]
    lengths = [
        np.bincount(coloured(bars(["a", "b"], values, "", log=log, mark=[1]), ACCENT)[:, 0]).max()
        for log in (False, True)
    ]
    assert lengths[1] > 3 * lengths[0]


def test_zero_and_infinite_values_have_a_row_too() -> None:
    assert (
        bars(["a", "b", "c"], [0.0, float("inf"), float("nan")], "", log=True).shape
        == bars(["a", "b", "c"], [1.0, 2.0, 3.0], "", log=True).shape
    )


def test_frames_stand_side_by_side_and_a_wrong_one_has_an_edge() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (4, 30, 30, 1)).astype(np.uint8)
    plain, marked = (strip(frames, ["a", "b", "c", "d"], "Frames", mark=mark) for mark in ((), (2,)))
    columns = coloured(marked, ACCENT)[:, 1]
    assert not len(coloured(plain, ACCENT))
    assert 0.45 * plain.shape[1] < columns.min() < columns.max() < 0.78 * plain.shape[1]


def test_pictures_are_joined_at_their_tops() -> None:
    one, other = bars(["a"], [1.0], "one"), strip(np.zeros((1, 30, 30, 1), np.uint8), ["a"], "a frame")
    joined = beside([one, other])
    assert joined.shape == (max(one.shape[0], other.shape[0]), one.shape[1] + other.shape[1], 3)
    assert np.array_equal(joined[: one.shape[0], : one.shape[1]], one)
    assert (joined[one.shape[0] :, : one.shape[1]] == GROUND).all()


def test_an_episode_s_screen_is_shown_in_its_shape(breakout: tuple[Agent, Episode]) -> None:
    picture = over_row(breakout[1], 50, np.zeros((84, 84)), True, "Breakout")
    assert picture.dtype == np.uint8
    assert picture.shape[1] >= 160 * 2


def test_intervals_hold_the_mean_of_what_was_drawn() -> None:
    random = np.random.default_rng(1)
    inside = 0
    for _ in range(40):
        values = random.normal(3, 1, 60)
        low, high = interval(lambda rows, values=values: float(values[rows].mean()), 60)
        inside += low < 3 < high
        assert abs((high - low) - 4 * values.std() / 60**0.5) < 0.15
    assert inside >= 32
