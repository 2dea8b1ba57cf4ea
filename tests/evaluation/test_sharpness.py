"""Sharpness of maps whose entropy, area and width are known."""

import numpy as np
import pytest

from policyscope.evaluation.sharpness import blob_width, entropy, half_area


def bumps(width: float, side: int = 41) -> np.ndarray:
    y, x = np.mgrid[:side, :side] - side // 2
    return np.exp(-(x**2 + y**2) / (2 * width**2))[None].astype(np.float32)


def test_a_point_has_no_entropy_and_an_even_map_all_of_it():
    point = np.zeros((1, 8, 8), np.float32)
    point[0, 3, 4] = -7
    assert entropy(point)[0] == pytest.approx(0)
    assert entropy(np.ones((1, 8, 8)))[0] == pytest.approx(1)
    assert np.isnan(entropy(np.zeros((1, 8, 8)))[0])


def test_half_of_the_energy_of_an_even_map_is_on_half_of_the_area():
    assert half_area(np.ones((1, 7, 9)))[0] == pytest.approx(0.5)
    two = np.zeros((1, 10, 10))
    two[0, 0, 0], two[0, 5, 5] = 3, 1
    assert half_area(two)[0] == pytest.approx((2 / 3) / 100)
    assert np.isnan(half_area(np.zeros((1, 4, 4)))[0])


def test_half_area_is_that_of_a_loop_over_sorted_pixels():
    values = np.random.default_rng(0).exponential(size=(3, 9, 9))
    for one, found in zip(values, half_area(values), strict=True):
        left, pixels = one.sum() / 2, 0.0
        for value in sorted(one.ravel(), reverse=True):
            if value >= left:
                pixels += left / value
                break
            left, pixels = left - value, pixels + 1
        assert found == pytest.approx(pixels / 81, rel=1e-5)


@pytest.mark.parametrize("width", [2.0, 4.0, 6.0])
def test_a_gaussian_blob_is_as_wide_as_at_half_of_its_height(width):
    assert blob_width(bumps(width))[0] == pytest.approx(2 * width * np.sqrt(2 * np.log(2)), rel=0.12)


def test_only_the_strongest_blob_is_measured():
    far = bumps(2.0) + 0.9 * np.roll(bumps(2.0), 14, axis=2)
    assert blob_width(far)[0] == pytest.approx(blob_width(bumps(2.0))[0])
    assert np.isnan(blob_width(np.ones((1, 5, 5)))[0])
