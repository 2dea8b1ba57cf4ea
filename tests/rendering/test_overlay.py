from __future__ import annotations

import numpy as np
import pytest

from policyscope.errors import PolicyscopeError
from policyscope.rendering.overlay import Overlay, overlay, packed, rgb
from policyscope.rendering.palettes import PALETTES, level_values, levels, palette_for

RANDOM = np.random.default_rng(5)
PICTURES = RANDOM.integers(0, 256, (3, 20, 16, 3), dtype=np.uint8)


def test_the_papers_overlay_is_half_the_frame_and_half_green_or_red():
    values = RANDOM.uniform(-1, 1, (3, 20, 16)).astype(np.float32)
    drawn = overlay(PICTURES, values, True, style="paper", scale=(1, 1))
    colour = np.zeros((3, 20, 16, 3))
    colour[..., 1], colour[..., 0] = np.maximum(values, 0), np.maximum(-values, 0)
    expected = np.clip(0.5 * PICTURES + 0.5 * 255 * colour, 0, 255)
    np.testing.assert_allclose(drawn, expected, atol=1.6)


def test_values_become_levels_and_back_within_half_a_level():
    values = np.linspace(-1, 1, 501)
    np.testing.assert_allclose(level_values(True)[levels(values, True)], values, atol=0.5 / 127 + 1e-6)
    np.testing.assert_allclose(
        level_values(False)[levels(np.abs(values), False)], np.abs(values), atol=0.5 / 255 + 1e-6
    )
    assert level_values(True)[levels(np.zeros(1), True)] == 0


@pytest.mark.parametrize("style", ["clear", "paper"])
def test_a_map_touches_exactly_the_rows_and_columns_of_the_crop(style):
    placement, scale = (4, 3, 10, 8), (3, 2)
    ones, zeros = np.ones((3, 5, 4), np.float32), np.zeros((3, 5, 4), np.float32)
    lit = overlay(PICTURES, ones, True, placement, style=style, scale=scale)
    dark = overlay(PICTURES, zeros, True, placement, style=style, scale=scale)
    changed = (lit != dark).any(axis=(0, 3))
    expected = np.zeros((40, 48), bool)
    expected[4 * 2 : 14 * 2, 3 * 3 : 11 * 3] = True
    np.testing.assert_array_equal(changed, expected)


def test_the_crop_of_pong_and_breakout_agents_covers_rows_35_to_194():
    drawing = Overlay((210, 160), (35, 0, 160, 160), (2, 1))
    assert drawing.crop[1:] == (slice(35, 195), slice(0, 320))
    assert drawing.size == (210, 320)
    assert drawing.hides


def test_a_crop_that_reaches_over_the_edge_keeps_its_geometry():
    values = np.zeros((1, 10, 10), np.float32)
    values[0, 7] = 1  # the row of the crop that is the screen's row 17
    lit = overlay(PICTURES[:1], values, True, (10, 0, 20, 16), scale=(1, 1))
    dark = overlay(PICTURES[:1], 0 * values, True, (10, 0, 20, 16), scale=(1, 1))
    rows = np.abs(lit.astype(int) - dark).sum(axis=(0, 2, 3))
    assert not rows[:10].any()
    assert not rows[:18].any()
    assert lit.shape == (1, 20, 16, 3)


def test_without_a_map_the_clear_style_is_grey_and_darker():
    drawn = overlay(PICTURES, np.zeros((3, 5, 4), np.float32), True, scale=(1, 1)).astype(int)
    assert (drawn.max(axis=-1) == drawn.min(axis=-1)).all()
    assert drawn.mean() < PICTURES.mean()


def test_screens_are_enlarged_without_blur():
    plain = rgb(Overlay((20, 16), (0, 0, 20, 16), (3, 2)).enlarged(PICTURES))
    np.testing.assert_array_equal(plain, PICTURES.repeat(2, axis=1).repeat(3, axis=2))


def test_packing_and_unpacking_are_inverse():
    np.testing.assert_array_equal(rgb(packed(PICTURES)), PICTURES)


def test_frames_of_a_batch_are_drawn_as_they_are_alone():
    values = RANDOM.uniform(-1, 1, (3, 7, 6)).astype(np.float32)
    together = overlay(PICTURES, values, True, (2, 2, 12, 10))
    alone = [overlay(PICTURES[i : i + 1], values[i : i + 1], True, (2, 2, 12, 10))[0] for i in range(3)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_a_map_is_enlarged_bilinearly_with_pixel_centres_in_the_middle():
    values = np.array([[[0, 1]]], np.float32)
    black = np.zeros((1, 1, 8, 3), np.uint8)
    drawn = overlay(black, values, False, palette="paper", style="paper", scale=(1, 1))[0, 0, :, 1]
    share = np.clip((np.arange(8) + 0.5) / 4 - 0.5, 0, 1)
    np.testing.assert_allclose(drawn, 0.5 * 255 * share, atol=1.6)


@pytest.mark.parametrize("palette", PALETTES.values(), ids=lambda palette: palette.name)
def test_palettes_start_transparent_and_grow_more_opaque_with_the_magnitude(palette):
    strength = palette.opacity(np.linspace(0, 1, 50))
    assert strength[0] == 0
    assert strength[-1] == 1
    assert (np.diff(strength) > 0).all()


@pytest.mark.parametrize("name", ["blue_orange", "ember", "viridis"])
def test_the_luminance_of_a_perceptual_palette_only_rises(name):
    palette = PALETTES[name]
    for sign in (1, -1):
        values = sign * np.linspace(0, 1, 100)
        shown = palette.colours(values) * palette.opacity(values)[:, None]
        assert (np.diff(shown @ [0.2126, 0.7152, 0.0722]) > 0).all()


def test_blue_and_orange_stay_apart_for_people_who_do_not_see_red_or_green():
    # Vienot, Brettel and Mollon (1999): protanopia and deuteranopia in linear RGB
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    palette = PALETTES["blue_orange"]
    for size in (0.3, 0.6, 0.9):
        pair = (palette.colours(np.array([size, -size])) / 255) ** 2.2
        for matrix in (protan, deutan):
            seen = (pair @ matrix.T).clip(0, 1) ** (1 / 2.2) * 255
            assert np.abs(seen[0] - seen[1]).max() > 80


def test_unknown_palettes_and_styles_are_told_in_one_line():
    with pytest.raises(PolicyscopeError, match="no palette 'jet'; there are blue_orange"):
        palette_for("jet", True)
    with pytest.raises(PolicyscopeError, match="no style 'loud'; there are clear, paper"):
        Overlay((4, 4), (0, 0, 4, 4), style="loud")
