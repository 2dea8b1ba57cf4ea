"""Likeness of maps, against scipy's and scikit-image's."""

import numpy as np
import pytest
from scipy.stats import pearsonr, rankdata, spearmanr

from policyscope.evaluation.similarity import (
    SIMILARITIES,
    average_ranks,
    bright_of,
    correlation,
    hog,
    similarities,
    spearman,
    ssim,
)


def maps(seed=0, count=5, size=(84, 84), ties=False):
    random = np.random.default_rng(seed)
    found = random.standard_normal((count, *size)).astype(np.float32)
    found = np.cumsum(found, axis=2) / 5
    return np.where(found > 0, np.round(found, 1), 0).astype(np.float32) if ties else found


@pytest.mark.parametrize("ties", [False, True])
def test_spearman_is_scipys(ties):
    one, other = maps(0, ties=ties), maps(1, ties=ties) + maps(0)
    wanted = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, other, strict=True)]
    sizes = [spearmanr(abs(a).ravel(), abs(b).ravel()).statistic for a, b in zip(one, other, strict=True)]
    assert np.allclose(spearman(one, other), wanted, atol=1e-5)
    found = similarities(one, other)
    assert np.allclose(found[:, SIMILARITIES.index("spearman")], wanted, atol=1e-5)
    assert np.allclose(found[:, SIMILARITIES.index("spearman_abs")], sizes, atol=1e-5)


def test_ranks_are_scipys():
    for one, ranks in zip(maps(ties=True), average_ranks(maps(ties=True)), strict=True):
        assert np.array_equal(ranks, rankdata(one.ravel()).astype(np.float32))


def test_ssim_is_scikit_images():
    metrics = pytest.importorskip("skimage.metrics")
    one, other = maps(0), maps(0) + 0.5 * maps(1)
    wanted = [
        metrics.structural_similarity(
            a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0
        )
        for a, b in zip(bright_of(one).astype(float), bright_of(other).astype(float), strict=True)
    ]
    assert np.allclose(ssim(one, other), wanted, atol=1e-5)


@pytest.mark.parametrize(("cell", "block"), [(8, 3), (16, 2)])
def test_hog_is_scikit_images(cell, block):
    feature = pytest.importorskip("skimage.feature")
    pictures = bright_of(maps(2))
    wanted = [
        feature.hog(p.astype(float), 9, (cell, cell), (block, block), block_norm="L2-Hys", feature_vector=True)
        for p in pictures
    ]
    assert np.allclose(hog(pictures, cell, block), wanted, atol=1e-4)


def test_correlation_is_scipys():
    one, other = maps(0).reshape(5, -1)[:, :90], maps(1).reshape(5, -1)[:, :90]
    assert np.allclose(correlation(one, other), [pearsonr(a, b).statistic for a, b in zip(one, other, strict=True)])


def test_a_map_is_like_itself_whatever_its_scale_and_a_flat_one_like_nothing():
    one = maps(3)
    assert np.allclose(similarities(one, 1e-6 * one), 1, atol=1e-4)
    assert np.allclose(similarities(one, -one)[:, 1:], 1, atol=1e-4)
    assert np.allclose(spearman(one, -one), -1, atol=1e-5)
    assert np.isnan(similarities(one, np.zeros_like(one))).all()


def test_brightness_ends_at_the_quantile():
    one = maps(4)
    found = bright_of(one)
    assert found.max() == 1
    assert np.isclose((found == 1).mean(), 0.005, atol=0.001)
