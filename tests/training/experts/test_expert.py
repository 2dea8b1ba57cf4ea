"""What every expert keeps to."""

import numpy as np
import pytest

from policyscope.training.distillation import Distillation
from policyscope.training.experts import EXPERTS, SILENT, surely
from policyscope.training.games import Games


@pytest.mark.parametrize("name", EXPERTS)
def test_an_expert_says_as_much_of_as_many_frames_as_it_asks_for(name):
    expert = EXPERTS[name]
    screens = np.random.default_rng(0).integers(0, 256, (5, 10, 84, 84), dtype=np.uint8)
    chances = expert.says(screens)
    assert chances.tolist() == expert.says(screens[:, -expert.frames :]).tolist()
    games = Games(Distillation(game=expert.game, games=1), seed=0)
    assert chances.shape == (5, games.actions)
    assert chances.dtype == np.float32
    games.close()
    said = chances.sum(axis=1)
    assert np.all((said == 0) | np.isclose(said, 1))


def test_a_rule_is_followed_without_a_doubt_and_says_nothing_where_it_is_silent():
    says = surely(lambda observations: np.array([2, SILENT, 0]), 3)
    assert says(np.zeros((3, 1, 84, 84), np.uint8)).tolist() == [[0, 0, 1], [0, 0, 0], [1, 0, 0]]
