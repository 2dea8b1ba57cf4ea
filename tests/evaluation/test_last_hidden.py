"""What a network makes of each state, last of all, and states that are rare by it."""

import numpy as np
import pytest
import torch
from little import AGENTS, episode_for, q_agent
from torch import nn

import policyscope as ps
from policyscope.errors import TargetError
from policyscope.evaluation.last_hidden import hidden
from policyscope.evaluation.parts.smaller import smaller
from policyscope.evaluation.rarity import rarity
from policyscope.evaluation.subject import Subject


class Pooled(nn.Module):
    """A network without a linear layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 5)

    def forward(self, x):
        return {"q": self.conv(x).mean(dim=(2, 3))}


def pooled():
    torch.manual_seed(0)
    return ps.make_agent(Pooled(), q_agent().protocol, actions=["a", "b", "c"])


@pytest.mark.parametrize("name", AGENTS)
def test_the_last_hidden_layer_is_what_goes_into_the_acting_streams_layer(name):
    agent = AGENTS[name]()
    episode = episode_for(agent)
    features, paths = hidden(agent, episode, np.arange(30))
    modules = dict(agent.network.named_modules())
    outputs = np.concatenate(
        [modules[path](torch.as_tensor(part)).detach().numpy() for path, part in _parts(features, paths, modules)],
        axis=1,
    )
    streams = _streams(agent, episode, 30)
    wanted = {"q": ("advantage", "value"), "policy": ("policy",), "recurrent": ("policy",), "in time": ("q",)}[name]
    np.testing.assert_allclose(outputs, np.concatenate([streams[one] for one in wanted], axis=1), rtol=1e-4, atol=1e-4)


def _parts(features, paths, modules):
    first = 0
    for path in paths:
        width = modules[path].in_features
        yield path, features[:, first : first + width]
        first += width


def _streams(agent, episode, count):
    memories = None if episode.memories is None else torch.as_tensor(np.asarray(episode.memories[:count]))
    with torch.no_grad():
        streams, _ = agent(agent.prepare(np.asarray(episode.observations[:count])), memories)
    return {name: values.reshape(count, -1).numpy() for name, values in streams.items()}


def test_nothing_is_left_on_the_network():
    agent = q_agent()
    hidden(agent, episode_for(agent), np.arange(5))
    assert not any(module._forward_hooks for module in agent.network.modules())


def test_a_network_without_a_linear_layer_is_told():
    agent = pooled()
    with pytest.raises(TargetError, match="there is no last hidden layer"):
        hidden(agent, episode_for(agent), np.arange(5))


@pytest.mark.parametrize("name", AGENTS)
def test_states_are_rare_by_the_last_hidden_layer(name, tmp_path):
    agent = AGENTS[name]()
    episode = episode_for(agent)
    subject = Subject(agent, episode, tmp_path, ("gradient", "guided_backprop"))
    found = smaller(subject)
    features, paths = hidden(agent, episode, subject.rows())
    assert found.numbers["rarity_in"] == list(paths)
    wanted = rarity(features, subject.rows())
    np.testing.assert_allclose(found.values["rarity", "states", ""], wanted, rtol=1e-3)


def test_without_such_a_layer_states_are_rare_by_what_the_network_puts_out(tmp_path):
    agent = pooled()
    episode = episode_for(agent)
    subject = Subject(agent, episode, tmp_path, ("gradient", "guided_backprop"))
    found = smaller(subject)
    assert found.numbers["rarity_in"] == ["q"]
    outputs = agent(agent.prepare(np.asarray(episode.observations[subject.rows()])))[0]["q"].detach().numpy()
    np.testing.assert_allclose(found.values["rarity", "states", ""], rarity(outputs, subject.rows()), rtol=1e-3)
