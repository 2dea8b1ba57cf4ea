"""Stability on episodes of a blinking light whose shares are known."""

import numpy as np
import pytest

from policyscope.evaluation.stability import flash, flicker, followed, patches, scales, shown, visible, word

SIDE = 24


def moving(count: int, lit: list[bool]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A light, where it is lit, on an object that moves right by a pixel a frame, over a dim even ground."""
    maps = np.full((count, SIDE, SIDE), 0.01, np.float32)
    coverage = np.zeros((count, 1, SIDE, SIDE), np.float32)
    centres = np.zeros((count, 1, 2))
    for i in range(count):
        coverage[i, 0, 10:12, 5 + i : 7 + i] = 1
        centres[i, 0] = 10.6, 5.6 + i
        if lit[i]:
            maps[i, 10:12, 5 + i : 7 + i] = 1 + np.arange(4).reshape(2, 2)
    return maps, coverage, centres


def test_a_light_is_seen_on_the_frames_where_it_is_lit():
    lit = [True, False, True, True, False, False]
    maps, coverage, _ = moving(6, lit)
    assert visible(shown(maps, 4.0), coverage)[:, 0].tolist() == lit


def test_an_even_glow_is_no_highlight_however_bright():
    _, coverage, _ = moving(3, [False] * 3)
    assert visible(np.ones((3, SIDE, SIDE)), coverage)[:, 0].tolist() == [0, 0, 0]


def test_a_kind_that_is_not_there_is_neither_seen_nor_missed():
    assert np.isnan(visible(np.ones((2, SIDE, SIDE)), np.zeros((2, 1, SIDE, SIDE)))).all()


def test_a_frame_by_itself_is_scaled_to_its_own_brightest_pixels():
    maps = np.random.default_rng(0).normal(size=(3, SIDE, SIDE)) * np.array([1, 10, 0])[:, None, None]
    found = shown(maps, scales(maps))
    assert found[0].max() == found[1].max() == 1
    assert found[2].max() == 0


def test_flicker_is_nothing_for_a_still_light_and_all_for_one_that_jumps():
    still = np.zeros((1, 4, 4))
    still[0, 1, 1] = 1
    jumped = np.roll(still, 2, axis=2)
    assert flicker(still, still)[0] == 0
    assert flicker(jumped, still)[0] == 1
    assert flash(jumped, still)[0] == 0  # as much light as before
    assert flash(still, 3 * still)[0] == pytest.approx(0.5)
    assert np.isnan(flicker(0 * still, 0 * still)[0])


def test_a_light_that_moves_with_its_object_is_followed():
    maps, _, centres = moving(6, [True] * 6)
    assert followed(maps[1:], maps[:-1], centres[1:], centres[:-1], 3)[:, 0] == pytest.approx(1)
    behind = np.concatenate([centres[:1], centres[:1], centres[1:-2], centres[-2:-1]])
    assert (followed(maps[1:], maps[:-1], behind[1:], centres[:-1], 3)[1:, 0] < 0.9).all()


def test_patches_outside_the_picture_are_unknown():
    maps = np.arange(2 * SIDE * SIDE, dtype=np.float32).reshape(2, SIDE, SIDE)
    centres = np.array([[[10, 11], [1, 11]], [[np.nan, 3], [20, 20]]])
    found = patches(maps, centres, 3)
    assert np.array_equal(found[0, 0], maps[0, 7:14, 8:15])
    assert np.isnan(found[0, 1]).all()
    assert np.isnan(found[1, 0]).all()
    assert np.array_equal(found[1, 1], maps[1, 17:24, 17:24])


def test_the_papers_words_need_the_whole_interval():
    assert word(0.8, 0.7, 0.9) == "stable"
    assert word(0.2, 0.15, 0.24) == "not stable"
    assert word(0.52, 0.45, 0.6) == "between"
    assert word(float("nan"), float("nan"), float("nan")) == "unknown"
