"""Networks that were once explained wrongly or not at all, against autograd on a clean twin of each."""

import networks
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import GuidedReLU, naive
from networks import Layers
from torch import nn

import policyscope as ps
from policyscope.saliency.plan import METHODS

X = torch.rand(3, 4, 20, 20, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


class Body(nn.Module):
    """Three convolutions; ``forward`` is careless, ``clean`` says the same with the rectifier it is given."""

    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.c3, self.fc = nn.Conv2d(6, 8, 4, 2), nn.Linear(8 * 81, 5)
        self.extra()

    def extra(self):
        pass

    def head(self, a, r):
        return self.fc(r(self.c3(a)).flatten(1))

    def clean(self, x, r):
        return self.head(r(self.c2(r(self.c1(x)))), r)

    def forward(self, x):
        return self.clean(x, F.relu)


def built(kind):
    torch.manual_seed(1)
    return kind().double().eval()


def oracle(network, x, rectify, target=1):
    probe = x.clone().requires_grad_()
    return torch.autograd.grad(network.clean(probe, rectify)[:, target].sum(), probe)[0]


def agrees(network, x=X, layers=None, complete=False):
    result = ps.attribute(network, x.clone(), METHODS, target=1, check_completeness=True)
    for method, rectify in (("gradient", torch.relu), ("guided_backprop", GuidedReLU.apply)):
        wanted = oracle(network, x, rectify)
        assert (result[method] - wanted).abs().max() <= 1e-10 * wanted.abs().max(), method
    if layers is not None:
        assert list(result.layer_weights) == layers
    if complete:
        assert result.completeness.remainder.abs().max() < 1e-12
    return result


# -- rectifiers in place, and what they overwrite -------------------------------------------------------------------


class SliceInPlace(Body):
    def forward(self, x):
        z = self.c1(x)
        z[:, :3].relu_()
        return self.head(self.c2(z), F.relu)

    def clean(self, x, r):
        z = self.c1(x)
        return self.head(self.c2(torch.cat([r(z[:, :3]), z[:, 3:]], 1)), r)


class ViewInPlace(Body):
    def forward(self, x):
        z = self.c1(x)
        z.view(len(x), -1).relu_()
        return self.head(self.c2(z), F.relu)

    def clean(self, x, r):
        return self.head(self.c2(r(self.c1(x))), r)


class BothRectifiersOfOneOutput(Body):
    def forward(self, x):
        z = self.c1(x)
        return self.head(self.c2(F.relu(z) + F.relu(z, inplace=True)), F.relu)

    def clean(self, x, r):
        z = self.c1(x)
        return self.head(self.c2(r(z) + r(z)), r)


class TwoNormalisedBranches(Body):
    def extra(self):
        self.b1, self.b2 = nn.BatchNorm2d(6), nn.BatchNorm2d(6)

    def forward(self, x):
        z = self.c1(x)
        return self.head(self.c2(F.relu_(self.b1(z)) - F.relu_(self.b2(z))), F.relu)

    def clean(self, x, r):
        z = self.c1(x)
        return self.head(self.c2(r(self.b1(z)) - r(self.b2(z))), r)


class SkipAddedInPlace(Body):
    def forward(self, x):
        i = F.relu(self.c1(x))
        z = self.c2(i)
        z += i
        return self.head(F.relu(z, inplace=True), F.relu)

    def clean(self, x, r):
        i = r(self.c1(x))
        return self.head(r(self.c2(i) + i), r)


@pytest.mark.parametrize("kind", [SliceInPlace, ViewInPlace, BothRectifiersOfOneOutput, TwoNormalisedBranches])
def test_a_rectifier_in_place_spoils_nothing(kind):
    agrees(built(kind), complete=True)


def test_an_output_that_a_skip_was_added_into_no_longer_leads_to_the_rectifier():
    network = built(SkipAddedInPlace)
    agrees(network, complete=True)
    probe = X.clone().requires_grad_()
    i = F.relu(network.c1(probe))
    z = network.c2(i)
    g = torch.autograd.grad(network.head(F.relu(z + i), F.relu)[:, 1].sum(), z)[0]
    wanted = (g.mean((2, 3), keepdim=True) * z).sum(1).clamp(min=0).detach()
    assert torch.allclose(ps.attribute(network, X, ["grad_cam"], target=1, layer="c2")["grad_cam"], wanted)


@pytest.mark.parametrize(
    "rectify",
    [
        lambda z: z.clamp_(min=0),
        lambda z: torch.clamp_min_(z, 0),
        lambda z: torch.max(z, torch.zeros_like(z)),
        lambda z: torch.maximum(torch.zeros((), dtype=z.dtype), z),
    ],
)
def test_a_relu_by_another_name_is_guided_too(rectify):
    class Other(Body):
        def forward(self, x):
            return self.head(rectify(self.c1(x)), F.relu)

        def clean(self, x, r):
            return self.head(r(self.c1(x)), r)

    agrees(built(Other), complete=True)


def test_a_clamp_goes_back_as_pytorch_has_it_at_exactly_zero_and_is_guided_as_a_relu():
    class Clamped(Body):
        def forward(self, x):
            return self.head(self.c1(x).clamp(min=0), F.relu)

    network = built(Clamped)
    nn.init.zeros_(network.c1.bias)
    blank = torch.zeros_like(X)
    probe = blank.clone().requires_grad_()
    wanted = torch.autograd.grad(network(probe)[:, 1].sum(), probe)[0]
    result = ps.attribute(network, blank, ["gradient", "guided_backprop"], target=1)
    assert wanted.abs().max() > 0
    assert torch.allclose(result["gradient"], wanted)
    assert not result["guided_backprop"].any()


# -- layouts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flatten",
    [
        lambda a, fc: torch.stack([fc(one.view(-1)) for one in a]),
        lambda a, fc: fc(a.view_as(torch.empty(len(a), 648))),
        lambda a, fc: fc(a.transpose(0, 1).view(8, len(a), 81).transpose(0, 1).flatten(1)),
    ],
)
def test_views_of_a_convolutions_output_work_whatever_its_layout(flatten):
    class Views(Body):
        def forward(self, x):
            return flatten(F.relu(self.c3(F.relu(self.c2(F.relu(self.c1(x)))))), self.fc)

    agrees(built(Views))


@pytest.mark.parametrize(
    "x",
    [
        torch.rand(3, 20, 20, 4, dtype=torch.float64).permute(0, 3, 1, 2),
        torch.rand(3, 4, 20, 40, dtype=torch.float64)[..., ::2],
        torch.rand(1, 4, 20, 20, dtype=torch.float64).expand(3, 4, 20, 20),
        torch.rand(3, 4, 20, 20, dtype=torch.float64, requires_grad=True),
    ],
    ids=["channels last", "strided", "expanded", "requires grad"],
)
def test_any_layout_of_the_input_will_do(x):
    agrees(built(Body), x.detach() if not x.requires_grad else x)


@settings(max_examples=100)
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.integers(9, 24), st.integers(9, 24)),
    st.sampled_from([1, 12]),
    st.integers(1, 2),
)
def test_the_way_back_through_any_convolution_is_its_gradient(kernel, stride, padding, size, channels, batch):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(channels, 3, kernel, stride, padding), nn.Flatten()).double()
    x = torch.rand(batch, channels, *size, dtype=torch.float64)
    probe = x.clone().requires_grad_()
    weights = torch.rand_like(network(x))
    wanted = torch.autograd.grad((network(probe) * weights).sum(), probe)[0]
    result = ps.attribute(network, x, ["gradient"], target=lambda y: (y * weights).sum(1))["gradient"]
    assert torch.allclose(result, wanted, atol=1e-12)


# -- random networks, all nine methods ------------------------------------------------------------------------------


class Random(nn.Module):
    """Blocks of convolution, norm, pooling and rectifier, some of them with a skip around the convolution."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks, channels = blocks, 3
        for index, (kernel, stride, padding, norm, skip, _, _) in enumerate(blocks):
            wanted = channels if skip else 4
            conv = nn.Conv2d(channels, wanted, 3, 1, 1) if skip else nn.Conv2d(channels, 4, kernel, stride, padding)
            setattr(self, f"conv{index}", conv)
            if norm:
                bn = nn.BatchNorm2d(wanted)
                for tensor in (bn.running_mean, bn.weight, bn.bias):
                    nn.init.uniform_(tensor, 0.1, 0.9)
                setattr(self, f"bn{index}", bn)
            channels = wanted
        self.fc = nn.LazyLinear(networks.ACTIONS)

    def forward(self, x):
        for index, (*_, norm, skip, pool, in_place) in enumerate(self.blocks):
            z = getattr(self, f"conv{index}")(x)
            z = getattr(self, f"bn{index}")(z) if norm else z
            if skip:
                z += x
            elif pool and not index:
                z = F.max_pool2d(z, 2, ceil_mode=True)
            x = F.relu(z, inplace=in_place)
        return self.fc(x.flatten(1))

    def reference(self, x, rectify):
        met = Layers()
        for index, (*_, norm, skip, pool, _) in enumerate(self.blocks):
            conv = getattr(self, f"conv{index}")
            z = last = conv(x)
            if norm:
                bn = getattr(self, f"bn{index}")
                scale = bn.weight / (bn.running_var + bn.eps).sqrt()
                shift = bn.bias - scale * bn.running_mean
                last = z * scale[:, None, None] + shift[:, None, None]
            a = (
                rectify(last + x)
                if skip
                else rectify(F.max_pool2d(last, 2, ceil_mode=True) if pool and not index else last)
            )
            met.meet(f"conv{index}", z if skip else a, z, conv.bias)
            if norm:
                met.meet(f"bn{index}", last if skip else a, last, shift)
            x = a
        return self.fc(x.flatten(1)), met


BLOCK = st.tuples(
    st.integers(2, 4), st.integers(1, 2), st.integers(0, 1), st.booleans(), st.booleans(), st.booleans(), st.booleans()
)


@settings(max_examples=20)
@given(st.lists(BLOCK, min_size=1, max_size=3), st.integers(0, 100))
def test_random_networks_equal_the_naive_formulas_and_are_complete(blocks, seed):
    torch.manual_seed(seed)
    network, x = Random(blocks).double().eval(), torch.rand(2, 3, 48, 45, dtype=torch.float64)
    network(x)
    layer = f"conv{len(blocks) - 1}"
    result = ps.attribute(network, x.clone(), METHODS, target=2, layer=layer, check_completeness=True)
    assert result.completeness.remainder.abs().max() < 1e-12
    for method in METHODS:
        for index in range(len(x)):
            wanted = naive(method, network, x[index], 2, layer)
            scale = max(float(wanted.abs().max()), 1e-12)
            assert (result[method][index] - wanted).abs().max() <= 1e-8 * scale, method
