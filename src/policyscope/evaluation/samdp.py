"""The semi-aggregated MDP of a policy: what sorts of states it knows, and how it goes from one sort to another.

After Zahavy, Ben-Zrihem and Mannor, "Graying the black box" (2016): the last hidden layer's activations are put on a
plane by t-SNE; states that are alike there, in value and in time are clusters; the ways between clusters are skills,
each with a chance, a duration and a reward. Whether that is a fair model of the policy is told by the value that
follows from it, compared with the agent's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError, TargetError
from policyscope.evaluation.objects.extract import objects_of_episode
from policyscope.evaluation.objects.scene import Objects
from policyscope.evaluation.samdp_captions import Caption, captions
from policyscope.evaluation.samdp_clusters import Clustering, clustered, embedded, entropy, intensity, standardised
from policyscope.evaluation.samdp_features import hidden
from policyscope.storage import Array, write_json

STATES = 3000
CLUSTERS, WINDOWS = tuple(range(6, 15)), (1, 2, 4)
GAMMA = 0.99
LEAST_STATES = 60


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


@dataclass(frozen=True)
class Samdp:
    """A policy's sorts of states and the ways between them.

    Attributes:
        rows: (n,) of the episode.
        places: (n, 2) on the plane.
        state_values: (n,) the agent's own.
        clustering: Which state belongs to which cluster.
        model: The process.
        representatives: (K, r) rows, the most typical first.
        captions: A cluster each.
        layers: Modules whose input was looked at.
        criteria: Of all clusterings that were tried, plain rows; the chosen one says so.
    """

    rows: Array
    places: Array
    state_values: Array
    clustering: Clustering
    model: Model
    representatives: Array
    captions: list[Caption]
    layers: tuple[str, ...]
    criteria: list[dict[str, Any]]

    @property
    def sizes(self) -> Array:
        """(K,) states of each cluster."""
        return np.bincount(self.clustering.labels, minlength=len(self.captions))

    def table(self) -> list[dict[str, Any]]:
        """A row a cluster, plain values."""
        share = self.sizes / self.sizes.sum()
        return [
            {
                "cluster": k + 1,
                "share": float(share[k]),
                "value": float(self.model.agent_values[k]),
                "model_value": float(self.model.values[k]),
                "steps": _mean_duration(self.model, k),
                "next": [
                    {"cluster": int(j) + 1, "chance": float(self.model.chances[k, j])}
                    for j in np.argsort(-self.model.chances[k])[:3]
                    if self.model.chances[k, j] > 0
                ],
                "title": caption.title,
                "caption": caption.text,
                "row": int(self.representatives[k, 0]),
            }
            for k, caption in enumerate(self.captions)
        ]

    def skills(self) -> list[dict[str, Any]]:
        """A row for each way between clusters that was seen, the most frequent first."""
        model = self.model
        found = [
            {
                "from": int(i) + 1,
                "to": int(j) + 1,
                "times": int(model.counts[i, j]),
                "chance": float(model.chances[i, j]),
                "steps": float(model.durations[i, j]),
                "reward": float(model.rewards[i, j]),
            }
            for i, j in zip(*np.nonzero(model.counts), strict=True)
        ]
        return sorted(found, key=lambda one: -int(one["times"]))

    def document(self) -> dict[str, Any]:
        """Everything for the viewer, as plain values."""
        points = [
            [int(row), round(float(x), 3), round(float(y), 3), int(label) + 1, round(float(value), 4)]
            for row, (x, y), label, value in zip(
                self.rows, self.places, self.clustering.labels, self.state_values, strict=True
            )
        ]
        return {
            "kind": "samdp",
            "columns": ["row", "x", "y", "cluster", "value"],
            "points": points,
            "clusters": self.table(),
            "representatives": self.representatives.tolist(),
            "skills": self.skills(),
            "value_error": self.model.error,
            "vmse": self.model.vmse,
            "layers": list(self.layers),
            "criteria": self.criteria,
        }

    def write(self, path: str | Path) -> Path:
        """Writes the document as JSON."""
        plain = json.loads(json.dumps(self.document()), parse_constant=lambda _: None)
        write_json(Path(path), plain)
        return Path(path)


def samdp(
    agent: Agent,
    episode: Episode,
    *,
    states: int = STATES,
    clusters: Sequence[int] = CLUSTERS,
    windows: Sequence[int] = WINDOWS,
    gamma: float = GAMMA,
    clip_rewards: bool = True,
    seed: int = 0,
) -> Samdp:
    """Builds the semi-aggregated MDP of an agent from what it played.

    The number of clusters and the window are those with the best mean rank over the paper's four criteria: value error,
    inertia, entropy of transitions, and intensity.

    Args:
        agent: Who.
        episode: What it played; with RAM of a known game, clusters are told in words.
        states: Steps that are looked at, from the beginning: they must follow one another.
        clusters: Numbers that are tried.
        windows: Steps before and after a state that count, tried each.
        gamma: The discount.
        clip_rewards: Rewards are -1, 0 or 1, as most agents learn, so that values can be compared.
        seed: Of t-SNE and first centres.

    Raises:
        TargetError: There are too few states, or the agent has no value of states, or no last hidden layer.
        MissingExtraError: scikit-learn is not installed.
    """
    count = min(states, len(episode))
    if count < LEAST_STATES:
        raise TargetError(f"{count} steps are too few to see sorts of states in; play {LEAST_STATES} or more")
    rows, part = np.arange(count), episode[:count]
    values = state_values(part)
    features, layers = hidden(agent, part, rows)
    places = embedded(features, seed)
    games = np.cumsum(part.starts)
    rewards = np.sign(part.rewards) if clip_rewards else part.rewards
    ended = (part.terminated | part.truncated).astype(bool)
    space = np.column_stack([places, standardised(values[:, None])])
    tried = []
    for number, window in product(clusters, windows):
        clustering = clustered(space, games, number, window, seed)
        tried.append((clustering, modelled(clustering.labels, games, rewards, ended, values, gamma)))
    best = _best(tried)
    clustering = _by_value(tried[best][0], values)
    model = modelled(clustering.labels, games, rewards, ended, values, gamma)
    shown = representatives(space, clustering)
    return Samdp(
        rows,
        places,
        values,
        clustering,
        model,
        shown,
        captions(clustering.labels, model.chances, model.agent_values, part, known_objects(part)),
        layers,
        [_criteria(one, index == best) for index, one in enumerate(tried)],
    )


def state_values(episode: Episode) -> Array:
    """What the agent thought each state was worth, (N,): its largest Q, or its critic's value.

    Raises:
        TargetError: It has neither.
    """
    streams = episode.streams
    if "q" in streams:
        return np.asarray(np.asarray(streams["q"], np.float64).reshape(len(episode), -1).max(axis=1))
    if "value" in streams:
        return np.asarray(streams["value"], np.float64).reshape(len(episode))
    raise TargetError(f"the agent has no value of states among its streams ({', '.join(streams)}): a SAMDP needs one")


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


def representatives(space: Array, clustering: Clustering, count: int = 4) -> Array:
    """(K, count) rows: the state nearest to each cluster's centre, then typical ones at other moments."""
    found = []
    for k, centre in enumerate(clustering.centres):
        own = np.flatnonzero(clustering.labels == k)
        near = own[((space[own] - centre) ** 2).sum(axis=1).argsort()]
        chosen = [int(near[0])]
        for row in near:
            if len(chosen) < count and min(abs(int(row) - other) for other in chosen) > 20:
                chosen.append(int(row))
        found.append((chosen * count)[:count])
    return np.array(found)


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


def _best(tried: Sequence[tuple[Clustering, Model]]) -> int:
    """The clustering with the best mean rank over the criteria."""
    criteria = [[m.vmse, c.inertia, m.entropy, -m.intensity] for c, m in tried]
    ranks = np.argsort(np.argsort(np.array(criteria), axis=0), axis=0)
    return int(ranks.mean(axis=1).argmin())


def _by_value(clustering: Clustering, values: Array) -> Clustering:
    """The same clusters, numbered from the highest mean value to the lowest."""
    count = len(clustering.centres)
    means = np.bincount(clustering.labels, values, count) / np.bincount(clustering.labels, minlength=count)
    order = np.argsort(-means)
    return replace(clustering, labels=np.argsort(order)[clustering.labels], centres=clustering.centres[order])


def _criteria(one: tuple[Clustering, Model], chosen: bool) -> dict[str, Any]:
    clustering, model = one
    return {
        "clusters": len(clustering.centres),
        "window": clustering.window,
        "vmse": model.vmse,
        "value_error": model.error,
        "inertia": clustering.inertia,
        "entropy": model.entropy,
        "intensity": model.intensity,
        "chosen": chosen,
    }


def _mean_duration(model: Model, k: int) -> float:
    weights = model.counts[k]
    return float(np.nansum(weights * model.durations[k]) / weights.sum()) if weights.sum() else float("nan")


def known_objects(episode: Episode) -> Objects | None:
    """The episode's objects; None where they are not known: captions then tell less."""
    try:
        return objects_of_episode(episode)
    except PolicyscopeError:
        return None
