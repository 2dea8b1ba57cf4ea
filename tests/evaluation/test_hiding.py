"""What an agent says of states of which a part is hidden."""

import numpy as np
import pytest
import torch
from little import AGENTS, SIDE, episode_for, policy_agent, q_agent, recurrent_agent
from scipy.ndimage import gaussian_filter
from scipy.special import softmax

import policyscope as ps
from policyscope.errors import PolicyscopeError
from policyscope.evaluation.hiding import MEASURES, Answers, Hiding, changes, ranks, strongest, top
from policyscope.evaluation.method_maps import MethodMaps, spread_rows

ROWS = np.array([3, 9, 20])


def masks(count, seed=0):
    return np.random.default_rng(seed).random((count, SIDE, SIDE)) < 0.3


@pytest.mark.parametrize("kind", AGENTS)
def test_hidden_pixels_are_blurred_in_every_frame_and_the_memory_is_the_recorded_one(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    hidden = masks(3)
    found = Hiding(agent, episode, sigma=2.0, temperature=0.7).states(ROWS).answered(np.arange(3), hidden)
    for number, row in enumerate(ROWS):
        seen = np.asarray(episode.observations[int(row)]).astype(np.float32) / 255
        flat = seen.reshape(-1, SIDE, SIDE)
        blurred = np.stack([gaussian_filter(frame, 2.0, mode="reflect", truncate=4) for frame in flat])
        mixed = np.where(hidden[number], blurred, flat).reshape(seen.shape)
        memory = None if episode.memories is None else torch.as_tensor(episode.memories[int(row)])[None]
        with torch.no_grad():
            streams, _ = agent(torch.as_tensor(mixed)[None], memory)
        acting = streams["q" if "q" in streams else "policy"][0].numpy()
        assert np.allclose(found.acting[number], acting, atol=1e-5)
        assert np.allclose(found.policy[number], softmax(acting / (0.7 if "q" in streams else 1)), atol=1e-5)
        value = streams["value"].item() if "value" in streams else acting.max()
        assert np.isclose(found.value[number], value, atol=1e-5)


def test_the_background_is_the_median_and_takes_moving_things_away():
    agent = q_agent()
    episode = episode_for(agent, 60)
    hiding = Hiding(agent, episode, baseline="background")
    median = np.median(np.asarray(episode.observations[:]), axis=0) / 255
    assert np.allclose(hiding.background.numpy(), median, atol=1e-6)
    everything = np.ones((3, SIDE, SIDE), bool)
    answers = hiding.states(ROWS).answered(np.arange(3), everything)
    assert np.allclose(answers.acting, answers.acting[0])


def test_the_newest_frame_alone_may_be_hidden():
    agent = q_agent()
    episode = episode_for(agent)
    everything = np.ones((3, SIDE, SIDE), bool)
    found = Hiding(agent, episode, baseline="zero", lags="newest").states(ROWS).answered(np.arange(3), everything)
    seen = torch.as_tensor(np.asarray(episode.observations[ROWS])).float() / 255
    seen[:, -1] = 0
    with torch.no_grad():
        assert np.allclose(found.acting, agent(seen)[0]["q"].numpy(), atol=1e-5)


def test_a_window_hides_the_past_of_an_agent_with_a_memory_as_well():
    agent = recurrent_agent()
    episode = episode_for(agent)
    everything = np.ones((3, SIDE, SIDE), bool)
    found = Hiding(agent, episode, baseline="zero", window=2).states(ROWS).answered(np.arange(3), everything)
    memory = torch.as_tensor(np.asarray(episode.memories[ROWS - 1]))
    blank = torch.zeros(3, 1, SIDE, SIDE)
    with torch.no_grad():
        for _ in range(2):
            streams, memory = agent(blank, memory)
    assert np.allclose(found.acting, streams["policy"].numpy(), atol=1e-5)


def test_nothing_hidden_changes_nothing_and_the_network_is_left_as_it_was():
    agent = policy_agent()
    agent.network.train()
    states = Hiding(agent, episode_for(agent)).states(ROWS)
    answers = states.answered(np.arange(3), np.zeros((3, SIDE, SIDE), bool))
    assert np.allclose(answers.policy, states.original.policy, atol=1e-6)
    assert agent.network.training
    assert all(p.grad is None for p in agent.network.parameters())


def test_ranks_follow_the_magnitude_and_ties_are_in_no_order_of_memory():
    maps = np.random.default_rng(0).standard_normal((2, 5, 6)).astype(np.float32)
    for one, ranked in zip(maps, ranks(maps), strict=True):
        assert (np.abs(one).ravel()[np.argsort(ranked.ravel())] == np.sort(np.abs(one).ravel())[::-1]).all()
    tied = ranks(np.zeros((40, 6, 6), np.float32))
    assert abs(tied[:, 0].mean() - tied[:, -1].mean()) < 5
    assert (np.sort(tied.reshape(40, -1), axis=1) == np.arange(36)).all()
    assert top(tied, 0.25).sum(axis=(1, 2)).tolist() == [9] * 40
    assert top(tied, 0.001).sum() == 40
    assert not top(tied, 0.0).any()


def test_changes_are_the_formulas():
    random = np.random.default_rng(1)
    before, after = (
        Answers(softmax(logits, axis=1), logits, logits[:, 0], True) for logits in random.standard_normal((2, 7, 4))
    )
    actions = random.integers(0, 4, 7)
    found = dict(zip(MEASURES, changes(before, after, actions).T, strict=True))
    for i, action in enumerate(actions):
        p, r = before.policy[i], after.policy[i]
        assert np.isclose(found["kl"][i], sum(a * np.log(a / b) for a, b in zip(p, r, strict=True)))
        assert np.isclose(found["tv"][i], max(abs(p[list(s)].sum() - r[list(s)].sum()) for s in _subsets(4)))
        assert np.isclose(found["probability"][i], p[action] - r[action])
        assert np.isclose(found["q"][i], before.acting[i, action] - after.acting[i, action])
        assert found["action"][i] == (p.argmax() != r.argmax())
        assert np.isclose(found["value"][i], abs(before.value[i] - after.value[i]))


def _subsets(count):
    return [[i for i in range(count) if number >> i & 1] for number in range(1, 2**count)]


@pytest.mark.parametrize("kind", AGENTS)
def test_maps_of_rows_are_those_of_the_explainer(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    names = ("gradient", "guided_backprop", "grad_cam", "g2_grad_cam", "full_grad_pp")
    rows = np.array([6, 17, 8])
    found = MethodMaps(agent, episode, names)(rows)
    wanted = ps.explain(agent, episode, methods=names)
    for name in names:
        assert np.allclose(found[name], wanted[name][:][rows], rtol=1e-4, atol=1e-6), name


def test_a_layer_may_be_named_with_the_method():
    agent = q_agent()
    found = MethodMaps(agent, episode_for(agent), ("grad_cam@1", "grad_cam@2", "grad_cam@body.2"))(ROWS)
    assert np.array_equal(found["grad_cam@2"], found["grad_cam@body.2"])
    assert not np.allclose(found["grad_cam@1"], found["grad_cam@2"])


def test_rows_are_spread_away_from_starts():
    episode = episode_for(q_agent())
    assert spread_rows(episode, 5).tolist() == [4, 13, 22, 30, 39]
    assert len(spread_rows(episode, 1000)) == 36


def test_continuous_actions_are_refused():
    import dataclasses

    from policyscope.agents.agent import ContinuousActions

    agent = dataclasses.replace(policy_agent(), continuous=ContinuousActions((0.0,), (1.0,)))
    with pytest.raises(PolicyscopeError, match="continuous"):
        Hiding(agent, episode_for(policy_agent()))


def test_the_strongest_are_the_top_ranks_and_equal_ones_come_by_chance():
    maps = np.random.default_rng(0).random((3, 12, 10)).astype(np.float32)
    for share in (0, 0.001, 0.1, 0.5, 1):
        found = strongest(maps, share, np.random.default_rng(1))
        assert np.array_equal(found, top(ranks(maps), share))
        assert np.array_equal(
            strongest(-maps, share, np.random.default_rng(1)).sum(axis=(1, 2)), found.sum(axis=(1, 2))
        )
    flat = np.zeros((2, 10, 10), np.float32)
    flat[:, 0, 0] = 1
    drawn = [strongest(flat, 0.2, np.random.default_rng(seed)) for seed in range(200)]
    assert all((one.sum(axis=(1, 2)) == 20).all() and one[:, 0, 0].all() for one in drawn)
    assert np.mean([one[0, 5:].mean() for one in drawn]) == pytest.approx(19 / 99, abs=0.02)
