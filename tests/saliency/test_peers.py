"""Equality with the libraries that compute a method rightly, on the networks that they support."""

import networks
import pytest
import torch
from networks import make, states
from stubs import stub_torchvision
from torch import nn
from torch.nn.functional import interpolate

import policyscope as ps

captum = pytest.importorskip("captum.attr", reason="captum is not installed: pip install policyscope's group 'oracles'")


@pytest.fixture(scope="module")
def zennit():
    stub_torchvision()
    pytest.importorskip("zennit", reason="zennit is not installed: pip install policyscope's group 'oracles'")
    import zennit.attribution
    import zennit.composites

    return zennit


def agree(given, wanted, tolerance=1e-9):
    assert (given - wanted).abs().max() <= tolerance * wanted.abs().max()


DTYPES = [(torch.float64, 1e-9), (torch.float32, 1e-4)]


@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_gradient_equals_captums_saliency(dtype, tolerance):
    network, x = make(networks.Modules, dtype=dtype), states(dtype=dtype)
    wanted = captum.Saliency(network).attribute(x.clone(), target=2, abs=False)
    agree(ps.attribute(network, x, ["gradient"], target=2)["gradient"], wanted, tolerance)


@pytest.mark.filterwarnings("ignore:Setting")
@pytest.mark.parametrize(("dtype", "tolerance"), DTYPES)
def test_guided_backprop_equals_captums_on_plain_networks(dtype, tolerance):
    network, x = make(networks.Modules, dtype=dtype), states(dtype=dtype)
    wanted = captum.GuidedBackprop(network).attribute(x.clone(), target=2)
    agree(ps.attribute(network, x, ["guided_backprop"], target=2)["guided_backprop"], wanted, tolerance)


@pytest.mark.parametrize("layer", ["1", "2"])
def test_grad_cam_equals_captums_before_resizing(layer):
    network, x = make(networks.Modules), states()
    cam = captum.LayerGradCam(network, getattr(network, f"relu{layer}"))
    wanted = cam.attribute(x.clone(), target=2, relu_attributions=True).detach()
    wanted = interpolate(wanted, size=x.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    agree(ps.attribute(network, x, ["grad_cam"], target=2, layer=f"conv{layer}")["grad_cam"], wanted)


@pytest.mark.filterwarnings("ignore:Setting")
def test_guided_grad_cam_equals_captums_with_bilinear_interpolation():
    network, x = make(networks.Modules), states()
    wanted = captum.GuidedGradCam(network, network.relu2).attribute(x.clone(), target=2, interpolate_mode="bilinear")
    agree(ps.attribute(network, x, ["guided_grad_cam"], target=2, layer="conv2")["guided_grad_cam"], wanted.detach())


def test_guided_backprop_equals_zennits_on_residual_networks(zennit):
    class Residual(networks.BypassedRectifier):
        """The same with distinct rectifier modules, as zennit's hooks need them."""

        def __init__(self):
            super().__init__()
            self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

        def forward(self, x):
            z = self.conv1(x)
            return self.fc(self.relu2(z + self.conv2(self.relu1(z))).flatten(1))

    network, x = make(Residual), states()
    onehot = torch.zeros(len(x), networks.ACTIONS, dtype=torch.float64)
    onehot[:, 3] = 1
    with zennit.attribution.Gradient(network, zennit.composites.GuidedBackprop()) as attributor:
        _, wanted = attributor(x.clone(), onehot)
    agree(ps.attribute(network, x, ["guided_backprop"], target=3)["guided_backprop"], wanted)


def test_g1_grad_cam_equals_captums_grad_cam_inside_zennits_guided_context(zennit):
    network, x = make(networks.Modules), states()
    with zennit.composites.GuidedBackprop().context(network) as guided:
        wanted = (
            captum.LayerGradCam(guided, network.relu1).attribute(x.clone(), target=1, relu_attributions=True).detach()
        )
    wanted = interpolate(wanted, size=x.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    agree(ps.attribute(network, x, ["g1_grad_cam"], target=1)["g1_grad_cam"], wanted)


def test_grad_cam_pp_has_pytorch_grad_cams_weights_with_its_eps():
    stub_torchvision()
    pytest.importorskip("ttach", reason="pytorch-grad-cam needs ttach: pip install policyscope's group 'oracles'")
    peer = pytest.importorskip("pytorch_grad_cam.grad_cam_plusplus", reason="pytorch-grad-cam is not installed")
    network, x = make(networks.Modules), states()
    probe = x.clone().requires_grad_()
    output, met = network.reference(probe, torch.relu)
    activation = met.activation["conv1"]
    gradient = torch.autograd.grad(output[:, 2].sum(), activation)[0].numpy()
    a = activation.detach().numpy()
    weights = peer.GradCAMPlusPlus.get_cam_weights(None, None, None, None, a, gradient)
    cam = torch.from_numpy((weights[:, :, None, None] * a).sum(axis=1).clip(min=0))
    wanted = interpolate(cam[:, None], size=x.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    given = ps.attribute(network, x, ["grad_cam_pp"], target=2, variants={"grad_cam_pp": "published"})
    agree(given["grad_cam_pp"], wanted)
