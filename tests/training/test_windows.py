"""Frames encoded once, against the network on each state's whole observation."""

import pytest
import torch

from policyscope.agents.networks import build
from policyscope.training.compute import Compute
from policyscope.training.windows import Memory, encode, windows

SIZE, STATES, GAMES = 4, 5, 3
RECURRENT = ("split_attention_drqn", "shared_attention_drqn", "recurrent_actor_critic")


@pytest.fixture
def compute():
    return Compute("cpu", precision="float32")


def observed(frames, age):
    """The observation of each state: (R, K, SIZE, 84, 84), blank before its game began."""
    found = torch.zeros(len(frames), STATES, SIZE, 84, 84, dtype=torch.uint8)
    for row in range(len(frames)):
        for state in range(STATES):
            for back in range(SIZE):
                if back <= age[row, state]:
                    found[row, state, -1 - back] = frames[row, state + SIZE - 1 - back]
    return found


@pytest.mark.parametrize("architecture", RECURRENT)
def test_windows_give_what_the_network_gives_and_the_same_gradients(architecture, compute):
    torch.manual_seed(0)
    network = compute.place(build(architecture, actions=4, hidden=16))
    frames = torch.randint(0, 256, (GAMES, STATES + SIZE - 1, 84, 84), dtype=torch.uint8)
    age = torch.tensor([[7, 8, 9, 10, 11], [2, 3, 0, 1, 2], [0, 1, 2, 3, 4]])
    wanted = network(compute.inputs(observed(frames, age).flatten(0, 1)[:, :, None]))
    features, blank = encode(network, frames, compute)
    found = network.from_features(windows(features, blank, age, SIZE).flatten(0, 1))
    stream = "q" if "q" in wanted else "policy"
    weights = list(network.parameters())
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-5, rtol=1e-4)
    gradients = [torch.autograd.grad(g[stream].pow(2).sum(), weights, allow_unused=True) for g in (wanted, found)]
    for want, have in zip(*gradients, strict=True):
        if want is not None:
            torch.testing.assert_close(have, want, atol=1e-4, rtol=1e-3)


def test_memory_while_playing_is_the_window_of_each_game(compute):
    torch.manual_seed(0)
    network = compute.place(build("recurrent_actor_critic", actions=4, hidden=16))
    memory = Memory(network, compute, SIZE)
    stream = torch.randint(1, 256, (GAMES, 9, 84, 84), dtype=torch.uint8)
    began = torch.tensor([0, 3, 5])  # in which step each game began
    for step in range(9):
        age = torch.where(step >= began, step - began, step + 100)
        observations = torch.zeros(GAMES, SIZE, 84, 84, dtype=torch.uint8)
        for game in range(GAMES):
            for back in range(SIZE):
                if back <= age[game] and back <= step:
                    observations[game, -1 - back] = stream[game, step - back]
        with torch.no_grad():
            seen = network.from_features(memory(observations, age))["policy"]
            wanted = network(compute.inputs(observations[:, :, None]))["policy"]
        torch.testing.assert_close(seen, wanted, atol=1e-5, rtol=1e-4)
        if step == 5:
            memory.forget()
