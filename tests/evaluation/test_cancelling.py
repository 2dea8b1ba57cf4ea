"""Cancelling over lags."""

import numpy as np
import pytest

from policyscope.evaluation.cancelling import cancelled, cancelled_by_chance


def test_opposite_lags_cancel_and_like_ones_do_not():
    one = np.random.default_rng(0).normal(size=(2, 1, 6, 6))
    assert cancelled(np.concatenate([one, -one], axis=1)) == pytest.approx(1)
    assert cancelled(np.concatenate([one, 3 * one], axis=1)) == pytest.approx(0)
    assert np.isnan(cancelled(np.zeros((1, 4, 3, 3)))[0])


def test_chance_is_what_unrelated_frames_lose():
    maps = np.random.default_rng(1).normal(size=(3, 4, 40, 40))
    assert cancelled(maps) == pytest.approx(0.5, abs=0.02)  # of four normal numbers, 1 - 1 / sqrt(4)
    assert cancelled_by_chance(maps) == pytest.approx(0.5, abs=0.02)
    assert cancelled_by_chance(np.abs(maps)) == pytest.approx(0.5, abs=0.02)
