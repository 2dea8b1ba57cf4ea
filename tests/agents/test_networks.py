"""The networks: their sizes, what their streams mean, and that they can be trained."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from policyscope.agents.games import action_names, find_environment, find_game
from policyscope.agents.networks import NETWORKS, build
from policyscope.agents.networks.recurrent_q import FrameBody, SummedBidirectionalLSTM, TemporalAttention

FEATURES = {"shape": [4, 84, 84], "width": 16}
OPTIONS: dict[str, dict[str, object]] = {
    "split_attention_drqn": {"hidden": 8},
    "shared_attention_drqn": {"hidden": 8},
    "recurrent_actor_critic": {"hidden": 8},
    "mislinked_drqn": {"hidden": 8},
    "wrongly_merged_drqn": {"hidden": 8},
    "bidirectional_actor_critic": {"hidden": 8},
    "sb3_q": {"features": FEATURES, "inputs": 16},
    "sb3_actor_critic": {"features": FEATURES, "inputs": 16},
    "sb3_continuous": {"features": FEATURES, "inputs": 16, "critic_features": FEATURES, "critics": 1},
}
SHAPES = {
    "actor_critic": (3, 84, 84),
    "small_actor_critic": (3, 84, 84),
    "gru_actor_critic": (1, 80, 80),
    "cleanrl_recurrent_actor_critic": (1, 84, 84),
    **dict.fromkeys(
        (
            "split_attention_drqn",
            "shared_attention_drqn",
            "recurrent_actor_critic",
            "mislinked_drqn",
            "wrongly_merged_drqn",
            "bidirectional_actor_critic",
        ),
        (10, 1, 84, 84),
    ),
}
MEANT_TO_BE_UNUSED: dict[str, tuple[str, ...]] = {
    "mislinked_drqn": ("value_lstm.layers.0.",),
    "bidirectional_actor_critic": ("frames.", "policy_lstm.", "value_lstm."),
}


def forward(network: torch.nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    size = int(getattr(network, "memory_size", 0))
    return network(inputs, torch.zeros(len(inputs), size))[0] if size else network(inputs)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_learns_through_all_its_weights(name: str) -> None:
    network = build(name, actions=5, **OPTIONS.get(name, {}))
    streams = forward(network, torch.rand(2, *SHAPES.get(name, (4, 84, 84))))
    assert all(value.dim() == 2 and len(value) == 2 for value in streams.values())
    main = streams.get("q", streams.get("policy"))
    assert main is not None
    assert main.shape == (2, 5)
    (main.square().sum() + sum(value.square().sum() for value in streams.values())).backward()
    unused = {"gru.weight_hh", "lstm.weight_hh_l0"}
    for key, weight in network.named_parameters():
        if key.startswith(MEANT_TO_BE_UNUSED.get(name, ("nothing",))):
            assert weight.grad is None, key
            continue
        assert weight.grad is not None, key
        assert key in unused or bool((weight.grad != 0).any()), key


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_state_is_evaluated_by_itself_whatever_else_is_in_the_batch(name: str) -> None:
    network = build(name, actions=5, **OPTIONS.get(name, {})).eval()
    inputs = torch.rand(3, *SHAPES.get(name, (4, 84, 84)))
    together, alone = forward(network, inputs), forward(network, inputs[1:2])
    for key, value in alone.items():
        torch.testing.assert_close(together[key][1:2], value, rtol=1e-4, atol=1e-5)


def test_the_papers_actor_critic_has_the_papers_sizes() -> None:
    shapes = {k: tuple(v.shape) for k, v in build("actor_critic", actions=6).state_dict().items() if "weight" in k}
    assert list(shapes.values()) == [(32, 3, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (256, 1024), (6, 256), (1, 256)]


def test_the_small_actor_critic_is_the_first_a3cs() -> None:
    network = build("small_actor_critic", actions=6, channels=4)
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items() if "weight" in k}
    assert list(shapes.values()) == [(16, 4, 8, 8), (32, 16, 4, 4), (256, 2592), (6, 256), (1, 256)]


def test_the_split_attention_network_has_the_papers_sizes() -> None:
    with torch.device("meta"):
        network = build("split_attention_drqn", actions=18)
    convolutions = 32 * (1 * 8 * 8 + 1) + 64 * (32 * 4 * 4 + 1) + 64 * (64 * 3 * 3 + 1)
    dense = 512 * (3136 + 1)
    # Two streams of two layers, both ways; torch has two biases a gate, Keras one.
    lstms = 2 * 2 * 2 * 4 * 512 * (512 + 512 + 2)
    heads = 1 * (512 + 1) + 18 * (512 + 1) + (1 + 1) + (18 + 1) + 18 * (18 + 1)
    assert sum(weight.numel() for weight in network.parameters()) == convolutions + dense + lstms + heads
    lstm = network.get_submodule("value_lstm.layers.1")
    assert (lstm.input_size, lstm.hidden_size, lstm.bidirectional) == (512, 512, True)


def test_frames_of_a_sequence_go_through_one_body_one_by_one() -> None:
    body = FrameBody(1, 8)
    frames = torch.rand(2, 3, 1, 84, 84)
    expected = torch.stack([torch.stack([body.body(frame[None])[0] for frame in sequence]) for sequence in frames])
    torch.testing.assert_close(body(frames), expected, rtol=1e-4, atol=1e-5)


def test_the_directions_of_an_lstm_are_summed() -> None:
    lstm = SummedBidirectionalLSTM(4, 3, layers=1)
    sequence = torch.rand(2, 5, 4)
    both, _ = lstm.layers[0](sequence)
    torch.testing.assert_close(lstm(sequence), both[..., :3] + both[..., 3:])


def test_attention_over_time_adds_up_to_one() -> None:
    weights = TemporalAttention(4)(torch.randn(3, 10, 4))
    assert weights.shape == (3, 10, 1)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3, 1))


def test_what_is_wrong_with_the_faulty_networks_is_what_they_say() -> None:
    torch.manual_seed(0)
    sequence, stack = torch.rand(2, 10, 1, 84, 84), torch.rand(2, 4, 84, 84)
    merged = build("wrongly_merged_drqn", actions=5, hidden=8)
    merged(sequence)["q"].sum().backward()
    assert all(not weight.grad.any() for weight in merged.value_lstm.parameters())  # q knows nothing of the value
    assert any(weight.grad.any() for weight in merged.advantage_lstm.parameters())
    linked = build("mislinked_drqn", actions=5, hidden=8)
    healthy = build("split_attention_drqn", actions=5, hidden=8)
    healthy.load_state_dict(linked.state_dict())
    torch.testing.assert_close(linked(sequence)["advantage"], healthy(sequence)["advantage"])
    assert not torch.allclose(linked(sequence)["value"], healthy(sequence)["value"])
    stacked = build("misstacked_dueling_dqn", actions=5, hidden=8)
    older = torch.cat([torch.rand(2, 3, 84, 84), stack[:, 3:]], dim=1)
    torch.testing.assert_close(stacked(stack)["q"], stacked(older)["q"])


def test_layer_normalisation_stands_before_each_rectifier() -> None:
    network = build("dueling_dqn", actions=5, hidden=8, layer_norm=True)
    kinds = [type(module).__name__ for module in [*network.body, *network.value]]
    assert [kinds[i - 1] for i, kind in enumerate(kinds) if kind == "ReLU"] == ["LayerNorm"] * 4


def test_texts_tell_games_and_environments() -> None:
    assert find_game(["logs", "dqn-MsPacmanNoFrameskip-v4"]) == "ms_pacman"
    assert find_game(["ALE/Pong-v5"]) == "pong"
    assert find_game(["ALE-Pong-v5__ppo__1"]) == "pong"
    assert find_game(["spaceinvaders-v4.80.tar"]) == "space_invaders"
    assert find_game(["CarRacing-v3", "model"]) is None
    assert find_environment(["ppo-CarRacing-v3_1"]) == "CarRacing-v3"
    assert find_environment(["nothing"]) is None


def test_actions_have_the_consoles_names() -> None:
    assert action_names("pong") == ("NOOP", "FIRE", "RIGHT", "LEFT", "RIGHTFIRE", "LEFTFIRE")
    assert len(action_names("pong", full=True)) == 18
