from __future__ import annotations

import numpy as np
import pytest

from policyscope.errors import PolicyscopeError
from policyscope.rendering.normalise import (
    EpisodeStatistics,
    episode_statistics,
    frame_statistics,
    normalise,
    smoothed,
)
from policyscope.saliency.maps import Panel

MAPS = np.random.default_rng(3).normal(size=(5, 16, 12)).astype(np.float32) * np.array([1, 2, 3, 1e-6, 1e6])[
    :, None, None
].astype(np.float32)


def test_a_frame_is_divided_by_its_own_995th_percentile_of_absolute_values():
    shown = normalise(MAPS, signed=True)
    q = np.quantile(np.abs(MAPS.astype(np.float64)), 0.995, axis=(1, 2))
    np.testing.assert_allclose(shown.scale, q, rtol=1e-6)
    np.testing.assert_allclose(shown.values, np.clip(MAPS / q[:, None, None], -1, 1), atol=1e-6)
    np.testing.assert_allclose(shown.clipped, (np.abs(MAPS) > q[:, None, None]).mean(axis=(1, 2)))


def test_the_maximum_can_be_the_scale_and_then_nothing_is_clipped():
    shown = normalise(MAPS, signed=True, reference="max")
    np.testing.assert_allclose(np.abs(shown.values).max(axis=(1, 2)), 1, rtol=1e-6)
    assert not shown.clipped.any()


def test_a_map_of_fewer_pixels_than_the_percentile_leaves_is_scaled_by_its_maximum():
    maps = np.zeros((1, 84, 84), np.float32)
    maps[0, 40, 40] = -3
    shown = normalise(maps, signed=True)
    assert shown.values[0, 40, 40] == -1
    assert np.count_nonzero(shown.values) == 1


def test_an_episode_shares_one_scale_so_that_weak_states_stay_weak():
    maps = MAPS[:3]
    statistics = EpisodeStatistics.of(frame_statistics(maps))
    shown = normalise(maps, signed=True, scope="episode", statistics=statistics)
    assert len(set(shown.scale)) == 1
    np.testing.assert_allclose(shown.values[0], np.clip(maps[0] / shown.scale[0], -1, 1), atol=1e-6)


def test_the_papers_formula_for_signed_maps_of_each_state():
    maps = MAPS[:3]
    mean, std = maps.mean(axis=(1, 2), keepdims=True), maps.std(axis=(1, 2), keepdims=True)
    expected = (maps - mean) / (std + 1e-5) * 0.1
    shown = normalise(maps, signed=True, scope="paper")
    np.testing.assert_allclose(shown.values, np.clip(expected, -1, 1), atol=1e-5)
    assert not shown.clipped.any()


def test_the_papers_formula_over_the_whole_episode_uses_the_pooled_mean_and_deviation():
    maps = MAPS[:3]
    statistics = EpisodeStatistics.of(frame_statistics(maps))
    assert statistics.mean == pytest.approx(float(maps.mean()), abs=1e-6)
    assert statistics.std == pytest.approx(float(maps.std()), rel=1e-5)
    shown = normalise(maps, signed=True, scope="paper_episode", statistics=statistics)
    expected = np.clip((maps - maps.mean()) / (maps.std() + 1e-5) * 0.1, -1, 1)
    np.testing.assert_allclose(shown.values, expected, atol=1e-5)


def test_the_papers_gain_comes_before_the_clipping_and_its_share_is_told():
    maps = MAPS[:1]
    raw = 250 * 0.1 * (maps - maps.mean()) / (maps.std() + 1e-5)
    shown = normalise(maps, signed=True, scope="paper", gain=250)
    np.testing.assert_allclose(shown.values, np.clip(raw, -1, 1), atol=2e-4)
    assert shown.clipped[0] == pytest.approx((np.abs(raw) > 1).mean(), abs=0.01)
    assert shown.clipped[0] > 0.9


def test_the_papers_cams_are_divided_by_their_maximum_and_negatives_become_zero():
    shown = normalise(MAPS, signed=False, scope="paper")
    expected = np.maximum(MAPS, 0) / MAPS.max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(shown.values, expected, atol=1e-6)


def test_a_cam_without_any_positive_value_shows_nothing_rather_than_flipping_its_sign():
    shown = normalise(-np.abs(MAPS), signed=False, scope="paper")
    assert not shown.values.any()


@pytest.mark.parametrize("scope", ["frame", "episode", "paper", "paper_episode"])
@pytest.mark.parametrize("signed", [True, False])
def test_a_zero_map_and_a_broken_one_stay_blank_and_are_flagged_among_good_ones(scope, signed):
    maps = np.abs(MAPS[:4]).copy() + 1
    maps[1] = 0
    maps[2, 3, 3] = np.nan
    maps[3, 0, 0] = np.inf
    statistics = EpisodeStatistics.of(frame_statistics(maps))
    shown = normalise(maps, signed, scope, statistics)
    assert shown.zero.tolist() == [False, True, False, False]
    assert shown.broken.tolist() == [False, False, True, True]
    assert not shown.values[1:].any()
    assert shown.values[0].any()
    assert np.isfinite(shown.values).all()


def test_extreme_values_neither_overflow_nor_vanish():
    maps = np.stack([np.full((4, 4), 3e38), np.full((4, 4), 1e-40)]).astype(np.float32)
    maps[:, 0] = 0
    shown = normalise(maps, signed=True)
    np.testing.assert_allclose(shown.values[:, 1:], 1, rtol=1e-3)


def test_no_frames_are_no_frames():
    assert normalise(np.zeros((0, 4, 4), np.float32), signed=True).values.shape == (0, 4, 4)


def test_an_unknown_normalisation_is_told_in_one_line():
    with pytest.raises(PolicyscopeError, match="no normalisation 'loud'; there are frame, episode, paper"):
        normalise(MAPS, True, "loud")  # type: ignore[arg-type]


def test_smoothing_keeps_the_sum_and_leaves_broken_maps_alone():
    maps = np.zeros((2, 41, 41), np.float32)
    maps[0, 20, 20] = 5
    maps[1, 0, 0] = np.nan
    soft = smoothed(maps, 2.0)
    assert soft[0].sum() == pytest.approx(5, rel=1e-4)
    assert soft[0, 20, 20] == pytest.approx(5 / (2 * np.pi * 4), rel=0.02)
    assert np.isnan(soft[1]).sum() == 1
    assert smoothed(maps, 0) is maps


def test_statistics_of_smoothed_maps_are_those_of_what_is_shown(make_maps):
    panel = Panel("gradient", "q")
    maps = make_maps(panel)
    plain, soft = episode_statistics(maps, panel), episode_statistics(maps, panel, smooth=2.0)
    assert soft.max == pytest.approx(float(np.abs(smoothed(maps[panel], 2.0)).max()))
    assert soft.max < plain.max


@pytest.mark.parametrize("signed", [True, False])
def test_captums_normalisation_is_captums(signed: bool) -> None:
    visualization = pytest.importorskip("captum.attr._utils.visualization", reason="captum is not installed")
    maps = np.random.default_rng(4).normal(size=(3, 9, 11)) ** 3
    maps = (maps if signed else np.abs(maps)).astype(np.float32)
    wanted = [visualization._normalize_attr(m.astype(np.float64), "all", outlier_perc=2) for m in maps]
    assert np.allclose(normalise(maps, signed, "captum").values, wanted, atol=1e-6)


def test_pytorch_grad_cams_normalisation_is_its_formula() -> None:
    maps = np.random.default_rng(5).random((3, 9, 11)).astype(np.float32) + 2
    shifted = maps - maps.min(axis=(1, 2), keepdims=True)
    wanted = shifted / (1e-7 + shifted.max(axis=(1, 2), keepdims=True))
    assert np.allclose(normalise(maps, False, "pytorch_grad_cam").values, wanted, atol=1e-6)
