"""Who teaches a student: an agent, and a rule whose word goes before the agent's in the states that it knows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from policyscope.agents.loading import load_agent
from policyscope.errors import RecipeError
from policyscope.storage import Array
from policyscope.training.compute import Compute, Streams, floats
from policyscope.training.experts import EXPERTS
from policyscope.training.games import Games

_SURE = 0.95
"""Share of an expert's policy in what a student is taught; the teacher's has the rest."""
_HELD = 0.99
"""Share of a move's chances that goes to the move without the fire button, where a student is to leave that alone."""


class Teacher:
    """An agent that teaches, with an expert or without."""

    def __init__(
        self, name: str, expert: str, temperature: float, compute: Compute, *, without_fire: bool = False
    ) -> None:
        """Loads the agent.

        Args:
            name: A file, a folder or zoo:NAME.
            expert: A key of ``EXPERTS``, or nothing.
            temperature: Makes a policy of Q.
            compute: Where, and in what precision.
            without_fire: Whether it says a move without the fire button where it would press it too.
        """
        self._name, self._temperature, self._compute = name, temperature, compute
        self._agent = load_agent(name)
        compute.place(self._agent.network)
        self._rule, self._expert = expert, EXPERTS.get(expert)
        self._calm = calm(self._agent.actions).to(compute.device) if without_fire else None

    @property
    def frames(self) -> int:
        """Frames that agent and expert want to see."""
        return max(self._agent.protocol.stack, self._expert.frames if self._expert else 0)

    @property
    def samples(self) -> bool:
        """Whether its actions are drawn from its policy; else it takes the best."""
        return "policy" in self._agent.streams

    def check(self, games: Games) -> None:
        """Makes sure that agent and expert know what the student plays.

        Raises:
            RecipeError: They do not.
        """
        agent, ours = self._agent, games.protocol
        theirs = agent.protocol
        if self._expert is not None and self._expert.game != ours.game:
            raise RecipeError(f"the expert {self._rule} plays {self._expert.game}, not {ours.game}: see --game")
        if theirs.game != ours.game:
            raise RecipeError(f"the teacher {self._name} plays {theirs.game}, not {ours.game}: see --game")
        alike = ("crop", "colour", "colour_first", "size", "resize", "stretch", "max_pool", "pad", "scale", "offset")
        for name in alike:
            if getattr(theirs, name) != getattr(ours, name):
                raise RecipeError(
                    f"the teacher {self._name} sees the screen with {name} {getattr(theirs, name)!r}, students here "
                    f"with {getattr(ours, name)!r}: a teacher under the protocol ale-vector is needed"
                )
        if agent.memory_size or len(agent.actions) != games.actions:
            raise RecipeError(
                f"the teacher {self._name} has {len(agent.actions)} actions and a memory of {agent.memory_size}; "
                f"one with {games.actions} actions and without memory is needed"
            )

    def says(self, screens: Array) -> tuple[Tensor, Tensor]:
        """The log of the policy (N, A) and the value (N, 1) that it teaches.

        Args:
            screens: (N, stack, H, W) uint8, of which agent and expert see the newest that they want.
        """
        seen = torch.from_numpy(screens)[:, -self._agent.protocol.stack :]
        if self._agent.protocol.layout == "time":
            seen = seen[:, :, None]
        with torch.no_grad(), self._compute.autocast():
            streams = self._agent.read(self._agent.network(self._compute.inputs(seen)))
        log_policy, value = opinion(floats(streams), self._temperature)
        if self._calm is not None:
            log_policy = (log_policy[:, :, None] + self._calm).logsumexp(dim=1)
        if self._expert is not None:
            log_policy = advised(log_policy, torch.from_numpy(self._expert.says(screens)))
        return log_policy, value


def calm(actions: Sequence[str]) -> Tensor:
    """Where a policy's chances go once the fire button is left alone: logs of shares (A, A), from row to column.

    Args:
        actions: ale-py's names. A move and the same with fire give almost all of both to the move; one without a twin
            keeps what it has.
    """
    moves = [name.removesuffix("FIRE") or "NOOP" for name in actions]
    shares = torch.zeros(len(actions), len(actions))
    for row, move in enumerate(moves):
        twins = [column for column, other in enumerate(moves) if other == move]
        for column in twins:
            held = (1 - _HELD) if actions[column].endswith("FIRE") else _HELD
            shares[row, column] = held if len(twins) > 1 else 1
    return shares.log()


def advised(log_policy: Tensor, chances: Tensor) -> Tensor:
    """A teacher's policy where an expert is silent, and nearly the expert's where it speaks.

    Args:
        log_policy: The teacher's (N, A).
        chances: The expert's (N, A), zeros where it is silent.

    Returns:
        The log of the policy (N, A) that is taught.
    """
    # In logs all along: a chance that fades to zero would make a divergence that is no number.
    chances = chances.to(log_policy.device)
    mixed = torch.logaddexp(log_policy + math.log(1 - _SURE), chances.log() + math.log(_SURE))
    return torch.where(chances.any(dim=1, keepdim=True), mixed, log_policy)


def opinion(streams: Streams, temperature: float) -> tuple[Tensor, Tensor]:
    """What a teacher says: the log of its policy (B, A), and its value (B, 1).

    Args:
        streams: ``q``, or ``policy`` logits and ``value``.
        temperature: Makes a policy of Q.
    """
    if "q" in streams:
        return (streams["q"] / temperature).log_softmax(dim=1), streams["q"].max(dim=1, keepdim=True).values
    value = streams["value"] if "value" in streams else torch.zeros_like(streams["policy"][:, :1])
    return streams["policy"].log_softmax(dim=1), value.reshape(-1, 1)


def disagreement(streams: Streams, log_policy: Tensor, value: Tensor, temperature: float) -> Tensor:
    """How far a student is from its teacher in each state (B,): KL of the policies, and the error of their values.

    A student of Q is compared as the policy softmax(Q / temperature) and the value max Q, which together fix Q:
    Q = max Q + temperature x (log policy - max log policy).

    Args:
        streams: The student's.
        log_policy: The teacher's (B, A).
        value: The teacher's (B, 1).
        temperature: Makes a policy of Q.
    """
    own_policy, own_value = opinion(streams, temperature)
    divergence = (log_policy.exp() * (log_policy - own_policy)).sum(dim=1)
    return divergence + nn.functional.smooth_l1_loss(own_value, value, reduction="none").squeeze(1)
