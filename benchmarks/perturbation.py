"""Noise saliency of one frame: all regions as one batch, against a straightforward loop over regions.

python benchmarks/perturbation.py [--threads 2]
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import tyro
from measure import medians
from methods import network
from torch import Tensor

import policyscope as ps
from policyscope.saliency.perturbation import Regions, gaussian_blur
from policyscope.saliency.resize import to_size


@dataclass
class Options:
    threads: int = 2
    repeats: int = 7


def loop(model: torch.nn.Module, x: Tensor) -> Tensor:
    """The formula as one would write it down: a forward pass a region."""
    regions = Regions()
    masks = regions.masks((84, 84), x)
    with torch.no_grad():
        blurred = gaussian_blur(x[:, -1], regions.blur)
        base = model(x)
        scores = []
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

    assert torch.allclose(loop(model, x), batched(), rtol=1e-3, atol=1e-7)
    seconds = medians({"loop over regions": lambda: loop(model, x), "policyscope, one batch": batched}, options.repeats)
    for name, value in seconds.items():
        print(f"{name:26} {value * 1000:8.1f} ms")
    print(f"{'ratio':26} {seconds['loop over regions'] / seconds['policyscope, one batch']:8.1f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
