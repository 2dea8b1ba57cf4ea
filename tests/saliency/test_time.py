"""Time-distributed and recurrent networks: every lag has its map."""

import pytest
import torch
import torch.nn.functional as F
from networks import states
from torch import nn

import policyscope as ps
from policyscope.saliency.plan import METHODS

LAGS = 4


class Recurrent(nn.Module):
    """Frames through one convolutional body, then an LSTM or GRU; fed as ``how`` says."""

    def __init__(self, cell, how):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 4, 2), nn.Conv2d(4, 4, 3, 2)
        self.memory, self.fc = cell(4 * 16, 12, batch_first=True), nn.Linear(12, 5)
        self.how = how

    def body(self, frames):
        return F.relu(self.conv2(F.relu(self.conv1(frames)))).flatten(1)

    def forward(self, x):
        if self.how == "batch first":
            features = self.body(x.flatten(0, 1)).view(len(x), LAGS, -1)
        elif self.how == "time first":
            features = self.body(x.transpose(0, 1).flatten(0, 1)).view(LAGS, len(x), -1).transpose(0, 1)
        elif self.how == "frame by frame":
            features = torch.stack([self.body(x[:, t]) for t in range(LAGS)], dim=1)
        else:
            features = torch.stack([self.body(x[:, t]) for t in reversed(range(LAGS))], dim=1).flip(1)
        return self.fc(self.memory(features)[0][:, -1])


def windows():
    return states(12).view(3, LAGS, 3, 22, 22)


@pytest.mark.parametrize("how", ["batch first", "time first", "frame by frame", "backwards"])
@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_each_lags_map_belongs_to_its_frame_however_the_network_is_fed(cell, how):
    network, x = Recurrent(cell, how).double().eval(), windows()
    given = ps.attribute(network, x, METHODS, target=2)
    probe = x.clone().requires_grad_()
    activation = torch.relu(network.conv1(probe.flatten(0, 1)))
    features = torch.relu(network.conv2(activation)).flatten(1).view(3, LAGS, -1)
    output = network.fc(network.memory(features)[0][:, -1])[:, 2].sum()
    dx, da = torch.autograd.grad(output, [probe, activation])
    cam = (da.mean((2, 3), keepdim=True) * activation).sum(1).clamp(min=0).view(3, LAGS, 10, 10)
    cam = F.interpolate(cam, size=(22, 22), mode="bilinear", align_corners=False)
    assert torch.allclose(given["gradient"], dx, atol=1e-14)
    assert torch.allclose(given["grad_cam"], cam, atol=1e-14)
    assert given["guided_grad_cam"].shape == x.shape
    for method in ("g1_grad_cam", "grad_cam_pp", "full_grad", "full_grad_pp"):
        assert given[method].shape == (3, LAGS, 22, 22)


@pytest.mark.parametrize("method", METHODS)
def test_one_state_alone_equals_the_same_in_a_batch(method):
    network, x = Recurrent(nn.LSTM, "time first").double().eval(), windows()
    whole = ps.attribute(network, x, [method], target=2)[method]
    for index in range(3):
        alone = ps.attribute(network, x[index : index + 1], [method], target=2)[method]
        assert torch.allclose(alone[0], whole[index], atol=1e-13)


def test_the_guided_rule_of_a_recurrent_network_clips_its_rectifiers_only():
    network, x = Recurrent(nn.GRU, "frame by frame").double().eval(), windows()
    probe = x.clone().requires_grad_()
    z1 = network.conv1(probe.flatten(0, 1))
    z2 = network.conv2(torch.relu(z1))
    features = torch.relu(z2).detach().requires_grad_()
    output = network.fc(network.memory(features.flatten(1).view(3, LAGS, -1))[0][:, -1])[:, 0].sum()
    g = torch.autograd.grad(output, features)[0]
    g = g.clamp(min=0) * (z2 > 0)
    g = (
        torch.autograd.grad(z2, z1, g, retain_graph=True)[0]
        if False
        else F.conv_transpose2d(g, network.conv2.weight, stride=2, output_padding=1)[:, :, :10, :10]
    )
    g = g.clamp(min=0) * (z1 > 0)
    wanted = F.conv_transpose2d(g, network.conv1.weight, stride=2).view_as(x)
    given = ps.attribute(network, x, ["guided_backprop"], target=0)["guided_backprop"]
    assert torch.allclose(given, wanted.detach(), atol=1e-13)
