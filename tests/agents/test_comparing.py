"""Who can be asked about the states that another agent met."""

from dataclasses import replace

import pytest
from torch import nn

import policyscope as ps
from policyscope.agents.comparing import check_agents
from policyscope.errors import ProtocolError


class Remembering(nn.Module):
    memory_size = 8

    def __init__(self):
        super().__init__()
        self.body, self.cell, self.policy = nn.Linear(36, 12), nn.GRUCell(12, 8), nn.Linear(8, 2)

    def forward(self, x, memory):
        memory = self.cell(self.body(x.flatten(1)), memory)
        return {"policy": self.policy(memory)}, memory


def agent(network=None, stack=2):
    network = network or nn.Sequential(nn.Flatten(), nn.Linear(36 * stack, 2))
    protocol = ps.Protocol(name="little", size=(6, 6), stack=stack, ready=True, env="little")
    return ps.make_agent(network, protocol, actions=["LEFT", "RIGHT"])


def test_another_checkpoint_of_the_same_kind_can_be_asked():
    check_agents(agent(), replace(agent(), network=nn.Sequential(nn.Flatten(), nn.Linear(72, 2))))


def test_an_agent_that_sees_or_does_something_else_cannot():
    with pytest.raises(ProtocolError, match=r"it sees observations of shape \(3, 6, 6\), not \(2, 6, 6\)"):
        check_agents(agent(), agent(stack=3))
    with pytest.raises(ProtocolError, match="its actions are UP, DOWN, not LEFT, RIGHT"):
        check_agents(agent(), replace(agent(), actions=("UP", "DOWN")))


def test_a_memory_is_that_of_the_network_that_made_it():
    one, other = agent(Remembering(), stack=1), agent(Remembering(), stack=1)
    check_agents(one, one)
    with pytest.raises(ProtocolError, match="it is recurrent"):
        check_agents(one, other)
