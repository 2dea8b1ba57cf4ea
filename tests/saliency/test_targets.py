"""Streams and selections: what is explained, and what is refused in one line."""

from typing import NamedTuple

import networks
import pytest
import torch
from networks import make, states
from torch import nn

import policyscope as ps
from policyscope.errors import TargetError


class Pair(NamedTuple):
    policy: torch.Tensor
    value: torch.Tensor


class Returns(networks.Modules):
    """A network that packs its outputs as told."""

    def __init__(self, pack=None):
        super().__init__()
        self.head, self.pack = nn.Linear(16, 1), pack

    def forward(self, x):
        hidden = self.fc1(self.conv2(self.conv1(x).relu()).relu().flatten(1)).relu()
        return self.pack(self.fc2(hidden), self.head(hidden))


def packed(pack):
    torch.manual_seed(0)
    return Returns(pack).double().eval()


def gradient_of(function, x=None):
    x = states() if x is None else x
    network = packed(lambda p, v: (p, v))
    probe = x.clone().requires_grad_()
    return torch.autograd.grad(function(*network(probe)).sum(), probe)[0]


def test_tuples_dicts_and_named_tuples_are_told_apart_by_stream():
    wanted = gradient_of(lambda p, v: v)
    for pack, stream in (
        (lambda p, v: (p, v), 1),
        (lambda p, v: [p, v], -1),
        (lambda p, v: {"policy": p, "value": v}, "value"),
        (Pair, "value"),
        (Pair, 1),
    ):
        given = ps.attribute(packed(pack), states(), ["gradient"], stream=stream)["gradient"]
        assert torch.allclose(given, wanted)


def test_selections_are_what_they_say():
    cases = {
        2: lambda p, v: p[:, 2],
        "2": lambda p, v: p[:, 2],
        "greedy": lambda p, v: p.max(dim=1).values,
        "sum": lambda p, v: p.sum(dim=1),
        "contrast:2": lambda p, v: p[:, 2] - p[:, [0, 1, 3, 4]].mean(dim=1),
        "2-3": lambda p, v: p[:, 2] - p[:, 3],
        "4-0": lambda p, v: p[:, 4] - p[:, 0],
    }
    for selection, function in cases.items():
        given = ps.attribute(packed(lambda p, v: p), states(), ["gradient"], target=selection)["gradient"]
        assert torch.allclose(given, gradient_of(function)), selection
    given = ps.attribute(packed(lambda p, v: p), states(), ["gradient"], target=torch.tensor([4, 0, 1]))["gradient"]
    assert torch.allclose(given, gradient_of(lambda p, v: p[[0, 1, 2], [4, 0, 1]]))
    given = ps.attribute(packed(Pair), states(), ["gradient"], target=lambda y: y.policy[:, 0] * y.value[:, 0])[
        "gradient"
    ]
    assert torch.allclose(given, gradient_of(lambda p, v: p[:, 0] * v[:, 0]))


def test_a_single_entry_has_nothing_to_stand_against():
    network = packed(lambda p, v: {"policy": p, "value": v})
    with pytest.raises(TargetError, match="stream 'value' has one entry"):
        ps.attribute(network, states(), ["gradient"], stream="value", target="0-1")


def test_sarfa_of_two_entries_is_that_of_the_first():
    network = packed(lambda p, v: p)
    pair, first = (ps.attribute(network, states(), ["sarfa"], target=t)["sarfa"] for t in ("3-1", 3))
    assert torch.equal(pair, first)


def test_probabilities_are_a_stream_of_their_own():
    network = packed(lambda p, v: {"policy": p, "value": v})
    given = ps.attribute(network, states(), ["gradient"], stream="probability", target=1)["gradient"]
    assert torch.allclose(given, gradient_of(lambda p, v: p.softmax(1)[:, 1]))
    with pytest.raises(TargetError, match="constant"):
        ps.attribute(network, states(), ["gradient"], stream="probability", target="sum")


def test_any_inner_modules_output_can_be_explained():
    given = ps.attribute(packed(lambda p, v: p), states(), ["gradient"], stream="fc1", target=3)["gradient"]
    network = packed(lambda p, v: p)
    probe = states().requires_grad_()
    inner = network.fc1(network.conv2(network.conv1(probe).relu()).relu().flatten(1))
    assert torch.allclose(given, torch.autograd.grad(inner[:, 3].sum(), probe)[0])


def test_another_input_and_another_forward_can_be_explained():
    class TwoInputs(networks.Modules):
        def forward(self, speed, x):
            return super().forward(x) * speed

    speed = torch.tensor([[1.0], [2.0], [3.0]], dtype=torch.float64)
    given = ps.attribute(make(TwoInputs), (speed, states()), ["gradient", "noise_saliency"], target=1, explain=1)
    plain = ps.attribute(make(networks.Modules), states(), ["gradient", "noise_saliency"], target=1)
    assert torch.allclose(given["gradient"], plain["gradient"] * speed[..., None, None])
    assert torch.allclose(given["noise_saliency"], plain["noise_saliency"] * speed[..., None] ** 2)
    network = make(networks.Modules)
    given = ps.attribute(network, states(), ["gradient"], forward=lambda x: network.conv1(x).mean((1, 2, 3)))[
        "gradient"
    ]
    probe = states().requires_grad_()
    assert torch.allclose(given, torch.autograd.grad(network.conv1(probe).mean((1, 2, 3)).sum(), probe)[0])


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"target": 5}, "no action 5 .* it has 5, 0 to 4"),
        ({"target": -1}, "no action -1"),
        ({"target": "best"}, "no selection 'best'; there are: greedy, sum, contrast"),
        ({"target": "2-2"}, "action 2 against itself is nothing"),
        ({"target": "0-5"}, "no action 5 .* it has 5, 0 to 4"),
        ({"target": "0-"}, "no selection '0-'; there are: .* or two against each other"),
        ({"target": torch.tensor([1, 2])}, "2 targets for 3 states"),
        ({"target": None}, "say which entry is explained"),
        ({"target": 1, "stream": "advantage"}, "no stream 'advantage'"),
        ({"target": 1, "methods": ["lime"]}, "no method 'lime'; there are: gradient, guided_backprop"),
        ({"target": 1, "methods": []}, "no methods"),
        ({"target": 1, "variants": {"grad_cam": "blog"}}, "has no variant 'blog'"),
        ({"target": lambda y: y}, "one scalar per state"),
    ],
)
def test_a_wrong_request_is_answered_in_one_line(arguments, line):
    arguments = {"methods": ["gradient"], **arguments}
    with pytest.raises(TargetError, match=line) as caught:
        ps.attribute(make(networks.Modules), states(), **arguments)
    assert "\n" not in str(caught.value)
