"""What was seen of single updates: where the loss pulls, what it aims at, and how far the weights go."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.errors import PolicyscopeError
from policyscope.training.watch.activation import Activation

EXACT = 1e-3
"""By how much a target may differ from its reward where the return ends: rounding, never a value."""

_MOST = 16_384
"""Weights of a parameter that are looked at."""


@dataclass(frozen=True)
class Pull:
    """Where the gradient of the loss falls at the network's outputs.

    Attributes:
        stream: ``q`` or ``policy``.
        rows: States with any gradient.
        on_taken: Share of the gradient's size that is on the actions taken.
        missed: Share of these states in which the action taken gets none, and another some.
        greatest: Share of them in which the action taken gets the most.
    """

    stream: str
    rows: int
    on_taken: float
    missed: float
    greatest: float


@dataclass(frozen=True)
class Goals:
    """What a batch aims at where returns end.

    Attributes:
        rows: States of the batch.
        ended: Of them, those whose return ended.
        open: Of those, the ones whose target is not their reward.
        excess: Mean size of the difference there.
    """

    rows: int
    ended: int
    open: int
    excess: float


@dataclass(frozen=True)
class Drawn:
    """Transitions of all updates.

    Attributes:
        rows: How many.
        ended: Those that end a return.
        expected: Those that should at least, had they been drawn from all that was done before each update.
    """

    rows: int = 0
    ended: int = 0
    expected: float = 0.0


@dataclass(frozen=True)
class Move:
    """What updates did to the weights.

    Attributes:
        updates: How many they were.
        change: Norm of the change over the norm of the weights.
        grown: Norm of the weights over their norm when the watcher began.
        rate: The optimiser's learning rate, or not a number.
        left: The same over what it was when the watcher began; 1 where it is not known.
    """

    updates: int
    change: float
    grown: float
    rate: float = float("nan")
    left: float = 1.0


@dataclass(frozen=True)
class Lesson:
    """One update that was looked at; what could not be seen is None.

    Attributes:
        update: Its number, from 1.
        step: Where the training was.
        loss: Before the update.
        finite: Whether the weights are numbers.
        pull: Where the loss pulls.
        goals: What it aims at.
        move: How far the last update went.
        target_off: Distance of the target network's weights from the network's, over the size of the latter.
        target_still: Updates since the target network changed.
        activation: What the outputs of Q go through last, where that is a rectifier or the like.
        optimised: Share of the network's weights that the optimiser has.
    """

    update: int
    step: int
    loss: float | None = None
    finite: bool = True
    pull: Pull | None = None
    goals: Goals | None = None
    move: Move | None = None
    target_off: float | None = None
    target_still: int | None = None
    activation: Activation | None = None
    optimised: float | None = None


def pull_of(loss: Tensor, outputs: Tensor, actions: Tensor, stream: str) -> Pull | None:
    """Where the loss pulls: its gradient at the outputs, which goes back through the loss alone.

    Args:
        loss: A scalar, or one for each state, before ``backward``.
        outputs: (B, A), or (B, A, atoms); what the loss was computed from, with its graph.
        actions: (B,) that were taken.
        stream: What the outputs are.

    Returns:
        None where the loss has no graph, does not come from these outputs, or they are no choice of actions.
    """
    fits = outputs.ndim in (2, 3) and len(outputs) == len(actions) and outputs.shape[1] > 1
    if not (fits and loss.requires_grad and outputs.requires_grad):
        return None
    (gradient,) = torch.autograd.grad(loss.mean(), outputs, retain_graph=True, allow_unused=True)
    if gradient is None:
        return None
    sizes = gradient.detach().abs().float()
    sizes = sizes.flatten(2).sum(dim=2) if sizes.ndim == 3 else sizes
    total = sizes.sum(dim=1)
    felt = torch.isfinite(total) & (total > 0)
    if not bool(felt.any()):
        return Pull(stream, 0, 0.0, 0.0, 0.0)
    sizes, chosen = sizes[felt], actions.to(sizes.device)[felt].long()
    taken = sizes.gather(1, chosen[:, None]).squeeze(1)
    most = sizes.max(dim=1).values
    return Pull(
        stream,
        len(sizes),
        float((taken.sum() / sizes.sum()).item()),
        float((taken == 0).float().mean().item()),
        float((taken >= most).float().mean().item()),
    )


def goals_of(ends: Any, rewards: Any = None, targets: Any = None) -> Goals:
    """Whether targets are the rewards alone where returns end: nothing comes after.

    Args:
        ends: (B,), true where the return ended.
        rewards: (B,), of one step, or summed over n.
        targets: (B,), what the values are to be.

    Raises:
        PolicyscopeError: They are not of one batch.
    """
    ended = _plain(ends) > 0.5
    if rewards is None or targets is None:
        return Goals(ended.size, int(ended.sum()), 0, 0.0)
    gained, aimed = _plain(rewards), _plain(targets)
    if not ended.size == gained.size == aimed.size:
        raise PolicyscopeError(
            f"learnt() was told {ended.size} ends, {gained.size} rewards and {aimed.size} targets; give those of one "
            "batch, (B,) each"
        )
    if not ended.any():
        return Goals(ended.size, 0, 0, 0.0)
    alone = gained[ended]
    excess = np.abs(aimed[ended] - alone)
    wrong = excess > EXACT * np.maximum(1.0, np.abs(alone))
    return Goals(ended.size, int(ended.sum()), int(wrong.sum()), float(excess.mean()))


class Weights:
    """Looks at weights between updates: how far they go, and what the target network does meanwhile."""

    def __init__(
        self, network: nn.Module, target: nn.Module | None = None, optimiser: torch.optim.Optimizer | None = None
    ) -> None:
        """Prepares to look.

        Args:
            network: What learns.
            target: Its slower copy.
            optimiser: What moves it.
        """
        self._network, self._target, self._optimiser = network, target, optimiser
        self._begun, self._rate_begun = _size(_some(network)), self._rate()
        self._before: list[Tensor] | None = None
        self._since = 0
        self._mark: list[Tensor] | None = None
        self._marked = 0

    @torch.no_grad()
    def keep(self, updates: int) -> None:
        """Remembers the weights as they are after so many updates."""
        self._before, self._since = [p.clone() for p in _some(self._network)], updates

    @torch.no_grad()
    def moved(self, updates: int) -> Move | None:
        """How far they have gone since; they are forgotten."""
        before, self._before = self._before, None
        if before is None or updates <= self._since:
            return None
        now = _some(self._network)
        grown = _size(now) / max(self._begun, 1e-12)
        rate = self._rate()
        left = rate / self._rate_begun if self._rate_begun > 0 and math.isfinite(rate) else 1.0
        return Move(updates - self._since, _relative(now, before), grown, rate, left)

    @property
    def waiting(self) -> bool:
        """Whether weights were kept, to be compared."""
        return self._before is not None

    @torch.no_grad()
    def finite(self) -> bool:
        """Whether they are numbers."""
        return math.isfinite(_size(self._network.parameters()))

    @torch.no_grad()
    def target(self, updates: int) -> tuple[float | None, int | None]:
        """The target network's distance, and for how many updates at least it has stood still."""
        if self._target is None:
            return None, None
        theirs = _some(self._target)
        mark = [n.cpu() for n in torch._foreach_norm(theirs)]
        if self._mark is None or any(not torch.equal(a, b) for a, b in zip(mark, self._mark, strict=True)):
            self._mark, self._marked = mark, updates
        return _relative(theirs, _some(self._network)), updates - self._marked

    def optimised(self) -> float | None:
        """Share of the weights that learn which the optimiser has."""
        if self._optimiser is None:
            return None
        held = {id(p) for group in self._optimiser.param_groups for p in group["params"]}
        learning = [p for p in self._network.parameters() if p.requires_grad]
        return sum(p.numel() for p in learning if id(p) in held) / max(sum(p.numel() for p in learning), 1)

    def _rate(self) -> float:
        groups = self._optimiser.param_groups if self._optimiser is not None else []
        return float(groups[0]["lr"]) if groups and "lr" in groups[0] else float("nan")


def _some(network: nn.Module) -> list[Tensor]:
    """Weights of each parameter, evenly chosen: of large ones some tell how far all have gone."""
    flat = (parameter.detach().flatten() for parameter in network.parameters())
    return [values[:: max(values.numel() // _MOST, 1)] for values in flat]


def _relative(now: Iterable[Tensor], before: Iterable[Tensor]) -> float:
    """Norm of the difference over the norm of what it is compared with."""
    old = [value.float() for value in before]
    off = torch._foreach_sub([value.float() for value in now], old)
    return _size(off) / max(_size(old), 1e-12)


@torch.no_grad()
def _size(values: Iterable[Tensor]) -> float:
    norms = torch._foreach_norm([value.detach().float() for value in values])
    return float(torch.stack([n.cpu() for n in norms]).norm())


def _plain(values: Any) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
    return np.asarray(values, np.float64).reshape(-1)
