"""Every gradient method against its naive formula, on networks that break careless code."""

import networks
import pytest
import torch
from naive import fast_upsample, naive, upsample
from networks import ALL, make, states

import policyscope as ps
from policyscope.saliency.plan import METHODS
from policyscope.saliency.resize import to_size


def close(given, wanted, tolerance):
    scale = wanted.abs().max()
    assert given.shape == wanted.shape
    assert (given.double() - wanted).abs().max() <= tolerance * max(float(scale), 1e-12)


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ALL)
def test_each_method_equals_its_naive_formula(kind, method, layer):
    network, x = make(ALL[kind]), states()
    actions = torch.tensor([0, 3, 4])
    given = ps.attribute(network, x.clone(), [method], target=actions, layer=layer)[method]
    for index, action in enumerate(actions.tolist()):
        close(given[index], naive(method, network, x[index], action, layer), 1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["Functional", "Normalised", "BypassedRectifier"])
def test_single_precision_is_within_a_ten_thousandth(kind, method):
    x = states()
    wanted = naive(method, make(ALL[kind]), x[0], 2, "conv1")
    given = ps.attribute(make(ALL[kind], dtype=torch.float32), x.float(), [method], target=2, layer=1)[method]
    close(given[0], wanted, 1e-4)


def test_resizing_is_bilinear_by_its_definition():
    image = torch.rand(5, 7, dtype=torch.float64)
    for size in ((5, 7), (22, 22), (13, 40), (3, 4)):
        close(fast_upsample(image, size), upsample(image, size), 1e-12)
        close(to_size(image[None], size)[0], upsample(image, size), 1e-12)


@pytest.mark.parametrize("kind", ALL)
def test_a_whole_batch_of_methods_equals_one_at_a_time(kind):
    network, x = make(ALL[kind]), states()
    together = ps.attribute(network, x.clone(), METHODS, target=1, layer="conv1")
    for method in METHODS:
        alone = ps.attribute(network, x.clone(), [method], target=1, layer="conv1")[method]
        assert torch.equal(together[method], alone)


@pytest.mark.parametrize("kind", ["Modules", "Normalised", "InPlace", "BypassedRectifier"])
def test_full_grad_terms_add_up_to_the_target(kind):
    network, x = make(ALL[kind]), states()
    result = ps.attribute(network, x, ["full_grad"], target=2, check_completeness=True)
    terms = result.completeness
    assert terms.remainder.abs().max() < 1e-12
    assert torch.allclose(terms.target, network(x)[:, 2])
    assert terms.biases.keys() >= {"conv1", "conv2"}


def test_what_full_grad_cannot_explain_is_reported():
    class Curved(networks.Modules):
        def forward(self, x):
            return super().forward(x).sigmoid()

    result = ps.attribute(make(Curved), states(), ["full_grad"], target=2, check_completeness=True)
    assert result.completeness.remainder.abs().min() > 1e-3


def test_full_grad_pp_says_how_it_weighed_the_layers():
    result = ps.attribute(make(networks.Modules), states(), ["full_grad_pp"], target=0)
    assert list(result.layer_weights) == ["conv1", "conv2"]
    assert torch.allclose(sum(result.layer_weights.values()), torch.ones(3, dtype=torch.float64))


def test_the_blogs_variants_are_its_printed_formulas():
    network, x = make(networks.Modules), states(1)
    probe = x.clone().requires_grad_()
    output, met = network.reference(probe, torch.relu)
    grads = torch.autograd.grad(output[0, 1], [*met.activation.values(), *met.z.values()])
    a = {n: v[0].detach() for n, v in met.activation.items()}
    da, dz = dict(zip(a, grads[:2], strict=True)), dict(zip(a, grads[2:], strict=True))
    size = x.shape[-2:]
    full, pp, shares = 0, 0, 0
    for name in a:
        g, bias = da[name][0], met.bias[name].detach()[:, None, None]
        full = full + fast_upsample((a[name] * g + bias * dz[name][0]).sum(0), size)
        alpha = g**2 / (2 * g**2 + a[name] * g**3 + 1e-7)
        pp = pp + a[name].mean() * fast_upsample((alpha * a[name]).sum(0).clamp(min=0), size)
        shares = shares + a[name].mean()
    g = da["conv2"][0]
    third = (a["conv2"] * g**3).sum(dim=(1, 2), keepdim=True)
    weights = (g**2 / (2 * g**2 + third + 1e-7)).sum(dim=(1, 2))
    cam = fast_upsample((weights[:, None, None] * a["conv2"]).sum(0).clamp(min=0), size)
    variants = dict.fromkeys(["full_grad", "full_grad_pp", "grad_cam_pp"], "blog_text")
    given = ps.attribute(network, x, list(variants), target=1, layer="conv2", variants=variants)
    close(given["full_grad"][0], full, 1e-9)
    close(given["full_grad_pp"][0], pp / shares, 1e-9)
    close(given["grad_cam_pp"][0], cam, 1e-9)


def test_the_blogs_code_weighs_a_layer_by_its_sum_over_space():
    network, x = make(networks.Modules), states()
    mean = ps.attribute(network, x, ["full_grad_pp"], target=0)
    total = ps.attribute(network, x, ["full_grad_pp"], target=0, variants={"full_grad_pp": "blog_code"})
    first, second = (mean.layer_weights[n] for n in ("conv1", "conv2"))
    share = first * 100 / (first * 100 + second * 64)  # conv1 is 10 x 10, conv2 8 x 8
    assert torch.allclose(total.layer_weights["conv1"], share)
    assert not torch.allclose(total["full_grad_pp"], mean["full_grad_pp"])


def test_the_papers_code_multiplies_positive_by_positive():
    network, x = make(networks.Modules), states()
    names = ["g1_grad_cam", "guided_backprop", "g2_grad_cam"]
    given = ps.attribute(network, x, names, target=0, variants={"g2_grad_cam": "paper_code"})
    wanted = given["g1_grad_cam"][:, None] * given["guided_backprop"].clamp(min=0)
    assert torch.allclose(given["g2_grad_cam"], wanted)
