"""Where and in what precision a network is trained: 16-bit products, 32-bit weights, channels last."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from policyscope.errors import RecipeError


class Compute:
    """A device, and how tensors come to it.

    Bytes become bfloat16 inputs in [0, 1]; matrix products run in bfloat16 (three times as fast as float32 on a
    processor that has them), everything that is added up over time stays in float32.
    """

    def __init__(self, device: str = "auto", threads: int = 1) -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(device)
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise RecipeError(f"there is no device {device!r} here: {str(error).splitlines()[0]}") from error
        torch.set_num_threads(threads)
        torch.set_flush_denormal(True)  # gradients that fade to denormals make a processor ten times slower

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, its convolutions channels-last."""
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def inputs(self, observations: Tensor) -> Tensor:
        """Bytes (B, …) as a network takes them, in [0, 1]."""
        scaled = observations.to(self.device, torch.bfloat16).div_(255)
        return scaled.contiguous(memory_format=torch.channels_last) if scaled.dim() == 4 else scaled

    def autocast(self) -> AbstractContextManager[Any]:
        """Products in bfloat16."""
        return torch.autocast(self.device.type, torch.bfloat16)

    def adam(self, network: nn.Module, learning_rate: float, eps: float = 1e-5) -> torch.optim.Adam:
        """Adam over a network's weights."""
        return torch.optim.Adam(network.parameters(), learning_rate, eps=eps, fused=True)


def hardware() -> str:
    """The machine in words, for a card."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        import platform

        model = platform.processor() or platform.machine()
    return f"{model}, no GPU"
