"""Naive float64 formulas, one state and one loop at a time: the oracle of every gradient method."""

from __future__ import annotations

import torch
import torch.nn.functional as F


class GuidedReLU(torch.autograd.Function):
    """Springenberg et al.: the gradient passes where the input was positive and the gradient is positive."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (g > 0) * (x > 0)


def upsample(image, size):
    """Bilinear, half-pixel centres, edges repeated: straight from the definition."""
    h, w = image.shape
    result = torch.zeros(size, dtype=image.dtype)
    for i in range(size[0]):
        y = min(max((i + 0.5) * h / size[0] - 0.5, 0), h - 1)
        y0 = int(y)
        y1 = min(y0 + 1, h - 1)
        for j in range(size[1]):
            x = min(max((j + 0.5) * w / size[1] - 0.5, 0), w - 1)
            x0 = int(x)
            x1 = min(x0 + 1, w - 1)
            top = image[y0, x0] * (1 - (x - x0)) + image[y0, x1] * (x - x0)
            bottom = image[y1, x0] * (1 - (x - x0)) + image[y1, x1] * (x - x0)
            result[i, j] = top * (1 - (y - y0)) + bottom * (y - y0)
    return result


def fast_upsample(image, size):
    return F.interpolate(image[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]


def passes(network, x, action, guided):
    """Gradients of one state's target at the input, at every activation and at every z."""
    x = x[None].clone().requires_grad_()
    training = network.training
    network.eval()
    output, met = network.reference(x, GuidedReLU.apply if guided else torch.relu)
    points = [x, *met.activation.values(), *met.z.values()]
    grads = torch.autograd.grad(output[0, action], points, allow_unused=True)
    network.train(training)
    names = list(met.activation)
    at_activation = dict(zip(names, grads[1 : 1 + len(names)], strict=True))
    at_z = dict(zip(names, grads[1 + len(names) :], strict=True))
    return output.detach(), grads[0][0], at_activation, at_z, met


def psi(values):
    values = values.abs()
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else torch.zeros_like(values)


def naive(method, network, x, action, layer):
    """One state's map."""
    size = x.shape[-2:]
    if method == "gradient":
        return passes(network, x, action, guided=False)[1]
    if method == "guided_backprop":
        return passes(network, x, action, guided=True)[1]
    if method == "guided_grad_cam":
        return naive("grad_cam", network, x, action, layer)[None] * naive("guided_backprop", network, x, action, layer)
    if method == "g2_grad_cam":
        return naive("g1_grad_cam", network, x, action, layer)[None] * naive(
            "guided_backprop", network, x, action, layer
        )
    _, dx, at_activation, at_z, met = passes(network, x, action, guided=method == "g1_grad_cam")
    if method == "full_grad":
        total = psi(dx * x).sum(0)
        for name, z in met.z.items():
            product = met.bias[name].detach()[:, None, None] * at_z[name][0]
            for channel in psi(product):
                total = total + fast_upsample(channel, size)
            assert z.shape[1] == len(met.bias[name])
        return total
    if method == "full_grad_pp":
        maps, weights = [], []
        for name in met.activation:
            a, g = met.activation[name][0].detach(), at_z[name][0]
            cam = torch.zeros(a.shape[1:], dtype=a.dtype)
            for k in range(len(a)):
                alpha = g[k] ** 2 / (2 * g[k] ** 2 + a[k].clamp(min=0).sum() * g[k] ** 3 + 1e-7)
                cam = cam + (alpha * g[k].clamp(min=0)).sum() * a[k]
            maps.append(fast_upsample(psi(cam.clamp(min=0)), size))
            weights.append(a.abs().mean())
        return sum(w * m for w, m in zip(weights, maps, strict=True)) / sum(weights)
    a, g = met.activation[layer][0].detach(), at_activation[layer][0]
    cam = torch.zeros(a.shape[1:], dtype=a.dtype)
    for k in range(len(a)):
        if method in ("grad_cam", "g1_grad_cam"):
            weight = g[k].mean()
        else:
            weight = 0.0
            total = a[k].clamp(min=0).sum()
            for value in g[k].flatten():
                if value > 0:
                    weight = weight + value**2 / (2 * value**2 + total * value**3) * value
        cam = cam + weight * a[k]
    return fast_upsample(cam.clamp(min=0), size)
