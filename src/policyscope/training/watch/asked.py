"""The network's outputs where a loop does not tell them: the watcher asks, as often as its budget allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from policyscope.agents.agent import Streams
from policyscope.agents.custom import Guess
from policyscope.errors import PolicyscopeError
from policyscope.saliency.record import evaluating
from policyscope.storage import Array
from policyscope.training.watch.activation import Activation, last_function
from policyscope.training.watch.budget import Budget
from policyscope.training.watch.given import outputs_of

_PART = 0.5
"""Of the budget, so that updates and rules have the rest."""


class Asked:
    """Asks a network for its outputs.

    Attributes:
        activation: What the outputs of Q go through last; the first answer's graph tells.
    """

    def __init__(
        self,
        network: nn.Module | None,
        forward: Callable[[nn.Module, Tensor], Any] | None,
        read: Callable[[Any], Streams] | None,
    ) -> None:
        """Prepares to ask.

        Args:
            network: What learns.
            forward: How it is called.
            read: From what it returns to its streams.
        """
        self._network, self._forward, self._read = network, forward, read or Guess()
        self._answered = False
        self.activation: Activation | None = None

    def __call__(self, observations: Any, games: int, budget: Budget) -> dict[str, Array]:
        """The streams of observations, or nothing where there is no network, no picture or no room in the budget.

        Raises:
            PolicyscopeError: The network does not take them.
        """
        network = self._network
        if network is None or observations is None or isinstance(observations, Mapping):
            return {}
        if not budget.allows("forward", _PART):
            return {}
        with budget.counted("forward"):
            seen = torch.as_tensor(observations, device=next(network.parameters()).device)
            seen = seen.float() if seen.dtype == torch.float64 else seen  # what environments of floats give
            first, self._answered = not self._answered, True
            try:
                with evaluating(network), torch.inference_mode(False), torch.set_grad_enabled(first):
                    made = self._forward(network, seen) if self._forward is not None else network(seen)
                    streams = self._read(made)
            except (RuntimeError, TypeError, ValueError) as error:
                raise PolicyscopeError(
                    f"the network cannot be asked for its outputs of observations {tuple(seen.shape)}, {seen.dtype}: "
                    f"{error}. Tell acted() the outputs (q= or policy=), or the Watcher how it is called (forward=)"
                ) from error
            if first and "q" in streams:
                self.activation = last_function(streams["q"])
            known = ((name, streams.get(name)) for name in ("q", "policy", "value"))
            return {name: outputs_of(name, v, games) for name, v in known if v is not None}
