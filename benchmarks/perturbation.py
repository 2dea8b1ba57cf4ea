"""Noise saliency of one frame: all regions as one batch, against loops over regions.

python benchmarks/perturbation.py [--threads 2]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import tyro
from measure import medians
from methods import network
from scipy.ndimage import gaussian_filter
from torch import Tensor

import policyscope as ps
from policyscope.saliency.perturbation import Regions, gaussian_blur
from policyscope.saliency.resize import to_size


@dataclass
class Options:
    threads: int = 2
    repeats: int = 7


def published_loop(model: torch.nn.Module, x: Tensor) -> Tensor:
    """As the method's authors published it (Greydanus et al., 2018): mask, blur and pass, region by region."""
    frame = x[0, -1].numpy()
    with torch.no_grad():
        base, scores = model(x), []
        for i in range(0, 84, 5):
            for j in range(0, 84, 5):
                mask = np.zeros((84, 84), np.float32)
                mask[i, j] = 1
                mask = gaussian_filter(mask, sigma=5)
                mask /= mask.max()
                changed = x.clone()
                changed[0, -1] = torch.from_numpy(frame * (1 - mask) + gaussian_filter(frame, sigma=3) * mask)
                scores.append(0.5 * (base - model(changed)).square().sum())
    return to_size(torch.stack(scores).view(1, *Regions().grid((84, 84))), (84, 84))


def tight_loop(model: torch.nn.Module, x: Tensor) -> Tensor:
    """The same with masks and blur made once: what is left is a forward pass a region."""
    regions = Regions()
    masks = regions.masks((84, 84), x)
    with torch.no_grad():
        blurred = gaussian_blur(x[:, -1], regions.blur)
        base, scores = model(x), []
        for mask in masks:
            changed = x.clone()
            changed[:, -1] = x[:, -1] * (1 - mask) + blurred * mask
            scores.append(0.5 * (base - model(changed)).square().sum())
    return to_size(torch.stack(scores).view(1, *regions.grid((84, 84))), (84, 84))


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    model, x = network().requires_grad_(False), torch.rand(1, 4, 84, 84)

    def batched() -> Tensor:
        return ps.attribute(model, x, ["noise_saliency"], target=0)["noise_saliency"]

    assert torch.allclose(tight_loop(model, x), batched(), rtol=1e-3, atol=1e-7)
    seconds = medians(
        {
            "loop as published": lambda: published_loop(model, x),
            "tight loop": lambda: tight_loop(model, x),
            "policyscope": batched,
        },
        options.repeats,
    )
    for name, value in seconds.items():
        print(f"{name:22} {value * 1000:8.1f} ms   {value / seconds['policyscope']:6.1f} x")


if __name__ == "__main__":
    main(tyro.cli(Options))
