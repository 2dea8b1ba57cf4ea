"""Where and in what precision a network is trained: 16-bit products where they are fast, channels last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from policyscope.errors import RecipeError

Precision = Literal["auto", "bfloat16", "float32"]
Streams = dict[str, Tensor]


class Compute:
    """A device, and how tensors come to it.

    Bytes become inputs in [0, 1]. Where the hardware multiplies in bfloat16, which takes half to a third of the time,
    matrix products do; weights, losses and all that is added up over time stay in float32.
    """

    def __init__(self, device: str = "auto", threads: int = 1, precision: Precision = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            self.device = torch.device(device)
            torch.empty(0, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise RecipeError(f"there is no device {device!r} here: {str(error).splitlines()[0]}") from error
        wide = precision == "float32" or (precision == "auto" and not _multiplies_in_16_bits(self.device))
        self._dtype = torch.float32 if wide else torch.bfloat16
        self._threads = threads

    @contextmanager
    def settings(self) -> Iterator[None]:
        """The whole process's settings while a network is trained, put back afterwards."""
        before = torch.get_num_threads()
        torch.set_num_threads(self._threads)
        torch.set_flush_denormal(True)  # gradients that fade to denormals make a processor ten times slower
        try:
            yield
        finally:
            torch.set_flush_denormal(False)
            torch.set_num_threads(before)

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, its convolutions channels-last."""
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def inputs(self, observations: Tensor) -> Tensor:
        """Bytes (B, …) as a network takes them, in [0, 1]."""
        scaled = observations.to(self.device, self._dtype).div_(255)
        return scaled.contiguous(memory_format=torch.channels_last) if scaled.dim() == 4 else scaled

    def autocast(self) -> AbstractContextManager[Any]:
        """Products in the precision that was chosen."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self._dtype == torch.bfloat16)

    def adam(self, network: nn.Module, learning_rate: float, eps: float = 1e-5) -> torch.optim.Adam:
        """Adam over a network's weights."""
        return torch.optim.Adam(network.parameters(), learning_rate, eps=eps, fused=True)


def floats(streams: Streams) -> Streams:
    """What a network said in 16 bits, in 32."""
    return {name: value.float() for name, value in streams.items()}


def _multiplies_in_16_bits(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # A processor without the instructions emulates them, slower than float32.
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and bool(supported())


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
