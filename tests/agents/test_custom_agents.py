"""Agents made in Python of any torch module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from policyscope.agents.agent import ContinuousActions
from policyscope.agents.custom import make_agent
from policyscope.agents.protocol import Protocol
from policyscope.errors import CheckpointError, ProtocolError


class Answers(nn.Module):
    """Returns whatever a function makes of (B, 4) numbers."""

    def __init__(self, shape: Any, columns: int = 4) -> None:
        super().__init__()
        self.shape, self.conv, self.last = shape, nn.Conv2d(4, 2, 20, 16), nn.Linear(2 * 5 * 5, columns)

    def forward(self, observations: Tensor) -> Any:
        return self.shape(self.last(self.conv(observations).flatten(1)))


def test_a_single_tensor_is_taken_for_q_values(frames: np.ndarray) -> None:
    agent = make_agent(Answers(lambda x: x), "modern", game="breakout")
    assert (agent.streams, agent.actions) == (("q",), ("NOOP", "FIRE", "RIGHT", "LEFT"))
    assert agent.policy == "greedy"
    streams, memory = agent(agent.prepare(frames))
    assert streams["q"].shape == (2, 4)
    assert memory is None


@pytest.mark.parametrize("order", [1, -1])
def test_a_pair_is_taken_for_policy_and_value_by_its_columns(frames: np.ndarray, order: int) -> None:
    agent = make_agent(Answers(lambda x: (x, x.sum(1, keepdim=True))[::order]), game="breakout")
    streams, _ = agent(agent.prepare(frames))
    assert (streams["policy"].shape, streams["value"].shape) == ((2, 4), (2, 1))
    assert agent.policy == "sample"


def test_a_dict_keeps_its_names(frames: np.ndarray) -> None:
    agent = make_agent(
        Answers(lambda x: {"q": x, "advantage": x - x.mean(), "features": x[:, None, None]}), game="pong"
    )
    assert agent.streams == ("q", "advantage")


def test_streams_are_named_by_index_key_function_or_the_output_itself(frames: np.ndarray) -> None:
    network = Answers(lambda x: (x, {"deep": x[:, 0]}))
    named = {"q": 0, "value": lambda outputs: outputs[1]["deep"]}
    agent = make_agent(network, game="breakout", streams=named)
    streams, _ = agent(agent.prepare(frames))
    assert torch.equal(streams["value"], streams["q"][:, 0])
    assert make_agent(Answers(lambda x: x), game="breakout", streams={"policy": None}).streams == ("policy",)
    assert make_agent(Answers(lambda x: {"a": x}), game="breakout", streams={"q": "a"}).streams == ("q",)
    assert make_agent(network, game="breakout", read=lambda outputs: {"mine": outputs[0]}).streams == ("mine",)


def test_what_cannot_be_guessed_or_found_is_told() -> None:
    with pytest.raises(CheckpointError, match="returns 3 outputs; name them"):
        make_agent(Answers(lambda x: (x, x, x)), game="breakout")
    with pytest.raises(CheckpointError, match="returns a str; say where its streams are"):
        make_agent(Answers(lambda x: "nothing"), game="breakout")
    with pytest.raises(CheckpointError, match="stream 'q' is not at 5"):
        make_agent(Answers(lambda x: (x,)), game="breakout", streams={"q": 5})
    with pytest.raises(CheckpointError, match=r"stream 'q' must be a tensor \(B, k\)"):
        make_agent(Answers(lambda x: x[:, None, None]), game="breakout", streams={"q": None})
    with pytest.raises(ProtocolError, match=r"does not take observations of shape \(1, 80, 80\)"):
        make_agent(Answers(lambda x: x), "baby-a3c", game="breakout")


def test_a_recurrent_module_gets_its_memory_and_actions_may_be_continuous() -> None:
    class Recurrent(nn.Module):
        memory_size = 6

        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(84 * 84, 6)

        def forward(self, observations: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
            memory = self.cell(observations.flatten(1), memory)
            return memory[:, :2], memory

    bounds = ContinuousActions((-1.0, -1.0), (1.0, 1.0))
    protocol = Protocol(stack=1, env="Some-v0")
    agent = make_agent(Recurrent(), protocol, streams={"policy": None}, continuous=bounds)
    assert (agent.memory_size, agent.actions, agent.policy) == (6, ("0", "1"), "greedy")
    streams, memory = agent(torch.zeros(3, 1, 84, 84))
    assert memory is not None
    assert (streams["policy"].shape, memory.shape) == ((3, 2), (3, 6))
