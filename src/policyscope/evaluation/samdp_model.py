"""A clustering of what was played as a semi-Markov process: ways between clusters, and the values that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.evaluation.samdp_clusters import entropy, intensity
from policyscope.storage import Array


@dataclass(frozen=True)
class Model:
    """A clustering as a semi-Markov process.

    Attributes:
        counts: (K, K) int64 observed ways from cluster to cluster.
        ends: (K,) int64 how often a game (or a life that ends an episode) ended in a cluster.
        durations: (K, K) float64 mean steps that a way takes, NaN where it was never seen.
        rewards: (K, K) float64 mean discounted reward on it.
        values: (K,) float64 the value of a cluster's states that follows from all that.
        agent_values: (K,) float64 the agent's mean value of the same states.
        error: Mean over states of |value - agent's value| of their clusters.
        vmse: |values - agent_values| / |agent_values|, lengths over clusters: the paper's criterion.
        entropy: Of where a cluster leads.
        intensity: Steps that stay for each that leaves.
    """

    counts: Array
    ends: Array
    durations: Array
    rewards: Array
    values: Array
    agent_values: Array
    error: float
    vmse: float
    entropy: float
    intensity: float

    @property
    def chances(self) -> Array:
        """(K, K) where a cluster leads when it is left; what is missing to 1 ends the game."""
        left = self.counts.sum(axis=1) + self.ends
        return np.asarray(self.counts / np.maximum(left, 1)[:, None])


def modelled(labels: Array, games: Array, rewards: Array, ended: Array, values: Array, gamma: float) -> Model:
    """The process that a clustering makes of what was played.

    A *visit* is a stretch of steps in one cluster. Visits that the recording cuts off are left out.

    Args:
        labels: (n,) clusters.
        games: (n,) which game or life a state belongs to.
        rewards: (n,) of the step that follows each state.
        ended: (n,) that step ended the game.
        values: (n,) the agent's own.
        gamma: The discount.
    """
    number, count = int(labels.max()) + 1, len(labels)
    last = np.append((labels[1:] != labels[:-1]) | (games[1:] != games[:-1]), True)
    exits = np.flatnonzero(last)[np.searchsorted(np.flatnonzero(last), np.arange(count))]
    follows = np.where(ended[exits], -1, np.append(labels[1:], -2)[exits])
    # A game that goes on without an end in between is one that the recording left.
    broken = (follows >= 0) & (np.append(games[1:], -1)[exits] != games[exits])
    known = (follows >= -1) & ~broken
    steps = exits - np.arange(count) + 1
    gains = _discounted(rewards, last, gamma)
    entries = known & np.append(True, last[:-1])
    counts, durations, sums = (np.zeros((number, number)) for _ in range(3))
    on = entries & (follows >= 0)
    np.add.at(counts, (labels[on], follows[on]), 1)
    np.add.at(durations, (labels[on], follows[on]), steps[on])
    np.add.at(sums, (labels[on], follows[on]), gains[on])
    ends = np.bincount(labels[entries & (follows == -1)], minlength=number)
    ahead = _solved(labels[entries], follows[entries], gains[entries], gamma ** steps[entries], number)
    estimates = gains + gamma**steps * np.where(follows >= 0, ahead[np.maximum(follows, 0)], 0.0)
    sizes = np.bincount(labels[known], minlength=number)
    divisor = np.maximum(sizes, 1)
    own = np.bincount(labels[known], estimates[known], number) / divisor
    agents = np.bincount(labels[known], values[known], number) / divisor
    seen = np.where(counts > 0, counts, np.nan)
    weight = sizes / max(sizes.sum(), 1)
    length = np.linalg.norm(agents)
    return Model(
        counts.astype(np.int64),
        ends,
        durations / seen,
        sums / seen,
        own,
        agents,
        float((weight * np.abs(own - agents)).sum()),
        float(np.linalg.norm(own - agents) / length) if length > 0 else float("nan"),
        entropy(counts, np.bincount(labels, minlength=number)),
        intensity(labels, games),
    )


def _solved(labels: Array, follows: Array, gains: Array, discounts: Array, number: int) -> Array:
    """Values at a cluster's entry: v_i = mean over visits of (gain + discount x v of the cluster that follows)."""
    visits = np.maximum(np.bincount(labels, minlength=number), 1)
    gain = np.bincount(labels, gains, number) / visits
    ways = np.zeros((number, number))
    on = follows >= 0
    np.add.at(ways, (labels[on], follows[on]), discounts[on])
    return np.asarray(np.linalg.solve(np.eye(number) - ways / visits[:, None], gain))


def _discounted(rewards: Array, last: Array, gamma: float) -> Array:
    """Discounted rewards from each step to its visit's last, (n,)."""
    found, ahead = np.zeros(len(rewards)), 0.0
    for step in range(len(rewards) - 1, -1, -1):
        ahead = float(rewards[step]) + (0.0 if last[step] else gamma * ahead)
        found[step] = ahead
    return found
