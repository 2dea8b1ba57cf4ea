"""Networks that break careless saliency code.

Each has a careless ``forward`` (functional, in-place, reused …) and a ``reference`` that says the same cleanly: it is
given the rectifier to use and returns the output, each layer's activation and each layer's raw output ``z`` with its
bias, so that an oracle can differentiate them without any watching.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

ACTIONS, SIZE = 5, 22


class Layers:
    """What a reference pass met: name -> (activation, z, bias)."""

    def __init__(self):
        self.activation, self.z, self.bias = {}, {}, {}

    def meet(self, name, activation, z, bias):
        self.activation[name], self.z[name], self.bias[name] = activation, z, bias


class Modules(nn.Module):
    """Distinct ReLU modules, the one kind that every peer handles."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 4, 2), nn.Conv2d(6, 8, 3)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.fc1, self.fc2 = nn.Linear(8 * 8 * 8, 16), nn.Linear(16, ACTIONS)

    def forward(self, x):
        x = self.relu1(self.conv1(x))
        x = self.relu2(self.conv2(x))
        return self.fc2(self.relu3(self.fc1(x.flatten(1))))

    def reference(self, x, rectify):
        met = Layers()
        z1 = self.conv1(x)
        a1 = rectify(z1)
        z2 = self.conv2(a1)
        a2 = rectify(z2)
        met.meet("conv1", a1, z1, self.conv1.bias)
        met.meet("conv2", a2, z2, self.conv2.bias)
        return self.fc2(rectify(self.fc1(a2.flatten(1)))), met


class Functional(Modules):
    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return self.fc2(self.fc1(x.view(len(x), -1)).clamp(min=0))


class InPlace(Modules):
    def forward(self, x):
        x = self.conv1(x)
        x.relu_()
        x = F.relu(self.conv2(x), inplace=True)
        return self.fc2(torch.relu_(self.fc1(x.flatten(1))))


class OneReluForAll(Modules):
    def forward(self, x):
        x = self.relu1(self.conv1(x))
        x = self.relu1(self.conv2(x))
        return self.fc2(self.relu1(self.fc1(x.flatten(1))))


class WritesIntoItsInput(Modules):
    def forward(self, x):
        x += 0.0
        return super().forward(x.mul_(1.0))


class BypassedRectifier(nn.Module):
    """A pre-activation skip: the sum bypasses the rectifier, whose clipping must not touch it."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 6, 4, 2), nn.Conv2d(6, 6, 3, padding=1)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(6 * 10 * 10, ACTIONS)

    def forward(self, x):
        z = self.conv1(x)
        return self.fc(self.relu(z + self.conv2(self.relu(z))).flatten(1))

    def reference(self, x, rectify):
        met = Layers()
        z1 = self.conv1(x)
        a1 = rectify(z1)
        z2 = self.conv2(a1)
        met.meet("conv1", a1, z1, self.conv1.bias)
        met.meet("conv2", z2, z2, self.conv2.bias)  # reaches its rectifier through a sum: the raw output counts
        return self.fc(rectify(z1 + z2).flatten(1)), met


class ResidualInPlace(BypassedRectifier):
    """A post-activation skip, added in place into the rectifier's output."""

    def forward(self, x):
        a = F.elu(self.conv1(x), alpha=0.0)  # ReLU by another name, whose output may be overwritten
        saved = a.clone()
        a += self.conv2(saved)
        return self.fc(F.relu(a).flatten(1))

    def reference(self, x, rectify):
        met = Layers()
        z1 = self.conv1(x)
        a1 = rectify(z1)
        z2 = self.conv2(a1)
        met.meet("conv1", a1, z1, self.conv1.bias)
        met.meet("conv2", z2, z2, self.conv2.bias)
        return self.fc(rectify(a1 + z2).flatten(1)), met


class Normalised(nn.Module):
    """Batch norm with real statistics, and a pooled layer whose rectifier comes last."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn, self.conv2 = nn.Conv2d(3, 6, 4, 2), nn.BatchNorm2d(6), nn.Conv2d(6, 8, 3)
        self.fc = nn.Linear(8 * 4 * 4, ACTIONS)
        nn.init.uniform_(self.bn.running_mean, -0.5, 0.5)
        nn.init.uniform_(self.bn.running_var, 0.5, 2)
        nn.init.uniform_(self.bn.weight, 0.5, 1.5)
        nn.init.uniform_(self.bn.bias, -0.5, 0.5)

    def forward(self, x):
        x = F.relu(self.bn(self.conv1(x)), True)
        return self.fc(F.relu(F.max_pool2d(self.conv2(x), 2)).flatten(1))

    def reference(self, x, rectify):
        met = Layers()
        z1 = self.conv1(x)
        scale = self.bn.weight / (self.bn.running_var + self.bn.eps).sqrt()
        shift = self.bn.bias - scale * self.bn.running_mean
        zn = z1 * scale[:, None, None] + shift[:, None, None]
        a1 = rectify(zn)
        z2 = self.conv2(a1)
        a2 = rectify(F.max_pool2d(z2, 2))
        met.meet("conv1", a1, z1, self.conv1.bias)
        met.meet("bn", a1, zn, shift)
        met.meet("conv2", a2, z2, self.conv2.bias)
        return self.fc(a2.flatten(1)), met


class FrozenAndTraining(Normalised):
    """Frozen parameters, left in training mode with dropout: explained as it acts."""

    def __init__(self):
        super().__init__()
        self.requires_grad_(False)
        self.dropout = nn.Dropout(0.5)
        self.train()

    def forward(self, x):
        x = F.relu(self.bn(self.conv1(x)), True)
        return self.fc(self.dropout(F.relu(F.max_pool2d(self.conv2(x), 2)).flatten(1)))


PLAIN = {
    n.__name__: n
    for n in (Modules, Functional, InPlace, OneReluForAll, WritesIntoItsInput, Normalised, FrozenAndTraining)
}
SKIPPING = {n.__name__: n for n in (BypassedRectifier, ResidualInPlace)}
ALL = {**PLAIN, **SKIPPING}


def make(kind, seed=0, dtype=torch.float64):
    torch.manual_seed(seed)
    network = kind()
    training = network.training if kind is FrozenAndTraining else False
    return network.to(dtype).train(training)


def states(count=3, seed=1, dtype=torch.float64, size=SIZE):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64).to(dtype)
