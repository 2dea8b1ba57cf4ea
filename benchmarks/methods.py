"""Nine gradient methods against one bare pass, and six of them by captum and pytorch-grad-cam.

    python benchmarks/methods.py [--batch 128] [--threads 2]

The unit is one forward pass and one backward pass to the input of the same batch: nature CNN, float32, frozen
parameters, full-size maps. Peers that are not installed are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
import tyro
from measure import medians
from stubs import stub_torchvision
from torch import nn

import policyscope as ps
from policyscope.saliency.plan import METHODS


@dataclass
class Options:
    batch: int = 128
    threads: int = 2
    repeats: int = 9


def network() -> nn.Sequential:
    """The nature CNN with distinct, out-of-place rectifiers, so that every peer can do its work."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 6)).eval()


def peers(model: nn.Sequential, x: torch.Tensor, target: torch.Tensor) -> dict[str, Callable[[], object]]:
    """Each peer's way to each method, at full size."""
    found: dict[str, Callable[[], object]] = {}
    warnings.filterwarnings("ignore")
    try:
        from captum import attr
    except ImportError:
        print("captum is not installed")
    else:

        def resized(maps: torch.Tensor) -> torch.Tensor:
            return attr.LayerAttribution.interpolate(maps, (84, 84), "bilinear")

        found["captum gradient"] = lambda: attr.Saliency(model).attribute(x.clone(), target=target, abs=False)
        found["captum guided backprop"] = lambda: attr.GuidedBackprop(model).attribute(x.clone(), target=target)
        found["captum Grad-CAM"] = lambda: resized(
            attr.LayerGradCam(model, model[1]).attribute(x, target=target, relu_attributions=True)
        )
        found["captum guided Grad-CAM"] = lambda: attr.GuidedGradCam(model, model[1]).attribute(
            x.clone(), target=target, interpolate_mode="bilinear"
        )
    try:
        stub_torchvision()
        import pytorch_grad_cam as pgc
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
    except ImportError as error:
        print(f"pytorch-grad-cam is not installed ({error})")
    else:
        chosen = [ClassifierOutputTarget(int(t)) for t in target]
        for name, kind in (("Grad-CAM++", pgc.GradCAMPlusPlus), ("FullGrad", pgc.FullGrad)):

            def run(kind: type = kind) -> object:
                with kind(model=model, target_layers=[model[0] if kind is pgc.FullGrad else model[1]]) as cam:
                    return cam(input_tensor=x.clone(), targets=chosen)

            found[f"pytorch-grad-cam {name}"] = run
    return found


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    model = network().requires_grad_(False)
    x, target = torch.rand(options.batch, 4, 84, 84), torch.arange(options.batch) % 6

    def bare() -> object:
        leaf = x.detach().requires_grad_()
        return torch.autograd.grad(model(leaf).gather(1, target[:, None]).sum(), leaf)

    def ours(methods: list[str]) -> Callable[[], object]:
        return lambda: ps.attribute(model, x, methods, target=target)

    candidates: dict[str, Callable[[], object]] = {
        "one bare pass": bare,
        "policyscope, nine methods": ours(list(METHODS)),
    }
    candidates |= {f"policyscope {name}": ours([name]) for name in METHODS}
    rivals = peers(network(), x, target)  # parameters with gradients: pytorch-grad-cam's FullGrad wants them
    seconds = medians(candidates | rivals, options.repeats)
    unit = seconds["one bare pass"]
    print(f"\nnature CNN, batch {options.batch}, {options.threads} threads; one bare pass: {unit * 1000:.1f} ms")
    for name, value in seconds.items():
        print(f"{name:38} {value / unit:6.2f} x")
    if rivals:
        total = sum(seconds[name] for name in rivals)
        print(f"{'peers, these six methods together':38} {total / unit:6.2f} x")
        print(f"{'peers (six) / policyscope (nine)':38} {total / seconds['policyscope, nine methods']:6.2f}")


if __name__ == "__main__":
    main(tyro.cli(Options))
