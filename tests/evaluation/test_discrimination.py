"""Whether maps tell actions apart."""

import numpy as np
import pytest
import torch
from little import ACTIONS, AGENTS, SIDE, episode_for, policy_agent, q_agent
from scipy.stats import spearmanr
from torch import nn

import policyscope as ps
from policyscope.errors import TargetError
from policyscope.evaluation.action_guided import RULES, action_guided_backprop, contrasts, softmax_contrasts
from policyscope.evaluation.discrimination import CONTRAST, ActionMaps, discrimination, separation
from policyscope.evaluation.hiding import Hiding, ranks, top
from policyscope.evaluation.method_maps import MethodMaps

ROWS = np.arange(4, 36, 4)


def test_separation_is_the_mean_over_pairs():
    maps = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    found = separation(maps)
    for state in range(2):
        one = [abs(maps[state, a]).ravel() for a in range(3)]
        pairs = [(0, 1), (0, 2), (1, 2)]
        assert np.isclose(
            found[state, 0], np.mean([1 - spearmanr(one[a], one[b]).statistic for a, b in pairs]), atol=1e-5
        )
        shares = [size / size.sum() for size in one]
        assert np.isclose(
            found[state, 1], np.mean([0.5 * abs(shares[a] - shares[b]).sum() for a, b in pairs]), atol=1e-5
        )


def test_the_effect_is_what_hiding_each_actions_map_does_to_each_output():
    agent = q_agent()
    episode = episode_for(agent)
    maps = ActionMaps(agent, episode, ("gradient",))
    found = discrimination(agent, episode, ROWS[:3], maps, share=0.1, baseline="blur")
    hiding = Hiding(agent, episode)
    states = hiding.states(ROWS[:3])
    before = states.original.acting - states.original.acting.mean(axis=1, keepdims=True)
    own = maps(ROWS[:3])["gradient"]
    masks = top(ranks(own.reshape(-1, SIDE, SIDE)), 0.1).reshape(own.shape)
    for state in range(3):
        for action in range(ACTIONS):
            after = states.answered(np.array([state]), masks[state, action][None]).acting[0]
            drop = (before[state] - (after - after.mean())) / before.std()
            assert np.allclose(found.drop["gradient"][state, action], drop, atol=1e-4)
    effect = found.effect["gradient"]
    own_mean = np.mean([effect[:, a, a] for a in range(3)], axis=0)
    others = np.mean([effect[:, a, b] for a in range(3) for b in range(3) if a != b], axis=0)
    assert np.allclose(found.specificity("gradient"), (own_mean - others) / (own_mean + others))


def test_maps_that_are_the_same_for_all_actions_have_no_specificity():
    agent = q_agent()
    episode = episode_for(agent)

    def same(rows, noise=0.0):
        one = np.random.default_rng(rows).random((len(rows), 1, SIDE, SIDE), np.float32)
        return {"same": np.repeat(one, ACTIONS, axis=1)}

    found = discrimination(agent, episode, ROWS, same, baseline="blur")
    assert np.allclose(found.specificity("same"), 0, atol=1e-9)
    assert np.allclose(found.support("same"), 0, atol=1e-9)
    assert np.allclose(found.separation["same"], 0, atol=1e-5)
    assert (found.elsewhere["same"][:, 0] > 0.5).all()


class Apart(nn.Module):
    """Each action's output depends on its own third of the picture."""

    def forward(self, x):
        thirds = x[:, -1].unflatten(2, (ACTIONS, -1)).mean(dim=(1, 3))
        return {"q": thirds * 3}


def test_maps_of_what_each_action_depends_on_are_specific():
    agent = ps.make_agent(Apart(), q_agent().protocol, actions=[str(a) for a in range(ACTIONS)])
    episode = episode_for(agent)

    def thirds(rows, noise=0.0):
        maps = np.zeros((len(rows), ACTIONS, SIDE, SIDE), np.float32)
        for action in range(ACTIONS):
            maps[:, action, :, action * 8 : (action + 1) * 8] = 1
        return {"right": maps, "wrong": np.roll(maps, 1, axis=1)}

    found = discrimination(agent, episode, ROWS, thirds, share=1 / 3, baseline="zero")
    assert np.nanmean(found.specificity("right")) > 0.2
    assert np.nanmean(found.specificity("wrong")) < 0
    assert found.support("right").mean() > 0  # a brighter third raises its own action


@pytest.mark.parametrize("kind", AGENTS)
def test_every_rule_has_a_map_of_each_action(kind):
    agent = AGENTS[kind]()
    episode = episode_for(agent)
    names = ("grad_cam", "g1_grad_cam" + CONTRAST, *RULES)
    found = ActionMaps(agent, episode, names)(ROWS)
    assert list(found) == list(names)
    for name in names:
        assert found[name].shape == (len(ROWS), ACTIONS, SIDE, SIDE)
        assert np.isfinite(found[name]).all()


def test_rules_are_their_formulas():
    agent = policy_agent()
    episode = episode_for(agent)
    maps = ActionMaps(agent, episode, RULES)(ROWS)
    inputs = agent.prepare(np.asarray(episode.observations[ROWS]))

    def guided(target):
        found = ps.attribute(agent.network, inputs, ["guided_backprop"], target=target)["guided_backprop"]
        return found[:, -1].numpy(), found

    for action in range(ACTIONS):
        others = [b for b in range(ACTIONS) if b != action]

        def contrast(out, action=action, others=others, sign=1.0):
            return sign * (out["policy"][:, action] - out["policy"][:, others].mean(dim=1))

        pro, _ = guided(contrast)
        contra, _ = guided(lambda out: contrast(out, sign=-1.0))
        assert np.allclose(maps["one"][:, action], guided(lambda out, a=action: out["policy"][:, a])[0], atol=1e-6)
        assert np.allclose(maps["contrast"][:, action], pro, atol=1e-6)
        assert np.allclose(maps["for and against"][:, action], pro - contra, atol=1e-6)


def test_contrasts():
    values = torch.tensor([[1.0, 2.0, 6.0]])
    assert contrasts(values).tolist() == [[-3.0, -1.5, 4.5]]
    found = softmax_contrasts(values)
    weights = torch.tensor([2.0, 6.0]).div(values.std(correction=0)).softmax(dim=0)
    assert torch.isclose(found[0, 0], 1 - (weights * torch.tensor([2.0, 6.0])).sum())


def test_an_unknown_name_is_told():
    agent = q_agent()
    with pytest.raises(TargetError, match="no method 'lime'"):
        ActionMaps(agent, episode_for(agent), ("lime",))


def test_action_guided_backprop_is_the_chosen_rule_and_leaves_out_what_actions_share():
    from policyscope.saliency.record import differentiating

    agent = q_agent()
    episode = episode_for(agent)
    maps = ActionMaps(agent, episode, ("for over against",))
    with differentiating():
        trace = maps._passes.watched(ROWS)
        taken = torch.as_tensor(episode.actions[ROWS])
        found = action_guided_backprop(trace, trace.outputs["q"], taken)
        shifted = action_guided_backprop(trace, trace.outputs["q"] + 5 * trace.outputs["value"], taken)
        signed = action_guided_backprop(trace, trace.outputs["q"], taken, signed=True)
    wanted = maps(ROWS)["for over against"][np.arange(len(ROWS)), episode.actions[ROWS]]
    assert np.allclose(found[:, -1], wanted, atol=1e-7)
    assert torch.allclose(found, shifted, atol=1e-5)
    assert torch.equal(signed.clamp(min=0), found)
    named = MethodMaps(agent, episode, ("action_guided_backprop", "gradient"))(ROWS)
    assert np.allclose(named["action_guided_backprop"], wanted, atol=1e-7)
    with pytest.raises(TargetError, match="one entry"):
        MethodMaps(agent, episode, ("action_guided_backprop",), stream="value")(ROWS)
    assert (signed < 0).any()
