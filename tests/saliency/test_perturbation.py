"""Noise saliency and SARFA against loops over regions that follow the papers' formulas."""

import networks
import numpy as np
import pytest
import torch
from networks import make, states
from scipy.ndimage import gaussian_filter
from scipy.special import softmax
from scipy.stats import entropy

import policyscope as ps
from policyscope.saliency.perturbation import Regions, gaussian_blur
from policyscope.saliency.resize import to_size


def perturbations(image, step):
    """Greydanus et al.: I (1 - M) + blur_3(I) M around each grid point, newest picture only."""
    height, width = image.shape[1:]
    blurred = gaussian_filter(image[-1], sigma=3)
    rows, columns = np.mgrid[:height, :width]
    for i in range(0, height, step):
        for j in range(0, width, step):
            mask = np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / (2 * 5**2))
            changed = image.copy()
            changed[-1] = image[-1] * (1 - mask) + blurred * mask
            yield changed


def scores(network, image, step, score):
    with torch.no_grad():
        base = network(torch.from_numpy(image)[None])[0].numpy()
        values = [score(base, network(torch.from_numpy(p)[None])[0].numpy()) for p in perturbations(image, step)]
    side = len(range(0, image.shape[1], step))
    return to_size(torch.tensor(values).view(1, side, side), image.shape[1:])[0]


def noise(base, changed):
    return 0.5 * ((base - changed) ** 2).sum()


def relevant(action):
    def score(base, changed):
        drop = softmax(base)[action] - softmax(changed)[action]
        if drop <= 0:
            return 0.0
        k = 1 / (1 + entropy(softmax(np.delete(changed, action)), softmax(np.delete(base, action))))
        return 2 * k * drop / (k + drop)

    return score


def test_both_equal_loops_over_regions():
    network, x = make(networks.Modules), states()
    given = ps.attribute(network, x, ["noise_saliency", "sarfa"], target=torch.tensor([0, 1, 2]))
    for index in range(3):
        image = x[index].numpy()
        assert torch.allclose(given["noise_saliency"][index], scores(network, image, 5, noise), atol=1e-12)
        assert torch.allclose(given["sarfa"][index], scores(network, image, 5, relevant(index)), atol=1e-9)
    assert given["sarfa"].max() > 0


def test_sarfa_explains_the_action_that_is_named_in_whatever_way():
    network, x = make(networks.Modules), states()
    wanted = [ps.attribute(network, x, ["sarfa"], target=action)["sarfa"] for action in range(networks.ACTIONS)]
    for name in ("2", "contrast:2", torch.tensor(2), torch.tensor([2, 2, 2])):
        assert torch.equal(ps.attribute(network, x, ["sarfa"], target=name)["sarfa"], wanted[2])
    greedy = ps.attribute(network, x, ["sarfa"], target="greedy")["sarfa"]
    for state, action in enumerate(network(x).argmax(dim=1).tolist()):
        assert torch.allclose(greedy[state], wanted[action][state], atol=1e-12)


def test_the_blur_is_scipys():
    image = states(1)[0]
    assert torch.allclose(
        gaussian_blur(image, 3.0), torch.from_numpy(gaussian_filter(image.numpy(), (0, 3, 3))), atol=1e-12
    )
    tall = torch.rand(1, 7, 40, dtype=torch.float64)
    assert torch.allclose(
        gaussian_blur(tall, 3.0), torch.from_numpy(gaussian_filter(tall.numpy(), (0, 3, 3))), atol=1e-12
    )


def test_the_batch_size_changes_nothing():
    network, x = make(networks.Modules), states()
    small = ps.attribute(network, x, ["noise_saliency"], target=0, regions=Regions(batch=7))["noise_saliency"]
    assert torch.allclose(small, ps.attribute(network, x, ["noise_saliency"], target=0)["noise_saliency"], atol=1e-14)


def test_what_the_network_does_not_see_is_not_salient():
    class LeftHalf(networks.Modules):
        def forward(self, x):
            x = x.clone()
            x[..., 11:] = 0
            return super().forward(x)

    regions = Regions(step=1, sigma=1.0, blur=1.0)
    given = ps.attribute(make(LeftHalf), states(), ["noise_saliency"], target=0, regions=regions)["noise_saliency"]
    assert given[..., 18:].max() < 1e-6 * given.max()


class Scaled(networks.Modules):
    def forward(self, x):
        return super().forward(x * 2 - 0.1)


class ReadsItsInputTwice(networks.Modules):
    def forward(self, x):
        return super().forward(x) + x.mean((1, 2, 3))[:, None]


class JoinsItsInput(networks.Modules):
    def forward(self, x):
        return super().forward(torch.cat([x[:, :2], x[:, 2:]], dim=1))


class TwoBodies(networks.Modules):
    def __init__(self):
        super().__init__()
        self.other = torch.nn.Conv2d(3, 5, 22)

    def forward(self, x):
        return super().forward(x) + self.other(x).flatten(1)


class Circular(networks.Modules):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 6, 4, 2, padding=1, padding_mode="circular")
        self.fc1 = torch.nn.Linear(8 * 9 * 9, 16)


class Depthwise(networks.Modules):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 6, 4, 2, groups=3)


@pytest.mark.parametrize("kind", [Scaled, ReadsItsInputTwice, JoinsItsInput, TwoBodies, Circular, Depthwise])
def test_whatever_a_network_does_with_its_input_it_sees_the_perturbed_one(kind):
    network, x = make(kind), states(2)
    given = ps.attribute(network, x, ["noise_saliency"], target=0)["noise_saliency"]
    for index in range(2):
        wanted = scores(network, x[index].numpy(), 5, noise)
        assert torch.allclose(given[index], wanted, rtol=1e-9, atol=1e-12)


def test_what_reads_its_input_unseen_sees_the_perturbed_one_too():
    class Unseen(networks.Modules):
        def forward(self, x):
            with torch._C.DisableTorchFunction():
                doubled = x * 2
            return super().forward(x) + doubled.mean((1, 2, 3))[:, None]

    network, x = make(Unseen), states(1)
    given = ps.attribute(network, x, ["noise_saliency"], target=0)["noise_saliency"]
    assert torch.allclose(given[0], scores(network, x[0].numpy(), 5, noise), rtol=1e-9, atol=1e-12)
