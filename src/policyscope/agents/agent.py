"""An agent: a policy network together with how it is fed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError

Streams = dict[str, Tensor]


@dataclass(frozen=True)
class ContinuousActions:
    """Bounds of a continuous action space; ``squash`` says that means go through tanh and are scaled to them."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    squash: bool = False


@dataclass(frozen=True)
class Agent:
    """A policy network and how it is fed.

    ``read`` turns what the network returns into streams, each (B, k) or (B,): ``q``, ``value``, ``advantage``,
    ``policy`` (logits, or means of continuous actions). A recurrent network has an integer attribute
    ``memory_size`` and maps ``(inputs, memory (B, memory_size))`` to ``(outputs, next memory)``; its memory at the
    start of an episode is zero.

    Attributes:
        network: The torch module, in evaluation mode.
        protocol: How the screen becomes an observation.
        streams: Names of the network's outputs.
        actions: Names of the actions (or of the dimensions of a continuous one).
        read: From the network's output to its streams.
        policy: How it acts unless told otherwise: ``greedy``, ``sample`` or ``epsilon=0.01``.
        continuous: The bounds where actions are continuous, else None.
        source: Where it came from, for people to read.
        facts: What the checkpoint tells about itself (algorithm, steps, seed …).
    """

    network: nn.Module
    protocol: Protocol
    streams: tuple[str, ...]
    actions: tuple[str, ...]
    read: Callable[[Any], Streams] = field(default=lambda outputs: outputs)
    policy: str = "greedy"
    continuous: ContinuousActions | None = None
    source: str = "python"
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def memory_size(self) -> int:
        """Width of the recurrent memory; 0 for a feed-forward network."""
        return int(getattr(self.network, "memory_size", 0))

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        tensors: list[Tensor] = [*self.network.parameters(), *self.network.buffers()]
        return tensors[0].device if tensors else torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """Floating type of the network's weights."""
        return next((p.dtype for p in self.network.parameters() if p.is_floating_point()), torch.float32)

    @property
    def layers(self) -> tuple[str, ...]:
        """Module paths of the convolutions, in the order of the modules."""
        kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
        return tuple(name for name, module in self.network.named_modules() if isinstance(module, kinds))

    @property
    def fingerprint(self) -> str:
        """A short hash of the network's weights, by which recordings know their agent."""
        return fingerprint(self)

    def to(self, device: str | torch.device) -> Agent:
        """The same agent with its network on ``device``."""
        return replace(self, network=self.network.to(device))

    def prepare(self, observations: np.ndarray | Tensor) -> Tensor:
        """Turns recorded observations (B, …) into what the network takes: floats, scaled as the protocol says."""
        tensor = torch.as_tensor(observations).to(self.device)
        return self.protocol.scaled(tensor, self.dtype)

    def __call__(self, inputs: Tensor, memory: Tensor | None = None) -> tuple[Streams, Tensor | None]:
        """One forward pass on prepared inputs; gradients flow where the caller has them on.

        Args:
            inputs: (B, C, H, W), or (B, lags, C, H, W) for a time-distributed network.
            memory: (B, memory_size) for a recurrent network; None starts an episode.

        Returns:
            The streams, and the memory that follows (None for a feed-forward network).
        """
        if not self.memory_size:
            return self.read(self.network(inputs)), None
        if memory is None:
            memory = torch.zeros(len(inputs), self.memory_size, device=inputs.device, dtype=inputs.dtype)
        outputs, memory = self.network(inputs, memory)
        return self.read(outputs), memory

    def check_inputs(self) -> Streams:
        """Runs one blank observation through the network, so that a misfit is found before a game is played.

        Raises:
            ProtocolError: The network does not take the protocol's observations.
        """
        shape = tuple(self.protocol.observation_shape)
        try:
            with torch.no_grad():
                return self(self.prepare(torch.zeros(1, *shape)))[0]
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ProtocolError(
                f"the network of {self.source} does not take observations of shape {shape} "
                f"(protocol {self.protocol.name!r}; give the one it learned with): {reason}"
            ) from error


def fingerprint(agent: Agent) -> str:
    """``sha256:`` and 16 hexadecimal digits over the sorted names, shapes and bytes of the network's state dict."""
    digest = hashlib.sha256()
    for name, value in sorted(agent.network.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)} {value.dtype};".encode())
        digest.update(
            value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
            if value.dim()
            else value.cpu().numpy().tobytes()
        )
    return f"sha256:{digest.hexdigest()[:16]}"
