"""Label randomisation (Adebayo et al., 2018): do maps differ from those of an agent that had nothing to learn?

An agent trained by the same recipe from rewards that came at moments drawn by chance (``policyscope train RECIPE
--shuffle-rewards``) has seen the same pictures through the same architecture, and has learnt nothing of the game. A map
that is as like that agent's as like a *twin's*, who learnt the game from another seed, does not show what was learnt.
Without a twin one cannot tell what likeness to expect of two who know the same, and the levels of the check by weights
are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.agents.comparing import check_agents
from policyscope.episodes.episode import Episode
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.evaluation.sanity import KEPT, LOST, MEASURE
from policyscope.evaluation.similarity import SIMILARITIES, Seen
from policyscope.evaluation.statistics import NOTHING, Interval, paired, summary
from policyscope.saliency.plan import METHODS
from policyscope.storage import Array

NARROW = 0.1
"""Width of an interval around zero below which two likenesses are taken for the same."""

Verdict = Literal["depends", "does not", "open"]


@dataclass(frozen=True)
class Labels:
    """Likeness of an agent's maps to those of others, in the order of ``SIMILARITIES``.

    Attributes:
        rows: (n,) of the episode.
        shuffled: Name -> (n, measures): to those of an agent that learnt from shuffled rewards.
        twin: Name -> (n, measures): to those of one that learnt the same from another seed; empty without one.
    """

    rows: Array
    shuffled: Mapping[str, Array]
    twin: Mapping[str, Array]

    def likeness(self, name: str, measure: str = MEASURE) -> Interval:
        """To the agent that learnt from shuffled rewards."""
        return summary(self.shuffled[name][:, SIMILARITIES.index(measure)])

    def to_twin(self, name: str, measure: str = MEASURE) -> Interval:
        """To the one that learnt the same; nothing where there is none."""
        return summary(self.twin[name][:, SIMILARITIES.index(measure)]) if name in self.twin else NOTHING

    def learnt(self, name: str, measure: str = MEASURE) -> Interval:
        """By how much maps are more like the twin's than those of shuffled rewards, state by state."""
        place = SIMILARITIES.index(measure)
        return paired(self.twin[name][:, place], self.shuffled[name][:, place]) if name in self.twin else NOTHING

    def verdict(self, name: str, measure: str = MEASURE) -> Verdict:
        """Whether a method's maps depend on what was learnt.

        With a twin: "depends" where they are more like the twin's, "does not" where they are less or where they are as
        like and the interval is narrower than 0.1. Without one: below 0.5, above 0.8.
        """
        if not self.twin:
            found = self.likeness(name, measure)
            return "depends" if found.high < LOST else "does not" if found.low > KEPT else "open"
        gap = self.learnt(name, measure)
        known = gap.against(0.0)
        if known == "higher":
            return "depends"
        return "does not" if known == "lower" or (known == "same" and gap.high - gap.low < NARROW) else "open"


def labels(
    agent: Agent,
    shuffled: Agent,
    episode: Episode,
    rows: Array,
    names: Iterable[str] = tuple(METHODS),
    *,
    twin: Agent | None = None,
    stream: str | None = None,
) -> Labels:
    """Compares an agent's maps with those of one that learnt from shuffled rewards, on the same states and actions.

    Args:
        agent: Whose maps are checked, and whose episode it is.
        shuffled: Trained by the same recipe with ``--shuffle-rewards``.
        episode: Its states and actions.
        rows: (n,) of the episode.
        names: As for :class:`MethodMaps`.
        twin: Trained by the same recipe from another seed.
        stream: What is explained; by default what the agent acts by.

    Raises:
        ProtocolError: One of them does not see or do the same as the agent, or has a memory.
    """
    names = tuple(names)
    others = [who for who in (shuffled, twin) if who is not None]
    for who in others:
        check_agents(agent, who)
    own, *theirs = (MethodMaps(who, episode, names, stream=stream)(rows) for who in (agent, *others))
    seen = {name: Seen.of(own[name]) for name in names}
    found = [{name: seen[name].like(Seen.of(maps[name])) for name in names} for maps in theirs]
    return Labels(np.asarray(rows), found[0], found[1] if twin is not None else {})
