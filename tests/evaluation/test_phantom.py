"""Light where nothing is."""

import numpy as np
import pytest

from policyscope.evaluation.phantom import empty, phantom


def test_a_place_is_empty_where_no_frame_differs_from_the_background_nearby():
    background = np.full((20, 20), 0.4)
    pictures = np.repeat(background[None, None], 2, axis=1).repeat(1, axis=0)
    pictures[0, 1, 10, 10] = 0.9
    nothing = empty(pictures, background, near=2)
    assert not nothing[0, 8:13, 8:13].any()
    assert nothing.sum() == 400 - 25
    assert empty(pictures[:, 0], background).all()


def test_light_on_things_alone_is_no_phantom_and_even_light_is_as_much_as_its_area():
    nothing = np.ones((1, 10, 10), bool)
    nothing[0, :5] = False
    light = np.zeros((1, 10, 10))
    light[0, 2, 2] = 1
    assert phantom(light, nothing)[0] == 0
    assert phantom(np.ones((1, 10, 10)), nothing)[0] == pytest.approx(1)
    assert phantom(light[:, ::-1], nothing)[0] == pytest.approx(2)
    assert np.isnan(phantom(np.zeros((1, 10, 10)), nothing)[0])
