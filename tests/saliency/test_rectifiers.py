"""The two backward rules on every rectifier, and every way in which people call one."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import policyscope as ps

SMOOTH = {
    "leaky_relu": lambda x: F.leaky_relu(x, 0.3),
    "elu": F.elu,
    "selu": F.selu,
    "celu": F.celu,
    "silu": F.silu,
    "gelu": F.gelu,
    "mish": F.mish,
    "softplus": F.softplus,
    "hardswish": F.hardswish,
    "relu6": F.relu6,
    "prelu": lambda x: F.prelu(x, torch.tensor([0.2], dtype=x.dtype)),
    "module": nn.ELU(),
}
IN_PLACE = {
    "leaky_relu_": lambda x: F.leaky_relu_(x, 0.3),
    "elu inplace": lambda x: F.elu(x, 1.0, True),
    "elu_": F.elu_,
    "silu inplace": nn.SiLU(inplace=True),
    "relu6 inplace": nn.ReLU6(inplace=True),
}
RELUS = {
    "F.relu": F.relu,
    "torch.relu": torch.relu,
    "method": lambda x: x.relu(),
    "in place": lambda x: x.relu_(),
    "module in place": nn.ReLU(inplace=True),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
    "maximum": lambda x: torch.maximum(x, torch.zeros((), dtype=x.dtype)),
    "keyword": lambda x: F.relu(input=x),
}


class OneRectifier(nn.Module):
    def __init__(self, rectify):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc, self.rectify = nn.Conv2d(2, 4, 3), nn.Linear(4 * 36, 3), rectify

    def forward(self, x):
        return self.fc(self.rectify(self.conv(x)).flatten(1))


def rules(rectify, x):
    """z, dz/dx-ready gradient at the rectifier's output, and the derivative of the rectifier at z, by definition."""
    network = OneRectifier(rectify).double()
    z = network.conv(x).detach()
    probe = z.clone().requires_grad_()
    value = rectify(probe.clone())
    derivative = torch.autograd.grad(value.sum(), probe)[0]
    upstream = network.fc.weight[1].view(1, 4, 6, 6).expand_as(z).detach()
    return network, z, upstream, derivative


def back_to_input(network, dz):
    return F.conv_transpose2d(dz, network.conv.weight.detach())


X = torch.rand(2, 2, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.3


@pytest.mark.parametrize("name", [*RELUS, *SMOOTH, *IN_PLACE])
def test_guided_is_the_derivative_times_the_positive_part_of_what_arrives(name):
    rectify = {**RELUS, **SMOOTH, **IN_PLACE}[name]
    network, _, upstream, derivative = rules(rectify, X)
    given = ps.attribute(network, X, ["gradient", "guided_backprop"], target=1)
    assert torch.allclose(given["gradient"], back_to_input(network, derivative * upstream), atol=1e-12)
    assert torch.allclose(
        given["guided_backprop"], back_to_input(network, derivative * upstream.clamp(min=0)), atol=1e-12
    )


@pytest.mark.parametrize("name", [*SMOOTH, *IN_PLACE])
def test_the_paper_faithful_option_passes_only_positive_inputs(name):
    network, z, upstream, derivative = rules({**SMOOTH, **IN_PLACE}[name], X)
    given = ps.attribute(network, X, ["guided_backprop"], target=1, positive_inputs=True)["guided_backprop"]
    wanted = back_to_input(network, derivative * upstream.clamp(min=0) * (z > 0))
    assert torch.allclose(given, wanted, atol=1e-12)


def test_a_rectifier_that_is_not_one_is_left_alone():
    def squash(x):
        return torch.tanh(x).clamp(min=-0.5, max=0.5)

    network = OneRectifier(squash).double()
    given = ps.attribute(network, X, ["gradient", "guided_backprop"], target=1)
    assert torch.equal(given["gradient"], given["guided_backprop"])


def test_a_later_write_into_a_rectifiers_output_changes_neither_map_nor_gradient():
    class Careless(OneRectifier):
        def forward(self, x):
            a = F.relu(self.conv(x))
            b = self.fc(a.flatten(1).clone())
            a.mul_(7.0)
            return b

    careless, careful = Careless(None).double(), OneRectifier(F.relu).double()
    methods = ["gradient", "guided_backprop", "grad_cam", "grad_cam_pp", "full_grad_pp"]
    given = ps.attribute(careless, X, methods, target=0)
    wanted = ps.attribute(careful, X, methods, target=0)
    for name in methods:
        assert torch.equal(given[name], wanted[name]), name
