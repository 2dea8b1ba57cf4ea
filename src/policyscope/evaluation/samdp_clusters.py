"""States that are alike in what the network makes of them and in time: embedding, clustering, and criteria for both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policyscope.errors import MissingExtraError
from policyscope.storage import Array

COMPONENTS, PERPLEXITY = 50, 30.0
RESTARTS, ROUNDS = 8, 100


def embedded(features: Array, seed: int = 0) -> Array:
    """States on a plane: principal components, then t-SNE (van der Maaten and Hinton, 2008).

    Args:
        features: (n, units).
        seed: Of the chance.

    Returns:
        (n, 2) float64, each axis with a standard deviation of 1.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.decomposition import PCA
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "evaluate", "a map of the states") from error
    components = min(COMPONENTS, *features.shape)
    reduced = PCA(components, random_state=seed).fit_transform(np.asarray(features, np.float64))
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    places = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(reduced)
    return standardised(places)


def standardised(values: Array) -> Array:
    """Columns with a mean of 0 and a standard deviation of 1; constant ones are 0."""
    centred = np.asarray(values, np.float64) - np.mean(values, axis=0)
    size = centred.std(axis=0)
    return np.asarray(centred / np.where(size > 0, size, 1))


@dataclass(frozen=True)
class Clustering:
    """States in clusters.

    Attributes:
        labels: (n,) int64.
        centres: (K, d).
        inertia: Sum of squared distances to the own centre.
        window: Steps before and after a state that count when it is assigned.
    """

    labels: Array
    centres: Array
    inertia: float
    window: int


def windowed(features: Array, games: Array, window: int) -> Array:
    """Means (n, d) over the steps from t - window to t + window of the same game."""
    total, count = np.zeros(features.shape), np.zeros(len(features))
    for shift in range(-window, window + 1):
        source = np.arange(len(features)) + shift
        there = (source >= 0) & (source < len(features))
        there[there] &= games[source[there]] == games[there]
        total[there] += features[source[there]]
        count[there] += 1
    return np.asarray(total / count[:, None])


def clustered(features: Array, games: Array, clusters: int, window: int, seed: int = 0) -> Clustering:
    """Spatio-temporal K-means (Zahavy et al., 2016): a state goes with its neighbours in time.

    A state is assigned to the centre with the smallest sum of squared distances to the states of its window. As
    sum_j |x_j - m|^2 = (2 w + 1) |mean_j x_j - m|^2 + what does not depend on m, that is the centre nearest to the
    window's mean. Centres are the means of the states themselves.

    Args:
        features: (n, d) in the order of play.
        games: (n,) which game or life a state belongs to: windows do not reach into another.
        clusters: K.
        window: w.
        seed: Of the first centres.
    """
    random, smooth = np.random.default_rng(seed), windowed(features, games, window)
    found = [_descended(features, smooth, _first(features, clusters, random)) for _ in range(RESTARTS)]
    labels, centres, inertia = min(found, key=lambda one: one[2])
    kept = np.unique(labels)
    return Clustering(np.searchsorted(kept, labels), centres[kept], inertia, window)


def _first(features: Array, clusters: int, random: np.random.Generator) -> Array:
    """First centres, far from one another by chance (k-means++)."""
    chosen = [features[random.integers(len(features))]]
    for _ in range(clusters - 1):
        away = np.min([((features - one) ** 2).sum(axis=1) for one in chosen], axis=0)
        total = away.sum()
        chosen.append(features[random.choice(len(features), p=away / total if total > 0 else None)])
    return np.stack(chosen)


def _descended(features: Array, smooth: Array, centres: Array) -> tuple[Array, Array, float]:
    labels = np.full(len(features), -1)
    for _ in range(ROUNDS):
        away = ((smooth[:, None] - centres[None]) ** 2).sum(axis=2)
        nearest = away.argmin(axis=1)
        if (nearest == labels).all():
            break
        labels = nearest
        centres = np.stack(
            [features[labels == k].mean(axis=0) if (labels == k).any() else centres[k] for k in range(len(centres))]
        )
    inertia = float(((features - centres[labels]) ** 2).sum())
    return labels, centres, inertia


def entropy(counts: Array, sizes: Array) -> float:
    """How undecided it is where a cluster leads: -sum_i (|C_i| / n) sum_j P_ij log P_ij over other clusters j.

    Args:
        counts: (K, K) transitions between clusters, nothing on the diagonal.
        sizes: (K,) states.
    """
    chances = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    logs = np.log(np.where(chances > 0, chances, 1))
    return float(-(sizes / sizes.sum() * (chances * logs).sum(axis=1)).sum())


def intensity(labels: Array, games: Array) -> float:
    """Steps that stay in a cluster for each that leaves it."""
    together = games[1:] == games[:-1]
    stays = int((labels[1:] == labels[:-1])[together].sum())
    leaves = int(together.sum()) - stays
    return stays / max(leaves, 1)
