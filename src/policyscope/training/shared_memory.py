"""Weights in memory that several processes see, and optimisers whose statistics lie there too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


class SharedRMSprop(torch.optim.Optimizer):
    """RMSprop whose average of squares g is one for all workers (Mnih et al., 2016, Eq. S2 and S3).

        g <- a g + (1 - a) d^2
        w <- w - rate d / sqrt(g + eps)

    torch's own adds eps after the root, which moves weights of small gradients much further.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, smoothing: float, eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "smoothing": smoothing, "eps": eps})
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["square_avg"] = torch.zeros_like(parameter)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Moves the weights along their gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient, average = parameter.grad, self.state[parameter]["square_avg"]
                average.mul_(group["smoothing"]).addcmul_(gradient, gradient, value=1 - group["smoothing"])
                parameter.addcdiv_(gradient, (average + group["eps"]).sqrt_(), value=-group["lr"])


def shared_adam(parameters: Iterable[Tensor], lr: float, eps: float) -> torch.optim.Adam:
    """Adam whose moments are there from the beginning: left alone, each worker would make its own at its first step."""
    adam = torch.optim.Adam(parameters, lr, eps=eps, fused=True)
    for parameter in adam.param_groups[0]["params"]:
        adam.state[parameter] = {
            "step": torch.zeros(()),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
    return adam


def share(network: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Puts weights and statistics where other processes see them."""
    network.share_memory()
    for parameter, statistics in optimiser.state.items():
        for name, value in statistics.items():
            # Of the weights' own layout in memory, which a restored checkpoint does not have.
            placed = torch.empty_like(parameter) if value.shape == parameter.shape else torch.empty_like(value)
            statistics[name] = placed.detach().copy_(value).share_memory_()
