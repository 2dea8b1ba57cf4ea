"""Deletion and insertion curves."""

import numpy as np
import pytest
import torch
from little import AGENTS, SIDE, episode_for, q_agent

from policyscope.evaluation.deletion import RANDOM, deletion
from policyscope.evaluation.hiding import MEASURES, Hiding, changes, ranks
from policyscope.evaluation.method_maps import MethodMaps

ROWS, SHARES = np.array([5, 9, 20, 31]), (0.1, 0.5)


@pytest.mark.parametrize("kind", AGENTS)
def test_curves_are_what_one_state_after_the_other_gives(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    maps = MethodMaps(agent, episode, ("gradient", "grad_cam"))
    curves = deletion(agent, episode, ROWS, maps, shares=SHARES, sigma=2.0)
    hiding = Hiding(agent, episode, sigma=2.0)
    for name, own in maps(ROWS).items():
        ordered = ranks(own, seed=0)  # one chunk: the same order among ties
        for number, row in enumerate(ROWS):
            states = hiding.states(np.array([row]))
            action = episode.actions[[row]]
            for step, share in enumerate((0.0, *SHARES, 1.0)):
                hidden = ordered[number] < round(share * SIDE * SIDE)
                for curve, mask in ((curves.deletion, hidden), (curves.insertion, ~hidden)):
                    after = states.answered(np.zeros(1, int), mask[None])
                    wanted = changes(states.original, after, action)[0]
                    assert np.allclose(curve[name][number, :, step], wanted, atol=1e-4, equal_nan=True)


def test_hiding_the_least_salient_first_has_the_area_of_the_insertion():
    agent = q_agent()
    episode = episode_for(agent)
    maps = MethodMaps(agent, episode, ("gradient",))
    fine = tuple(np.arange(1, 10) / 10)
    forward = deletion(agent, episode, ROWS, maps, shares=fine, sigma=2.0)
    backward = deletion(
        agent,
        episode,
        ROWS,
        lambda rows: {"least": 1 / (np.abs(maps(rows)["gradient"]) + 1e-12)},
        shares=fine,
        sigma=2.0,
    )
    assert np.allclose(forward.area("insertion", "gradient", "tv"), backward.area("deletion", "least", "tv"), atol=2e-2)
    assert np.allclose(
        forward.contrast("gradient", "tv"),
        forward.area("deletion", "gradient", "tv") - forward.area("insertion", "gradient", "tv"),
    )


def test_a_map_of_what_matters_beats_chance_and_its_reverse():
    agent = q_agent()
    episode = episode_for(agent)
    marked = np.zeros((SIDE, SIDE), np.float32)
    marked[:, :10] = 1

    def maps(rows):
        return {"left": np.repeat(marked[None], len(rows), axis=0)}

    class SeesTheLeft(type(agent.network)):
        def forward(self, x):
            return super().forward(x * (torch.arange(SIDE) < 10))

    agent.network.__class__ = SeesTheLeft
    rows = np.arange(10, 36)
    curves = deletion(agent, episode, rows, maps, shares=(0.2, 0.42, 0.7), sigma=3.0)
    assert curves.gain("left", "value").mean() > 0
    assert curves.contrast("left", "value").mean() > 0
    all_of_it = curves.at("deletion", "left", "value", 1.0)
    assert np.allclose(curves.at("deletion", "left", "value", 0.42), all_of_it, atol=0.05)


def test_a_flat_map_has_no_order_and_asks_for_no_pass():
    agent = q_agent()
    episode = episode_for(agent)

    def maps(rows):
        return {"flat": np.ones((len(rows), SIDE, SIDE), np.float32)}

    curves = deletion(agent, episode, ROWS, maps, shares=SHARES)
    assert np.isnan(curves.deletion["flat"]).all()
    assert np.isfinite(curves.area("deletion", RANDOM, "tv")).all()
    assert curves.passes == len(ROWS) * (2 + 2 * len(SHARES))


def test_equal_maps_are_asked_for_once():
    agent = q_agent()
    episode = episode_for(agent)
    one = MethodMaps(agent, episode, ("gradient",))

    def twice(rows):
        maps = one(rows)["gradient"]
        return {"a": maps, "b": 3 * maps}

    alone, both = (deletion(agent, episode, ROWS, maps, shares=SHARES) for maps in (one, twice))
    assert alone.passes == both.passes
    assert both.asked > both.passes
    assert np.array_equal(both.deletion["a"], both.deletion["b"])


def test_a_policy_has_no_q_values():
    agent = AGENTS["policy"]()
    episode = episode_for(agent)
    curves = deletion(agent, episode, ROWS, MethodMaps(agent, episode, ("gradient",)), shares=SHARES)
    assert np.isnan(curves.area("deletion", "gradient", "q")).all()
    assert np.isfinite(curves.area("deletion", "gradient", "kl")).all()
    assert curves.deletion["gradient"].shape == (4, len(MEASURES), 4)
