"""Acting with something hidden: how much of its return an agent loses when it may not see what its maps mark.

Deletion asks what an agent says of states that it met seeing everything. Here it plays whole games in which, at every
step, the most salient share of what it sees is blurred away; what is salient follows from the state as it is. Beside it
it plays with as large a part hidden by chance, and with the least salient one. A map that marks what the agent needs
costs it more return than chance does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent
from policyscope.episodes.returns import play_returns
from policyscope.errors import PolicyscopeError
from policyscope.evaluation.hiding import SIGMA, strongest
from policyscope.evaluation.magnitude import magnitude
from policyscope.evaluation.method_maps import maps_of
from policyscope.evaluation.statistics import Interval, paired, summary
from policyscope.saliency import targets
from policyscope.saliency.perturbation import gaussian_blur
from policyscope.saliency.record import differentiating, record
from policyscope.saliency.request import default_stream
from policyscope.storage import Array

Order = Literal["salient", "random", "least"]
ORDERS: tuple[Order, ...] = ("salient", "random", "least")

NONE = "nothing"
"""Games in which nothing is hidden."""


@dataclass(frozen=True)
class HiddenReturns:
    """Returns of games in which parts were hidden.

    Attributes:
        share: Of the pixels, hidden at every step.
        returns: ``nothing``, ``random``, and (method, order) as ``METHOD salient`` and ``METHOD least`` -> (games,),
            the same games (starts and chances) in each.
    """

    share: float
    returns: dict[str, Array]

    def mean(self, name: str) -> Interval:
        """The mean return; games are independent of one another."""
        return summary(self.returns[name], block=1)

    def drop(self, name: str, beside: str = NONE) -> Interval:
        """By how much less a condition brings than another, game by game."""
        return paired(self.returns[beside], self.returns[name])


def hidden_returns(
    agent: Agent,
    methods: tuple[str, ...],
    *,
    share: float = 0.05,
    games: int = 8,
    seed: int = 0,
    limit: int = 2_000,
    sigma: float = SIGMA,
    watch: Callable[[str], None] | None = None,
) -> HiddenReturns:
    """Plays games with the salient part of what is seen hidden, and others to compare with.

    Args:
        agent: Who plays, by its own policy.
        methods: Whose maps say what is salient; see :class:`MethodMaps` for names.
        share: Of the pixels that are hidden.
        games: Of each condition.
        seed: Of the first; the others follow.
        limit: Actions after which a game ends.
        sigma: Of the blur, in pixels.
        watch: Told each condition before it is played.
    """
    conditions: dict[str, Agent] = {NONE: agent, "random": hidden_from(agent, None, share, "random", sigma, seed)}
    orders: tuple[Order, ...] = ("salient", "least")
    for method in methods:
        for order in orders:
            conditions[f"{method} {order}"] = hidden_from(agent, method, share, order, sigma, seed)
    returns = {}
    for name, player in conditions.items():
        if watch is not None:
            watch(name)
        returns[name] = play_returns(player, games, seed, limit=limit)
    return HiddenReturns(share, returns)


def hidden_from(
    agent: Agent,
    method: str | None,
    share: float,
    order: Order = "salient",
    sigma: float = SIGMA,
    seed: int = 0,
) -> Agent:
    """The same agent, which sees less: at every step a share of the pixels of all its frames is blurred away.

    Args:
        agent: Who acts.
        method: Whose map says what is salient: of the greedy action in the state as it is; None for a random order.
        share: Of the pixels.
        order: Whether the most salient pixels are hidden, the least salient, or some drawn by chance.
        sigma: Of the blur.
        seed: Of the chance.
    """
    if not 0 <= share <= 1:
        raise PolicyscopeError(f"the hidden share of the pixels is {share}; it must be between 0 and 1")
    if method is None and order != "random":
        raise PolicyscopeError(f"an order by salience ({order}) needs a method")
    return replace(agent, network=_Blinkered(agent, method, share, order, sigma, seed))


class _Blinkered(nn.Module):
    """A network that hides a part of its input from itself."""

    def __init__(self, agent: Agent, method: str | None, share: float, order: Order, sigma: float, seed: int) -> None:
        super().__init__()
        self.network = agent.network
        self.memory_size = agent.memory_size
        self._agent, self._method, self._share, self._order, self._sigma = agent, method, share, order, sigma
        self._chance = np.random.default_rng(seed)
        self.eval()

    def forward(self, inputs: Tensor, *memory: Tensor) -> Any:
        last = self._agent.protocol.layout == "channels_last"
        pictures = inputs.movedim(-1, -3) if last else inputs
        mask = torch.as_tensor(self._mask(pictures, memory)).to(inputs.device)
        wide = mask.view(len(mask), *[1] * (pictures.ndim - 3), *mask.shape[1:])
        seen = torch.where(wide, gaussian_blur(pictures.contiguous(), self._sigma), pictures)
        return self.network(seen.movedim(-3, -1) if last else seen, *memory)

    def _mask(self, pictures: Tensor, memory: tuple[Tensor, ...]) -> Array:
        """(n, H, W) bool: what is hidden."""
        size = (len(pictures), *pictures.shape[-2:])
        if self._method is None or self._order == "random":
            return strongest(self._chance.random(size, np.float32), self._share, self._chance)
        sizes = magnitude(self._salience(self._method, pictures, memory))
        return strongest(sizes if self._order == "salient" else -sizes, self._share, self._chance)

    def _salience(self, method: str, pictures: Tensor, memory: tuple[Tensor, ...]) -> Array:
        agent, protocol = self._agent, self._agent.protocol
        last = protocol.layout == "channels_last"

        def call(x: Tensor) -> Any:
            x = x[:, 0] if agent.memory_size else x
            return agent(x.movedim(-3, -1) if last else x, *kept)[0]

        own = pictures.contiguous()
        lags = 1 if agent.memory_size else protocol.stack if protocol.layout == "time" else 0
        with differentiating():
            kept = tuple(part.clone() for part in memory)
            trace = record(call, own[:, None].clone() if agent.memory_size else own.clone(), agent.network, lags=lags)
            stream = default_stream(agent)
            target = targets.select(targets.stream_of(trace.outputs, stream), "greedy", trace.states, stream)
            return maps_of(trace, target, agent, (method,))[method]
