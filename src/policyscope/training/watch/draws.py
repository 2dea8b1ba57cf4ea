"""How actions agree with the outputs that they were chosen by: sums over states, so that stretches add up.

With them the rules about exploration and about the wrong output look at a whole training as cheaply as at its last
steps: a small difference is seen in many states.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from policyscope.storage import Array
from policyscope.training.watch.chance import Off, drawn_off, log_softmax, share_off


class _Sums:
    """Fields that add up."""

    def __add__(self, other: Self) -> Self:
        return type(self)(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Gain(_Sums):
    """By how much something agrees better than something else, steps of all games being independent.

    Attributes:
        sweeps: Steps of all games.
        total: Sum of the differences.
        squares: Sum of their squares.
    """

    sweeps: int = 0
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """Mean difference."""
        return self.total / max(self.sweeps, 1)

    @property
    def deviations(self) -> float:
        """The mean over its standard error."""
        spread = np.sqrt(max(self.squares / max(self.sweeps, 1) - self.mean**2, 0.0) / max(self.sweeps, 1))
        return self.mean / max(float(spread), 1e-9)


@dataclass(frozen=True)
class OfValues(_Sums):
    """Actions of a value learner.

    Attributes:
        states: Whose best action by Q is known, and only one.
        sweeps: Steps of all games with such states.
        untold: States whose Q was not told, though the action was.
        rows: Steps of all games with either.
        table: (A, A) how often, by the best action (rows), each was taken (columns).
        chance: Best actions, beyond one in A.
        fewer: Other actions, beyond what the epsilon that was said brings, a random one being the best in one of A.
        more: Other actions, beyond epsilon itself, the most that any way to explore by it brings.
        said: Sum over ``rows`` of the epsilon that was said; not a number where it was not.
        earlier: By how much actions agree better with the best one of the state before than of their own.
        above: The same, of the game before it in the batch.
        below: The same, of the game after it.
        greatest: Sum of the greatest Q.
    """

    states: int
    sweeps: int
    untold: int
    rows: int
    table: Array
    chance: Off
    fewer: Off
    more: Off
    said: float
    earlier: Gain
    above: Gain
    below: Gain
    greatest: float

    @property
    def actions(self) -> int:
        """To choose from."""
        return len(self.table)

    @property
    def agreeing(self) -> int:
        """States in which the best action was taken."""
        return int(np.trace(self.table))

    def tried(self, whole: bool) -> tuple[int, int]:
        """Actions other than the best ones, and of how many.

        Args:
            whole: Outputs are told for all actions; where they are told for greedy ones alone, as in loops that do not
                ask the network for a random one, all other actions count as random.
        """
        other = self.states - self.agreeing
        return (other, self.states) if whole else (other + self.untold, self.states + self.untold)

    def epsilon(self, whole: bool) -> float:
        """Chance of a random action that brings as many others."""
        other, states = self.tried(whole)
        return min(other / max(states, 1) * self.actions / (self.actions - 1), 1.0)


@dataclass(frozen=True)
class OfPolicy(_Sums):
    """Actions that are drawn from a policy.

    Attributes:
        states: With their logits.
        entropy: Sum, in nats.
        uniform: Sum of what it would be at most.
        drawn: The log of the actions' chances, beyond that of drawn ones.
        likeliest: States in which the likeliest action was taken.
        surest: Sum of the likeliest action's chance.
    """

    states: int
    entropy: float
    uniform: float
    drawn: Off
    likeliest: int
    surest: float


@dataclass(frozen=True)
class Draws:
    """Actions of a stretch of a training; None where no outputs are known."""

    values: OfValues | None = None
    policy: OfPolicy | None = None

    def __add__(self, other: Draws) -> Draws:
        values = self.values + other.values if self.values and other.values else self.values or other.values
        policy = self.policy + other.policy if self.policy and other.policy else self.policy or other.policy
        return Draws(values, policy)


def draws_of(q: Array | None, policy: Array | None, actions: Array | None, epsilon: Array) -> Draws:
    """Counts a stretch.

    Args:
        q: (T, N, A), not a number where it was not told; or None.
        policy: (T, N, A) logits, likewise.
        actions: (T, N), or None where they are no single choice.
        epsilon: (T,) as it was said.
    """
    if actions is None or not len(actions):
        return Draws()
    return Draws(_of_values(q, actions, epsilon), _of_policy(policy, actions))


def _of_values(q: Array | None, actions: Array, epsilon: Array) -> OfValues | None:
    if q is None or q.shape[2] < 2:
        return None
    told = np.isfinite(q).all(axis=2)
    filled = np.where(np.isfinite(q), q, -np.inf)
    greatest = filled.max(axis=2)
    alone = np.count_nonzero(filled == greatest[..., None], axis=2) == 1
    known = told & alone
    choice, count = filled.argmax(axis=2), q.shape[2]
    best = np.where(known, choice, np.nan)
    hits = np.where(known, choice == actions, np.nan)
    table = np.bincount(choice[known] * count + actions[known], minlength=count * count).reshape(count, count)
    before = np.full_like(best, np.nan)
    before[1:] = best[:-1]
    several = best.shape[1] > 1
    said = np.clip(epsilon, 0.0, 1.0)
    return OfValues(
        int(known.sum()),
        int(known.any(axis=1).sum()),
        int((~told).sum()),
        len(actions),
        table,
        share_off(hits, 1 / count),
        share_off(1 - hits, said[:, None] * (count - 1) / count),
        share_off(1 - hits, said[:, None]),
        float(said.sum()),
        _gain(before, actions, hits),
        _gain(np.roll(best, 1, axis=1), actions, hits) if several else Gain(),
        _gain(np.roll(best, -1, axis=1), actions, hits) if several else Gain(),
        float(greatest[known].sum()),
    )


def _gain(others: Array, actions: Array, own: Array) -> Gain:
    gains = np.where(np.isfinite(others), others == actions, np.nan) - own
    counts = np.isfinite(gains).sum(axis=1)
    each = np.nan_to_num(gains).sum(axis=1)[counts > 0] / counts[counts > 0]
    return Gain(len(each), float(each.sum()), float((each**2).sum()))


def _of_policy(policy: Array | None, actions: Array) -> OfPolicy | None:
    if policy is None or policy.shape[2] < 2:
        return None
    known = np.isfinite(policy).all(axis=2)
    if not known.any():
        return None
    logs, taken = log_softmax(policy[known]), actions[known]
    return OfPolicy(
        len(taken),
        float(-(np.exp(logs) * logs).sum()),
        float(len(taken) * np.log(logs.shape[1])),
        drawn_off(logs, taken),
        int((logs.argmax(axis=1) == taken).sum()),
        float(np.exp(logs.max(axis=1)).sum()),
    )
