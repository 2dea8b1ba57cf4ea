"""What is worked out once for many maps, against loops over masks and pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyscope.evaluation import inversion, recognition, sharpness, stability
from policyscope.evaluation.frames import MEASURES, Chunk, measured
from policyscope.evaluation.inversion import Reference
from policyscope.evaluation.magnitude import Magnitudes, magnitude
from policyscope.evaluation.marks import Marks, Pixels, grown, marked

N, KINDS, SLOTS, HEIGHT, WIDTH = 5, 3, 4, 20, 18


def scene(seed=0):
    """Maps of a row before and of N rows, coverage of N rows (the last kind never there), centres of all rows."""
    random = np.random.default_rng(seed)
    maps = random.normal(size=(N + 1, HEIGHT, WIDTH)).astype(np.float32)
    coverage = np.zeros((N, KINDS, HEIGHT, WIDTH), np.float32)
    for frame in range(N):
        for kind in range(KINDS - 1):
            y, x = random.integers(0, 14, 2)
            coverage[frame, kind, y : y + 3, x : x + 4] = random.uniform(0.1, 1)
    centres = random.uniform(3, 15, (N + 1, SLOTS, 2))
    centres[2, 1] = np.nan
    return maps, coverage, centres


@given(st.integers(0, 30))
def test_sums_and_peaks_over_listed_pixels_are_those_over_masks(seed):
    random = np.random.default_rng(seed)
    masks = random.random((3, 2, 4, 5)) < random.choice([0.0, 0.2, 1.0], (3, 2))[..., None, None]
    maps = random.random((3, 4, 5)).astype(np.float32)
    pixels = Pixels(masks)
    seen = {}
    for frame, kind, values in pixels.values(maps):
        seen[frame, kind] = values.tolist()
    for frame in range(3):
        for kind in range(2):
            own = maps[frame][masks[frame, kind]].astype(np.float64)
            assert pixels.counts[frame, kind] == len(own)
            assert pixels.sums(maps)[frame, kind] == pytest.approx(own.sum())
            assert pixels.peaks(maps)[frame, kind] == own.max(initial=0)
            assert seen.get((frame, kind), []) == own.tolist()


def test_a_mask_grows_by_pixels_in_rows_and_columns():
    there = np.zeros((1, 1, 7, 7), bool)
    there[0, 0, 0, 3] = True
    wanted = np.zeros((7, 7), bool)
    wanted[:3, 1:6] = True
    assert np.array_equal(grown(there, 2)[0, 0], wanted)
    assert there.sum() == 1


def test_marks_say_where_kinds_are_and_where_none_is():
    _, coverage, _ = scene()
    marks = Marks.of(coverage)
    assert Marks.of(marks) is marks
    there = marked(coverage)
    assert np.array_equal(marks.present, there.any(axis=(2, 3)))
    assert np.array_equal(marks.elsewhere, ~grown(there, 1).any(axis=1))


def test_quantiles_are_numpys():
    maps, _, _ = scene()
    for share in (0.0, 0.31, 0.995, 1.0):
        wanted = np.quantile(np.abs(maps).astype(np.float64), share, axis=(1, 2))
        np.testing.assert_allclose(Magnitudes.of(maps).quantile(share), wanted, rtol=1e-12)


def test_what_is_no_number_has_no_strength_and_the_maps_are_left_as_they_are():
    maps = np.array([[[1, -2], [np.nan, np.inf]]], np.float32)
    assert magnitude(maps).tolist() == [[[1, 2], [0, 0]]]
    assert np.isnan(maps[0, 1, 0])


def test_a_chunk_s_measures_are_those_of_its_arrays():
    maps, coverage, centres = scene()
    guided, perturbed = np.random.default_rng(7).normal(size=(2, N, HEIGHT, WIDTH)).astype(np.float32)
    follows = np.array([True, False, True, True, True])
    kind_of = np.array([0, 0, 1, 1])
    chunk = Chunk(
        maps[:1], maps[1:], follows, 2.0, Marks(coverage), centres, kind_of, Reference(guided), Reference(perturbed)
    )
    found = measured(chunk)
    assert list(found) == list(MEASURES)
    now, before = maps[1:], maps[:-1]
    own, own_before = (stability.shown(one, stability.scales(one)) for one in (now, before))
    whole, whole_before = stability.shown(now, 2.0), stability.shown(before, 2.0)
    slots = stability.followed(now, before, centres[1:], centres[:-1])
    apart = np.where(follows, 1.0, np.nan)
    wanted = {
        "gain": recognition.gain(now, coverage),
        "pointing": recognition.pointing(now, coverage),
        "precision": recognition.average_precision(now, coverage),
        "seen": stability.visible(whole, coverage),
        "seen_by_frame": stability.visible(own, coverage),
        "flicker": stability.flicker(whole, whole_before) * apart,
        "flicker_by_frame": stability.flicker(own, own_before) * apart,
        "flash": stability.flash(whole, whole_before) * apart,
        "flash_by_frame": stability.flash(own, own_before) * apart,
        "entropy": sharpness.entropy(now),
        "half_area": sharpness.half_area(now),
        "blob_width": sharpness.blob_width(now),
        "inverted": inversion.inverted(now, perturbed),
        "contrast": inversion.contrast(now, perturbed),
        "inverted_guided": inversion.inverted(now, guided),
        "contrast_guided": inversion.contrast(now, guided),
    }
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    for kind in range(2):
        known = np.isfinite(slots[:, kind_of == kind])
        for frame in range(N):
            mine = slots[frame, kind_of == kind][known[frame]]
            mean = mine.mean() if len(mine) and follows[frame] else np.nan
            np.testing.assert_allclose(found["followed"][frame, kind], mean, rtol=1e-5)
    assert np.isnan(found["followed"][:, 2]).all()
