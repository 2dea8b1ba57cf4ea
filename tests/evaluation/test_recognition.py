"""Recognition of objects, against loops over pixels and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from policyscope.evaluation.marks import marked
from policyscope.evaluation.recognition import average_precision, gain, pointing

HEIGHT, WIDTH = 12, 10


def scene(seed: int, n: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    maps = random.normal(size=(n, HEIGHT, WIDTH)).astype(np.float32)
    coverage = np.zeros((n, 3, HEIGHT, WIDTH), np.float32)
    for i in range(n):
        y, x = random.integers(0, 8, 2)
        coverage[i, 0, y : y + 3, x : x + 2] = 1
        coverage[i, 1, y, x] = 0.1  # smaller than a pixel
    return maps, coverage


def test_gain_is_the_share_of_the_energy_over_the_share_of_the_area():
    maps, coverage = scene(0)
    found = gain(maps, coverage)
    for i in range(len(maps)):
        for kind in range(2):
            energy = area = on = 0.0
            for y in range(HEIGHT):
                for x in range(WIDTH):
                    energy += abs(float(maps[i, y, x]))
                    on += abs(float(maps[i, y, x])) * float(coverage[i, kind, y, x])
                    area += float(coverage[i, kind, y, x]) / (HEIGHT * WIDTH)
            assert found[i, kind] == pytest.approx(on / energy / area, rel=1e-5)
    assert np.isnan(found[:, 2]).all()  # not on the screen


def test_a_map_that_is_the_same_everywhere_is_at_chance():
    _, coverage = scene(1)
    even = np.ones((4, HEIGHT, WIDTH), np.float32)
    assert gain(even, coverage)[:, :2] == pytest.approx(1.0, rel=1e-6)
    share = marked(coverage).mean(axis=(2, 3))
    assert average_precision(even, coverage)[:, :2] == pytest.approx(share[:, :2])
    assert np.isnan(pointing(even, coverage)).all()


def test_a_zero_map_says_nothing():
    _, coverage = scene(1)
    assert np.isnan(gain(np.zeros((4, HEIGHT, WIDTH)), coverage)).all()


@pytest.mark.parametrize("levels", [0, 3])
def test_average_precision_is_scikit_learns(levels):
    maps, coverage = scene(2)
    if levels:
        maps = np.round(maps * levels) / levels  # ties
    found = average_precision(maps, coverage)
    there = marked(coverage)
    for i in range(len(maps)):
        for kind in range(2):
            expected = average_precision_score(there[i, kind].ravel(), np.abs(maps[i]).ravel())
            assert found[i, kind] == pytest.approx(expected, rel=1e-6)
    assert np.isnan(found[:, 2]).all()


def test_the_strongest_pixel_points_at_an_object_within_the_tolerance():
    coverage = np.zeros((3, 1, HEIGHT, WIDTH), np.float32)
    coverage[:, 0, 5, 5] = 1
    maps = np.zeros((3, HEIGHT, WIDTH), np.float32)
    maps[0, 5, 5] = -2
    maps[1, 7, 7] = 1
    maps[2, 8, 5] = 1
    assert pointing(maps, coverage)[:, 0].tolist() == [1, 1, 0]


@given(st.integers(0, 50), st.floats(0.01, 100))
def test_recognition_does_not_depend_on_a_maps_scale_nor_on_its_batch(seed, scale):
    maps, coverage = scene(seed)
    for measure in (gain, pointing, average_precision):
        whole = measure(maps, coverage)
        assert np.allclose(measure(maps * np.float32(scale), coverage), whole, rtol=1e-4, equal_nan=True)
        assert np.allclose(measure(maps[1:2], coverage[1:2]), whole[1:2], rtol=1e-6, equal_nan=True)
