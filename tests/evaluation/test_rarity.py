"""Rare states, and rank correlations with intervals."""

import numpy as np
import pytest
from scipy import stats

from policyscope.evaluation.rarity import ranked_together, rarity


def test_a_state_is_rare_that_is_far_from_all_others():
    random = np.random.default_rng(0)
    states = random.normal(size=(200, 5))
    states[17] += 30
    found = rarity(states, times=np.arange(200) * 100)
    assert found.argmax() == 17


def test_rarity_is_that_of_a_loop():
    random = np.random.default_rng(1)
    states = random.normal(size=(40, 3))
    scaled = (states - states.mean(axis=0)) / states.std(axis=0)
    found = rarity(states, neighbours=3)
    for i in range(40):
        others = sorted(np.linalg.norm(scaled[i] - scaled[j]) for j in range(40) if abs(i - j) > 3)
        assert found[i] == pytest.approx(np.mean(others[:3]))


def test_the_correlation_is_scipys_and_its_interval_holds_it():
    random = np.random.default_rng(2)
    one = random.integers(0, 20, 300).astype(float)
    other = one + random.normal(size=300) * 10
    found = ranked_together(one, other)
    assert found.mean == pytest.approx(stats.spearmanr(one, other).statistic)
    assert found.low < found.mean < found.high
    assert ranked_together(one, random.normal(size=300)).against(0) == "same"
    assert ranked_together(np.ones(50), np.arange(50.0)).against(0) == "unknown"
