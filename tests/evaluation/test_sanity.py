"""Whether maps depend on what was learnt."""

import numpy as np
import pytest
from little import AGENTS, episode_for, q_agent
from scipy.stats import spearmanr

from policyscope.evaluation.baselines import Pictures, edges
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.evaluation.randomise import cascading
from policyscope.evaluation.sanity import sanity

ROWS = np.arange(4, 36, 3)


@pytest.mark.parametrize("kind", AGENTS)
def test_each_stage_is_compared_with_the_trained_maps(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    found = sanity(agent, episode, ROWS, ("gradient", "grad_cam"), seeds=2, alone=True)
    assert found.cascading["gradient"].shape == (2, len(found.stages), len(ROWS), 4)
    assert found.independent["gradient"].shape == (2, len(found.stages), len(ROWS), 4)
    own = MethodMaps(agent, episode, ("gradient",))(ROWS)["gradient"]
    for stage, who in enumerate(cascading(agent, found.stages, 1)):
        other = MethodMaps(who, episode, ("gradient",))(ROWS)["gradient"]
        wanted = [spearmanr(abs(a).ravel(), abs(b).ravel()).statistic for a, b in zip(own, other, strict=True)]
        assert np.allclose(found.cascading["gradient"][1, stage, :, 1], wanted, atol=1e-4)
    plain = edges(Pictures(agent, episode), ROWS)
    wanted = [spearmanr(abs(a).ravel(), b.ravel()).statistic for a, b in zip(own, plain, strict=True)]
    assert np.allclose(found.edges["gradient"][:, 1], wanted, atol=1e-4)


def test_a_map_of_the_picture_alone_does_not_depend_on_the_weights():
    agent = q_agent()
    found = sanity(agent, episode_for(agent), ROWS, ("edges", "gradient"), seeds=3)
    assert found.verdict("edges") == "does not"
    assert found.of_edges("edges").mean == pytest.approx(1, abs=1e-4)
    assert found.after("edges", found.head).mean == pytest.approx(1, abs=1e-4)
    assert found.verdict("gradient") == "depends"
    assert found.learnt("edges").mean == pytest.approx(0, abs=1e-4)


def test_the_deciding_layers_are_those_above_the_convolutions():
    agent = q_agent()
    found = sanity(agent, episode_for(agent), ROWS, ("gradient",), seeds=1)
    assert found.head == 1
    assert found.stages[found.head].layers == ("hidden.0",)
    assert not found.independent
