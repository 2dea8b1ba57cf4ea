"""Networks with weights drawn anew."""

import copy

import numpy as np
import pytest
import torch
from little import AGENTS, episode_for, q_agent
from torch import nn

from policyscope.evaluation.randomise import cascading, independent, redraw, stages


def runner(kind, agent):
    episode = episode_for(agent)
    rows = np.array([4, 9, 20])
    memory = None if episode.memories is None else torch.as_tensor(np.asarray(episode.memories[rows]))
    seen = agent.prepare(np.asarray(episode.observations[rows]))
    return lambda who: who(seen, memory)


ORDERS = {
    "q": [{"value", "advantage"}, {"hidden.0"}, {"body.2"}, {"body.0"}],
    "policy": [{"value", "advantage"}, {"hidden.0"}, {"body.2"}, {"body.0"}],
    "recurrent": [{"policy", "value"}, {"cell"}, {"body.3"}, {"body.0"}],
    "in time": [{"q"}, {"lstm"}, {"body.3"}, {"body.0"}],
}


@pytest.mark.parametrize("kind", AGENTS)
def test_stages_go_from_the_outputs_down_and_heads_side_by_side_are_one(kind):
    agent = AGENTS[kind]()
    found = stages(agent, runner(kind, agent))
    assert [set(stage.layers) for stage in found] == ORDERS[kind]
    assert [stage.convolutional for stage in found][-1]
    assert not found[0].convolutional


def test_the_users_network_is_never_touched():
    agent = q_agent()
    before = copy.deepcopy(agent.network.state_dict())
    order = stages(agent, runner("q", agent))
    for _ in (*cascading(agent, order, 0), *independent(agent, order, 0)):
        pass
    assert all(torch.equal(before[name], value) for name, value in agent.network.state_dict().items())
    assert not any(module._forward_pre_hooks for module in agent.network.modules())


def test_a_cascade_adds_up_and_single_stages_do_not():
    agent = q_agent()
    own = agent.network.state_dict()
    order = stages(agent, runner("q", agent))

    def changed(who):
        return {
            name.rpartition(".")[0] for name, value in who.network.state_dict().items() if (value != own[name]).any()
        }

    down = [changed(who) for who in cascading(agent, order, 1)]
    alone = [changed(who) for who in independent(agent, order, 1)]
    assert alone == [set(stage.layers) for stage in order]
    assert down == [set().union(*alone[: number + 1]) for number in range(len(order))]


def test_seeds_draw_other_weights_and_the_same_again():
    agent = q_agent()
    order = stages(agent, runner("q", agent))
    one, same, other = (list(cascading(agent, order, seed))[-1].network.body[0].weight.clone() for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_permuted_weights_keep_their_values_and_normal_ones_their_spread():
    agent = q_agent()
    order = stages(agent, runner("q", agent))
    weight = agent.network.body[2].weight
    permuted = list(independent(agent, order, 0, "permuted"))[2].network.body[2].weight
    assert torch.equal(permuted.flatten().sort().values, weight.flatten().sort().values)
    assert not torch.equal(permuted, weight)
    normal = list(independent(agent, order, 0, "normal"))[2].network.body[2].weight
    assert torch.isclose(normal.std(), weight.std(), rtol=0.1)


def test_running_statistics_stay():
    network = nn.Sequential(nn.BatchNorm2d(3))
    network[0].running_mean += 2
    from policyscope.evaluation.randomise import Stage

    redraw(network, Stage(("0",)), 0)
    assert network[0].running_mean.tolist() == [2, 2, 2]
