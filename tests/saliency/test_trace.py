"""What watching leaves behind (nothing), whom it disturbs (nobody), and what it refuses."""

import threading

import networks
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import ALL, make, states
from torch import nn

import policyscope as ps
from policyscope.errors import TargetError
from policyscope.saliency.plan import METHODS


def everything_about(module):
    return {
        name: (
            m.training,
            {k: len(v) for k, v in vars(m).items() if "hooks" in k and v is not None},
            [(k, p.requires_grad, p.grad, p._version) for k, p in m.named_parameters(recurse=False)],
            [(k, b.clone().tolist()) for k, b in m.named_buffers(recurse=False)],
            m.forward.__func__ if hasattr(m.forward, "__func__") else m.forward,
        )
        for name, m in module.named_modules()
    }


@pytest.mark.parametrize("kind", ALL)
def test_nothing_is_left_in_the_model_or_its_input(kind):
    network, x = make(ALL[kind]), states()
    before, input_before = everything_about(network), x.clone()
    ps.attribute(network, x, [*METHODS, "noise_saliency", "sarfa"], target=1, regions=ps.Regions(step=11))
    assert everything_about(network) == before
    assert torch.equal(x, input_before)
    assert x.grad is None
    assert not x.requires_grad


def test_nothing_is_left_in_the_model_after_a_failure():
    class Fails(networks.Normalised):
        def forward(self, x):
            super().forward(x)
            raise RuntimeError("on purpose")

    network = make(Fails)
    network.train()
    before = everything_about(network)
    with pytest.raises(RuntimeError, match="on purpose"):
        ps.attribute(network, states(), ["gradient"], target=1)
    assert everything_about(network) == before


def test_the_second_call_equals_the_first():
    network, x = make(networks.Functional), states()
    first, second = (ps.attribute(network, x, METHODS, target=1) for _ in range(2))
    assert all(torch.equal(first[m], second[m]) for m in METHODS)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 4))
def test_every_state_is_explained_by_itself_whatever_else_is_in_the_batch(order, action):
    network, x = make(networks.Functional), states(6)
    whole = ps.attribute(network, x, METHODS, target=action)
    part = ps.attribute(network, x[order], METHODS, target=action)
    for method in METHODS:
        assert torch.allclose(part[method], whole[method][order], atol=1e-12), method


@settings(max_examples=15)
@given(st.floats(1e-6, 1e6))
def test_scaling_the_target_scales_linear_maps_and_leaves_scale_free_ones(factor):
    network, x = make(networks.Functional), states(2)
    plain = ps.attribute(network, x, METHODS, target=lambda y: y[:, 2])
    scaled = ps.attribute(network, x, METHODS, target=lambda y: factor * y[:, 2])
    for method in ("gradient", "guided_backprop", "grad_cam", "g1_grad_cam", "guided_grad_cam"):
        power = 2 if method == "guided_grad_cam" else 1
        assert torch.allclose(scaled[method], factor**power * plain[method], rtol=1e-6, atol=0), method
    assert torch.allclose(scaled["full_grad"], plain["full_grad"], rtol=1e-6)


def test_two_threads_can_explain_one_model_at_once():
    network, x = make(networks.FrozenAndTraining), states(4)
    wanted = [ps.attribute(network, x, METHODS, target=a) for a in range(4)]
    results, errors = {}, []

    def work(action):
        try:
            for _ in range(5):
                results[action] = ps.attribute(network, x, METHODS, target=action)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(a,)) for a in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert network.training
    for action, expected in enumerate(wanted):
        assert all(torch.allclose(results[action][m], expected[m], atol=1e-12) for m in METHODS)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_it_works_inside_no_grad_and_inference_mode(context):
    network, x = make(networks.Functional), states()
    wanted = ps.attribute(network, x, ["guided_backprop"], target=1)["guided_backprop"]
    with context():
        given = ps.attribute(network, states(), ["guided_backprop"], target=1)["guided_backprop"]
    assert torch.equal(given, wanted)


def test_a_compiled_module_is_explained_like_the_one_it_was_made_from():
    network, x = make(networks.Functional), states()
    compiled = torch.compile(network)
    wanted = ps.attribute(network, x, ["gradient", "guided_backprop", "grad_cam"], target=1, layer="conv2")
    given = ps.attribute(compiled, x, ["gradient", "guided_backprop", "grad_cam"], target=1, layer="conv2")
    assert all(torch.equal(given[m], wanted[m]) for m in wanted)
    assert not torch.equal(given["gradient"], given["guided_backprop"])


def test_a_scripted_module_is_refused():
    scripted = torch.jit.trace(make(networks.Modules), states())
    with pytest.raises(TargetError, match="scripted"):
        ps.attribute(scripted, states(), ["guided_backprop"], target=1)


def test_a_target_cut_off_by_no_grad_is_an_error_that_names_where():
    class Cut(networks.Modules):
        def forward(self, x):
            with torch.no_grad():
                x = self.conv1(x)
            return self.fc2(self.fc1(self.conv2(x).flatten(1)))

    with pytest.raises(TargetError, match=r"conv2d under torch.no_grad\(\) at .*test_trace.py:\d+"):
        ps.attribute(make(Cut), states(), ["gradient"], target=1)


def test_a_target_cut_off_by_detach_is_an_error_that_names_where():
    class Cut(networks.Modules):
        def forward(self, x):
            return self.fc2(self.fc1(self.conv2(self.conv1(x).detach()).flatten(1)))

    with pytest.raises(TargetError, match=r"detach\(\) at .*test_trace.py:\d+"):
        ps.attribute(make(Cut), states(), ["gradient"], target=1)


def test_a_target_that_ignores_the_input_is_an_error():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.ones(5))

        def forward(self, x):
            return self.bias.expand(len(x), 5)

    with pytest.raises(TargetError, match="does not depend on it"):
        ps.attribute(Constant(), states(), ["gradient"], target=1)


def test_a_layer_that_did_not_run_is_an_error_that_lists_those_that_did():
    class Unused(networks.Modules):
        def __init__(self):
            super().__init__()
            self.spare = nn.Conv2d(3, 3, 1)

    for layer in ("spare", "nowhere", 3):
        with pytest.raises(TargetError, match=r"1 \(conv1\), 2 \(conv2\)"):
            ps.attribute(make(Unused), states(), ["grad_cam"], target=1, layer=layer)


def test_bytes_are_explained_at_the_first_float_made_of_them():
    class TakesBytes(networks.Modules):
        def forward(self, x):
            return super().forward(x.double() / 255)

    network, x = make(TakesBytes), (states() * 255).byte()
    given = ps.attribute(network, x, ["gradient", "grad_cam"], target=1)
    wanted = ps.attribute(make(networks.Modules), x.double() / 255, ["gradient", "grad_cam"], target=1)
    assert torch.allclose(given["gradient"], wanted["gradient"] / 255)
    assert torch.allclose(given["grad_cam"], wanted["grad_cam"])


def test_layers_with_computed_weights_keep_their_names():
    network = make(networks.Modules)
    nn.utils.parametrizations.weight_norm(network.conv1)
    nn.utils.parametrizations.spectral_norm(network.conv2)
    given = ps.attribute(network, states(), ["grad_cam"], target=1, layer="conv2")["grad_cam"]
    assert torch.equal(given, ps.attribute(network, states(), ["grad_cam"], target=1, layer=2)["grad_cam"])


def test_a_convolution_used_twice_adds_its_calls_before_the_relu():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3 * 484, 5)

        def forward(self, x):
            return self.fc(F.relu(self.conv(F.relu(self.conv(x)))).flatten(1))

    network, x = make(Twice), states()
    probe = x.clone().requires_grad_()
    first = F.relu(network.conv(probe))
    second = F.relu(network.conv(first))
    grads = torch.autograd.grad(network.fc(second.flatten(1))[:, 2].sum(), [first, second])
    total = sum((g.mean((2, 3), keepdim=True) * a).sum(1) for a, g in zip((first, second), grads, strict=True))
    given = ps.attribute(network, x, ["grad_cam"], target=2, layer="conv")["grad_cam"]
    assert torch.allclose(given, total.clamp(min=0).detach(), atol=1e-12)
    guided = ps.attribute(network, x, ["full_grad"], target=2, check_completeness=True)
    assert guided.completeness.remainder.abs().max() < 1e-12


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding"),
    [((9, 4, 84, 84), 8, 4, 0), ((2, 3, 21, 26), 4, 2, 1), ((3, 2, 19, 17), 6, 3, (2, 0)), ((1, 1, 12, 12), 2, 2, 0)],
)
def test_the_phased_way_back_through_a_strided_convolution_is_the_gradient(shape, kernel, stride, padding):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(shape[1], 5, kernel, stride, padding), nn.Flatten()).double()
    x = torch.rand(shape, dtype=torch.float64)
    probe = x.clone().requires_grad_()
    weights = torch.rand_like(network(x))
    wanted = torch.autograd.grad((network(probe) * weights).sum(), probe)[0]
    given = ps.attribute(network, x, ["gradient"], target=lambda y: (y * weights).sum(1))["gradient"]
    assert torch.allclose(given, wanted, atol=1e-12)
