"""What travels to the page is what was stored, as near as a byte a value can be."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from policyscope.viewer.encoding import LEVELS, pack_maps, pack_pictures, unpack_maps


@given(st.integers(0, 10_000), st.floats(1e-20, 1e20), st.sampled_from([LEVELS, 31]))
def test_maps_come_back_within_half_a_level_of_their_root(seed, scale, levels):
    rng = np.random.default_rng(seed)
    maps = (rng.standard_t(2, (3, 5, 7)) * scale).astype(np.float32)
    maps[1] = 0
    found = unpack_maps(pack_maps(maps, levels), (5, 7))
    largest = np.abs(maps).max(axis=(1, 2), keepdims=True)
    unit = np.where(largest > 0, largest, 1)
    assert (np.sign(found) * np.sign(maps) >= 0).all()
    wrong = np.abs(np.sqrt(np.abs(found) / unit) - np.sqrt(np.abs(maps) / unit))
    assert wrong.max() <= 0.5 / levels + 0.5 / LEVELS + 1e-6
    assert (found[1] == 0).all()


def test_values_that_are_no_numbers_become_zero():
    maps = np.array([[[np.nan, 1.0], [np.inf, -np.inf]]], np.float32)
    assert unpack_maps(pack_maps(maps), (2, 2)).tolist() == [[[0.0, 1.0], [0.0, 0.0]]]


@pytest.mark.parametrize("shape", [(50, 210, 160, 3), (7, 84, 84), (1, 10, 30, 3)])
def test_pictures_come_back_as_they_were(shape):
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    sheet = pack_pictures(pictures)
    image = np.asarray(Image.open(io.BytesIO(sheet.data)))
    height, width = shape[1:3]
    for index in range(shape[0]):
        row, column = divmod(index, sheet.columns)
        found = image[row * height : (row + 1) * height, column * width : (column + 1) * width]
        wanted = pictures[index] if len(shape) == 4 else np.repeat(pictures[index][..., None], 3, axis=2)
        assert (found == wanted).all()


def test_more_pictures_than_a_sheet_can_hold_are_refused():
    with pytest.raises(ValueError, match="pack fewer"):
        pack_pictures(np.zeros((200, 2000, 2000), np.uint8))
