"""Patches, rings, core and surround, against loops over pixels."""

import numpy as np

from policyscope.evaluation.profiles import (
    block_draws,
    core_and_surround,
    over_slots,
    patches,
    ring_intervals,
    ring_means,
)

RADIUS = 4


def some(seed=0, count=6, slots=3):
    random = np.random.default_rng(seed)
    maps = random.normal(size=(count, 20, 24)).astype(np.float32)
    middle = random.uniform(-2, 24, (count, slots, 2))
    middle[random.random((count, slots)) < 0.2] = np.nan
    return maps, middle


def test_patches_are_squares_around_the_nearest_pixel():
    maps, middle = some()
    cut = patches(maps, middle, RADIUS)
    for frame in range(len(maps)):
        for slot in range(middle.shape[1]):
            for dy in range(-RADIUS, RADIUS + 1):
                for dx in range(-RADIUS, RADIUS + 1):
                    found = cut.values[frame, slot, dy + RADIUS, dx + RADIUS]
                    if np.isnan(middle[frame, slot, 0]):
                        assert np.isnan(found)
                        continue
                    y, x = (int(np.rint(c)) for c in middle[frame, slot])
                    inside = 0 <= y + dy < 20 and 0 <= x + dx < 24
                    assert found == maps[frame, y + dy, x + dx] if inside else np.isnan(found)


def test_rings_are_means_by_distance_from_the_true_centre():
    maps, middle = some()
    found = ring_means(patches(maps, middle, RADIUS), middle)
    y, x = np.indices((20, 24))
    for frame in range(len(maps)):
        for slot in range(middle.shape[1]):
            if np.isnan(middle[frame, slot, 0]):
                assert np.isnan(found[frame, slot]).all()
                continue
            cy, cx = middle[frame, slot]
            near = (np.abs(y - np.rint(cy)) <= RADIUS) & (np.abs(x - np.rint(cx)) <= RADIUS)
            ring = np.floor(np.hypot(y - cy, x - cx) + 0.5)
            for number in range(RADIUS + 1):
                chosen = maps[frame][near & (ring == number)]
                if len(chosen):
                    np.testing.assert_allclose(found[frame, slot, number], chosen.mean(dtype=np.float64), rtol=1e-6)
                else:
                    assert np.isnan(found[frame, slot, number])


def test_core_is_the_box_and_surround_the_band_around_it():
    maps = np.zeros((1, 30, 30), np.float32)
    maps[0, 10:13, 12:20] = 5
    away = np.hypot(
        np.maximum(np.maximum(10 - np.arange(0.5, 30), np.arange(0.5, 30) - 13), 0)[:, None],
        np.maximum(np.maximum(12 - np.arange(0.5, 30), np.arange(0.5, 30) - 20), 0)[None],
    )
    maps[0, (away > 1) & (away <= 4)] = -2
    middle, boxes = np.array([[[11.0, 15.5]]]), np.array([[[12.0, 10.0, 20.0, 13.0]]])
    core, surround = core_and_surround(patches(maps, middle, 9), boxes)
    assert core.item() == 5
    assert surround.item() == -2


def test_a_thing_smaller_than_a_pixel_has_the_nearest_one_as_its_core():
    maps = np.arange(100, dtype=np.float32).reshape(1, 10, 10)
    core, _ = core_and_surround(patches(maps, np.array([[[4.1, 5.6]]]), 3), np.array([[[6.0, 4.5, 6.2, 4.7]]]))
    assert core.item() == 46


def test_things_that_are_not_there_count_for_nothing():
    values = np.array([[1.0, np.nan, 3.0], [np.nan] * 3])
    np.testing.assert_array_equal(over_slots(values), [2.0, np.nan])


def test_a_ring_of_the_other_sign_is_found_with_its_uncertainty():
    random = np.random.default_rng(1)
    y, x = np.indices((40, 40))
    middle = random.uniform(12, 28, (200, 1, 2))
    d2 = (y - middle[:, :, :1]) ** 2 + (x - middle[:, :, 1:]) ** 2
    maps = (1 - d2 / 8) * np.exp(-d2 / 8) + 0.3 * random.normal(size=(200, 40, 40))
    rings = ring_intervals(ring_means(patches(maps.astype(np.float32), middle, 6), middle))
    assert rings[0].against() == "higher"
    assert rings[4].against() == "lower"
    assert rings[0].low < 1 - 0.05 < rings[0].high + 0.1


def test_bootstrap_rows_are_neighbours():
    noise = np.random.default_rng(0).normal(size=300)
    slow = np.convolve(noise, np.ones(12) / 12, "same")
    rows = block_draws(slow, 50)
    assert rows.shape == (50, 300)
    assert (np.diff(rows, axis=1) == 1).mean() > 0.8
    assert rows.min() >= 0
    assert rows.max() < 300
