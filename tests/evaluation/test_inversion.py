"""Maps that are low where the agent looks."""

import numpy as np
import pytest

from policyscope.evaluation.inversion import contrast, inverted


def looking() -> np.ndarray:
    reference = np.zeros((1, 20, 20), np.float32)
    reference[0, 4:9, 4:9] = 1
    return reference


def test_a_map_and_its_inverse_have_opposite_contrasts():
    reference = looking()
    assert contrast(reference, reference, top=25 / 400)[0] > 0.9
    assert contrast(1 - reference, reference, top=25 / 400)[0] < -0.8
    assert inverted(reference, reference)[0] == 0
    assert inverted(1 - reference, reference)[0] == 1


def test_an_unrelated_map_has_no_contrast():
    random = np.random.default_rng(0)
    maps = random.random((200, 20, 20))
    assert contrast(maps, np.repeat(looking(), 200, axis=0)).mean() == pytest.approx(0, abs=0.02)


def test_flat_maps_and_references_say_nothing():
    assert np.isnan(contrast(np.ones((1, 20, 20)), looking())[0])
    assert np.isnan(inverted(looking(), np.zeros((1, 20, 20)))[0])


def test_contrast_does_not_depend_on_scale_nor_sign():
    maps = np.random.default_rng(1).normal(size=(3, 20, 20))
    reference = np.repeat(looking(), 3, axis=0)
    assert contrast(-5 * maps, reference) == pytest.approx(contrast(maps, reference), abs=1e-6)
