"""Sanity checks (Adebayo et al., 2018): does a map depend on what was learnt, or on the picture and the architecture
alone?

*Model randomisation*: the weights are drawn anew from the top layer down, and the maps are compared with those of the
trained network. One that stays alike says little of what was learnt. Beside it stands the likeness to the edges of the
picture, which no network is needed for: Adebayo et al. found guided backpropagation to be little more than that.

The other half of their check, shuffled labels, is ``labels.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.baselines import Pictures, edges
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.evaluation.randomise import How, Stage, cascading, independent, stages
from policyscope.evaluation.similarity import SIMILARITIES, Seen
from policyscope.evaluation.statistics import Interval, paired, summary
from policyscope.saliency.plan import METHODS
from policyscope.saliency.record import evaluating
from policyscope.storage import Array

SEEDS = 3
LOST, KEPT = 0.5, 0.8
"""Rank correlations: below the first, maps share less than a quarter of their ranks' variance; above the second, more
than two thirds (0.8 squared), which leaves little that learning has put in."""
MEASURE = "spearman_abs"

Verdict = Literal["depends", "partly", "does not", "unknown"]


@dataclass(frozen=True)
class Sanity:
    """Likeness of maps to those of the trained network.

    Attributes:
        rows: (n,) of the episode.
        stages: From the output down.
        cascading: Name -> (seeds, stages, n, measures) with all stages down to one drawn anew.
        independent: The same with one stage alone; empty where that was not asked for.
        edges: Name -> (n, measures): the trained network's maps against the picture's edges.
        edges_random: Name -> (seeds, n, measures): the wholly random network's against them.
        between: Name -> (seeds - 1, n, measures): two random networks' against each other's.
        measures: Of ``SIMILARITIES``.
    """

    rows: Array
    stages: tuple[Stage, ...]
    cascading: dict[str, Array]
    independent: dict[str, Array]
    edges: dict[str, Array]
    edges_random: dict[str, Array]
    between: dict[str, Array]
    measures: tuple[str, ...] = SIMILARITIES

    def after(self, name: str, stage: int = -1, measure: str = MEASURE, *, alone: bool = False) -> Interval:
        """The likeness after a stage, over states and over seeds (as strata)."""
        found = (self.independent if alone else self.cascading)[name]
        return summary(list(found[:, stage, :, self.measures.index(measure)]))

    def of_edges(self, name: str, measure: str = MEASURE) -> Interval:
        """How like the trained network's maps are to the picture's edges."""
        return summary(self.edges[name][:, self.measures.index(measure)])

    def of_edges_random(self, name: str, measure: str = MEASURE) -> Interval:
        """How like a random network's maps are to the picture's edges."""
        return summary(list(self.edges_random[name][:, :, self.measures.index(measure)]))

    def between_random(self, name: str, measure: str = MEASURE) -> Interval:
        """How like two random networks' maps are to each other: what the picture and the architecture alone put in."""
        return summary(list(self.between[name][:, :, self.measures.index(measure)]))

    def learnt(self, name: str, measure: str = MEASURE) -> Interval:
        """By how much the trained maps are less like random ones than random ones are like each other.

        Zero: a trained network's maps are as like a random one's as two random ones' are, so that training put
            nothing in that this measure sees; negative where they are even more alike.
        """
        place = self.measures.index(measure)
        trained = self.cascading[name][1:, -1, :, place]
        return paired(list(self.between[name][:, :, place]), list(trained))

    @property
    def head(self) -> int:
        """The last stage, from the output down, above all convolutions: the layers that decide."""
        deciding = [number for number, stage in enumerate(self.stages) if not stage.convolutional]
        first = next((number for number, stage in enumerate(self.stages) if stage.convolutional), len(self.stages))
        return max((number for number in deciding if number < first), default=0)

    def verdict(self, name: str, stage: int = -1, measure: str = MEASURE) -> Verdict:
        """Whether a method's maps depend on the weights down to a stage: the interval lies below 0.5, or above 0.8.

        With ``stage=result.head`` it is asked of the layers that decide: a map that does not depend on them shows what
        the convolutions see, and not what is made of it.
        """
        found = self.after(name, stage, measure)
        if not np.isfinite(found.low):
            return "unknown"
        return "depends" if found.high < LOST else "does not" if found.low > KEPT else "partly"


def sanity(
    agent: Agent,
    episode: Episode,
    rows: Array,
    names: Iterable[str] = tuple(METHODS),
    *,
    seeds: int = SEEDS,
    how: How = "initial",
    alone: bool = False,
    stream: str | None = None,
) -> Sanity:
    """Maps of all methods of the agent and of copies of it with weights drawn anew; one watched pass a copy serves all.

    Args:
        agent: Whose maps are checked; its network is copied.
        episode: Its states.
        rows: (n,) of the episode; two dozen are enough.
        names: As for :class:`MethodMaps`.
        seeds: Draws.
        how: The weights are drawn.
        alone: Also with each stage drawn anew by itself.
        stream: What is explained; by default what the agent acts by.
    """
    names = tuple(names)
    chosen = rows[:: max(len(rows) // 4, 1)][:4]

    def of(who: Agent) -> dict[str, Seen]:
        # The action is that of the trained agent, whatever a random one would do.
        maps = MethodMaps(who, episode, names, stream=stream, action=action)(rows)
        return {name: Seen.of(own) for name, own in maps.items()}

    action = None if episode.actions is not None and episode.actions.ndim == 1 else "0"

    def run(who: Agent) -> None:
        with evaluating(who.network):
            passes = MethodMaps(who, episode, (), stream=stream).passes
            if who.memory_size:
                passes.unrolled(*passes.window(chosen, 1))
            else:
                passes.streams(passes.pictures(chosen))

    order = stages(agent, run)
    own, plain = of(agent), Seen.of(edges(Pictures(agent, episode), rows))
    down: dict[str, list[Array]] = {name: [] for name in names}
    single: dict[str, list[Array]] = {name: [] for name in names}
    random_edges: dict[str, list[Array]] = {name: [] for name in names}
    between: dict[str, list[Array]] = {name: [] for name in names}
    last: dict[str, Seen] | None = None
    for seed in range(seeds):
        steps: dict[str, list[Array]] = {name: [] for name in names}
        made: dict[str, Seen] = {}
        for who in cascading(agent, order, seed, how):
            made = of(who)
            for name in names:
                steps[name].append(own[name].like(made[name]))
        for name in names:
            down[name].append(np.stack(steps[name]))
            random_edges[name].append(made[name].like(plain))
            if last is not None:
                between[name].append(last[name].like(made[name]))
        last = made
        if alone:
            parts = [of(who) for who in independent(agent, order, seed, how)]
            for name in names:
                single[name].append(np.stack([own[name].like(part[name]) for part in parts]))

    def stacked(lists: dict[str, list[Array]]) -> dict[str, Array]:
        return {name: np.stack(values) for name, values in lists.items() if values}

    to_edges = {name: own[name].like(plain) for name in names}
    return Sanity(rows, order, stacked(down), stacked(single), to_edges, stacked(random_edges), stacked(between))
