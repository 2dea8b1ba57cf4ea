"""A picture of a SAMDP: the map of states in the middle, typical screens with their captions around it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.episodes.episode import Episode
from policyscope.evaluation.samdp import Samdp, known_objects
from policyscope.rendering.figure import drawing
from policyscope.rendering.sources import Pictures
from policyscope.storage import Array

LEAST_CHANCE = 0.15
"""Ways rarer than this, and all but two from a cluster, are not drawn."""
WAYS = 2
LEAST_ROAMING = 5.0
"""Screen pixels of standard deviation from which a thing is one that moves."""
COLOURS = "viridis"
"""Of values."""


def figure(found: Samdp, episode: Episode, *paths: str | Path, title: str = "") -> None:
    """Draws the map of states with the ways between clusters, and a typical screen and a caption for each cluster.

    Args:
        found: The SAMDP.
        episode: That it was made of, for the screens.
        paths: PNG, PDF and SVG files.
        title: Above all.

    Raises:
        MissingExtraError: matplotlib is not installed.
        RunError: A file cannot be written.
    """
    middles = _middles(found)
    left, right = _sides(middles)
    lines = max(len(left), len(right))
    with drawing(
        *map(Path, paths),
        width=17,
        height=max(2.05 * lines, 7) + 0.6,
        extra="evaluate",
        purpose="drawing a SAMDP",
        dpi=110,
        layout=None,
        cut=True,
    ) as drawn:
        grid = drawn.add_gridspec(lines, 5, width_ratios=(2.1, 1.7, 6.0, 1.7, 2.1), wspace=0.06, hspace=0.12)
        shade = _shades(found.model.agent_values)
        _map(drawn.add_subplot(grid[:, 2]), found, middles, shade)
        pictures, marks = Pictures(episode), _marks(episode)
        for side, (text_column, picture_column) in ((left, (0, 1)), (right, (4, 3))):
            for line, k in enumerate(side):
                picture = drawn.add_subplot(grid[line, picture_column])
                row = found.representatives[k, 0]
                _screen(picture, pictures[[row]][0], pictures.pixel, k, shade[k])
                for x, y in marks(row):
                    picture.scatter([x], [y], s=160, facecolors="none", edgecolors="white", linewidths=1.1)
                _words(drawn.add_subplot(grid[line, text_column]), found, k, text_column == 0)
        words = title or "What sorts of states the policy knows, and how it goes from one to another"
        drawn.suptitle(words, fontsize=15, y=0.94)


def _shades(values: Array) -> list[Any]:
    """A colour of the map's scale for each cluster's value."""
    from matplotlib import colormaps

    low, high = float(values.min()), float(values.max())
    return [colormaps[COLOURS](0.08 + 0.84 * (value - low) / max(high - low, 1e-9)) for value in values]


def _marks(episode: Episode) -> Callable[[int], list[tuple[float, float]]]:
    """Middles of the single things that move in a step, which are too small to be seen in a little picture."""
    objects = known_objects(episode)
    if objects is None:
        return lambda row: []
    count = np.bincount(objects.kind_of)
    single = [s for s in range(len(objects.slots)) if count[objects.kind_of[s]] == 1]
    middles = (objects.boxes[:, :, :2] + objects.boxes[:, :, 2:]) / 2
    roaming = [s for s in single if np.nanmax(np.nanstd(middles[:, s], axis=0), initial=0) > LEAST_ROAMING]

    def marks(row: int) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in middles[row, roaming] if np.isfinite(x)]

    return marks


def _middles(found: Samdp) -> Array:
    """(K, 2): of each cluster the state that is nearest to its mean, so that it lies among its own."""
    labels, middles = found.clustering.labels, []
    for k in range(len(found.captions)):
        own = found.places[labels == k]
        middles.append(own[((own - np.median(own, axis=0)) ** 2).sum(axis=1).argmin()])
    return np.array(middles)


def _sides(middles: Array) -> tuple[list[int], list[int]]:
    """Clusters on the left and on the right, each from top to bottom."""
    across = np.argsort(middles[:, 0])
    half = -(-len(across) // 2)
    sides = [sorted(part.tolist(), key=lambda k: -float(middles[k, 1])) for part in (across[:half], across[half:])]
    return sides[0], sides[1]


def _map(axis: Any, found: Samdp, middles: Array, shade: list[Any]) -> None:
    points = axis.scatter(*found.places.T, c=found.state_values, s=7, cmap=COLOURS, alpha=0.45, linewidths=0)
    chances = found.model.chances
    for i in range(len(middles)):
        for j in np.argsort(-chances[i])[:WAYS]:
            if chances[i, j] >= LEAST_CHANCE and i != j:
                axis.annotate(
                    "",
                    middles[j],
                    middles[i],
                    arrowprops={
                        "arrowstyle": "-|>",
                        "color": "black",
                        "alpha": 0.35 + 0.6 * float(chances[i, j]),
                        "linewidth": 0.6 + 3.2 * float(chances[i, j]),
                        "shrinkA": 15,
                        "shrinkB": 15,
                        "mutation_scale": 15,
                        "connectionstyle": "arc3,rad=0.14",
                    },
                )
    for k, (x, y) in enumerate(middles):
        size = 420 + 1400 * found.sizes[k] / found.sizes.sum()
        axis.scatter([x], [y], s=size, color=[shade[k]], edgecolors="black", linewidths=1.4, zorder=4)
        axis.text(x, y, str(k + 1), ha="center", va="center", fontsize=13, fontweight="bold", color="white", zorder=5)
        axis.texts[-1].set_path_effects(_outlined())
    axis.set_xticks([])
    axis.set_yticks([])
    bar = axis.figure.colorbar(points, ax=axis, orientation="horizontal", fraction=0.035, pad=0.015, aspect=50)
    bar.set_label(
        "a dot is a state, its colour the value that the agent gives it; an arrow leads where a cluster mostly leads "
        f"(thick: surely)\nvalues that follow from this graph are off by {found.model.error:.2f} on average",
        fontsize=10,
    )
    bar.solids.set_alpha(1)


def _outlined() -> list[Any]:
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=2.5, foreground="black")]


def _screen(axis: Any, picture: Array, pixel: float, number: int, colour: Any) -> None:
    axis.imshow(picture, aspect=1 / pixel, interpolation="nearest")
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(4)
    label = axis.text(
        0.05, 0.95, str(number + 1), transform=axis.transAxes, va="top", fontsize=14, fontweight="bold", color="white"
    )
    label.set_path_effects(_outlined())


def _words(axis: Any, found: Samdp, number: int, on_left: bool) -> None:
    axis.axis("off")
    row = found.table()[number]
    ways = ", ".join(f"{way['cluster']} ({100 * way['chance']:.0f} %)" for way in row["next"][:WAYS]) or "the end"
    title = textwrap.fill(row["title"], 34)
    rest = f"{100 * row['share']:.0f} % of the time; value {row['value']:.2f}\nnext: {ways}"
    deed = next((part for part in row["caption"].split(". ") if part.startswith("It mostly takes")), "")
    rest += "\n" + deed.removeprefix("It ") if deed else ""
    side, where = ("right", 0.98) if on_left else ("left", 0.02)
    axis.text(where, 0.98, title, ha=side, va="top", fontsize=10.5, fontweight="bold", transform=axis.transAxes)
    lines = title.count("\n") + 1
    axis.text(where, 0.94 - 0.135 * lines, rest, ha=side, va="top", fontsize=9.5, transform=axis.transAxes)
