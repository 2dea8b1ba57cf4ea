"""Intervals are as wide as the frames' dependence makes them, and nothing is better inside its noise."""

import numpy as np
import pytest
from scipy import stats

from policyscope.evaluation.statistics import best_of, block_length, paired, summary, unpaired


def autoregressive(count: int, memory: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = np.zeros(count)
    for i in range(1, count):
        values[i] = memory * values[i - 1] + random.normal()
    return values


def test_independent_frames_have_the_interval_that_scipy_gives():
    values = np.random.default_rng(0).exponential(size=300)
    expected = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=1)
    found = summary(values, block=1, draws=4000)
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(expected.confidence_interval.low, rel=0.03)
    assert found.high == pytest.approx(expected.confidence_interval.high, rel=0.03)


def test_an_interval_of_dependent_frames_covers_the_true_mean_about_as_often_as_it_says():
    covered = [(one := summary(autoregressive(800, 0.8, seed), draws=400)).low <= 0 <= one.high for seed in range(120)]
    assert 0.86 <= np.mean(covered) <= 1.0
    alone = [
        (one := summary(autoregressive(800, 0.8, seed), block=1, draws=400)).low <= 0 <= one.high for seed in range(120)
    ]
    assert np.mean(alone) < 0.65  # single frames, resampled, are far too sure


def test_blocks_are_as_long_as_the_memory_of_the_frames():
    assert block_length(np.random.default_rng(0).normal(size=2000)) <= 2
    assert 10 <= block_length(autoregressive(4000, 0.8, 0)) <= 40
    assert block_length(np.ones(50)) == 1


def test_strata_weigh_alike_however_long_they_are():
    found = summary([np.zeros(1000), np.ones(10)])
    assert found.mean == 0.5
    assert found.n == 1010


def test_frames_where_a_measure_does_not_apply_do_not_count():
    values = np.full(100, np.nan)
    values[::2] = 3.0
    assert (summary(values).mean, summary(values).n) == (3.0, 50)
    nothing = summary(np.full(10, np.nan))
    assert nothing.n == 0
    assert np.isnan(nothing.mean)
    assert str(nothing) == "-"


def test_a_difference_is_found_where_frames_are_paired_though_the_intervals_overlap():
    random = np.random.default_rng(0)
    shared = random.normal(size=400) * 5
    one, other = shared + 0.3 + 0.1 * random.normal(size=400), shared
    assert summary(one).low < summary(other).high
    assert paired(one, other).against() == "higher"
    assert paired(other, one).against() == "lower"


def test_a_difference_of_other_frames_has_the_interval_of_two_samples():
    one, other = np.random.default_rng(0).normal(1, 1, 250), np.random.default_rng(1).normal(0, 2, 400)
    found = unpaired(one, other)
    low, high = stats.ttest_ind(one, other, equal_var=False).confidence_interval()
    assert found.mean == pytest.approx(one.mean() - other.mean())
    assert (found.low, found.high) == (pytest.approx(low, abs=0.05), pytest.approx(high, abs=0.05))
    assert found.n == 250
    assert unpaired([one, one + 1], [other]).mean == pytest.approx(found.mean + 0.5)
    assert unpaired(one, np.full(9, np.nan)).n == 0


def test_nothing_is_called_better_inside_its_noise():
    random = np.random.default_rng(1)
    values = {"a": random.normal(1, 1, 500), "b": random.normal(1.0, 1, 500), "c": random.normal(0, 1, 500)}
    assert set(best_of(values)) == {"a", "b"}
    assert best_of(values, largest=False) == ["c"]
    assert best_of({"a": np.full(9, np.nan)}) == []


def test_two_frames_are_too_few_to_say_anything():
    assert summary(np.array([1.0, 2.0])).against(0.0) == "unknown"
