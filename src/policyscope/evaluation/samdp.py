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
from policyscope.evaluation.last_hidden import hidden
from policyscope.evaluation.objects.extract import objects_of_episode
from policyscope.evaluation.objects.scene import Objects
from policyscope.evaluation.samdp_captions import Caption, captions
from policyscope.evaluation.samdp_clusters import Clustering, clustered, embedded, standardised
from policyscope.evaluation.samdp_model import Model, modelled
from policyscope.storage import Array, write_json

STATES = 3000
CLUSTERS, WINDOWS = tuple(range(6, 15)), (1, 2, 4)
GAMMA = 0.99
LEAST_STATES = 60


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
