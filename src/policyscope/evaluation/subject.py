"""What is evaluated: an agent's maps on an episode, and the few things that all parts of an evaluation ask."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.baselines import BASELINES
from policyscope.evaluation.method_maps import MethodMaps, spread_rows
from policyscope.evaluation.sources import DEFAULT, Sources
from policyscope.saliency import plan
from policyscope.storage import Array

LABELS = "shuffled-labels"
"""The part that compares the agent with others."""

Progress = Callable[[int, int], None]


def _silent(done: int, of: int) -> None:
    return None


@dataclass(frozen=True)
class Subject:
    """An agent, an episode and the methods that are judged on it.

    Attributes:
        agent: Whose maps.
        episode: What it saw and did.
        out: Run folder.
        methods: Names of sources.
        streams: That are explained; the agent's acting one by default.
        action: Which action is explained.
        lag: The input frame.
        seed: Of what is drawn by chance.
        sampled: States for the measures that are laborious.
        games: That are played where an agent has to act under another condition.
        shuffled: An agent that learnt by the same recipe from shuffled rewards, if there is one.
        twin: One that learnt the same from another seed, if there is one.
        progress: Called with (done, of).
    """

    agent: Agent
    episode: Episode
    out: Path
    methods: tuple[str, ...] = DEFAULT
    streams: tuple[str, ...] = ()
    action: str | int | None = None
    lag: int = 0
    seed: int = 0
    sampled: int = 96
    games: int = 8
    shuffled: Agent | None = None
    twin: Agent | None = None
    progress: Progress = field(default=_silent, compare=False)

    def fingerprint(self, part: str) -> str:
        """Of all that shapes a part's outcome; other agents shape one part alone."""
        told: dict[str, Any] = {
            name: getattr(self, name) for name in ("methods", "streams", "action", "lag", "seed", "sampled", "games")
        }
        told |= {"agent": self.agent.fingerprint, "episode": self.episode.fingerprint}
        if part == LABELS:
            told |= {"others": [other and other.fingerprint for other in (self.shuffled, self.twin)]}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @cached_property
    def sources(self) -> Sources:
        """All methods."""
        return Sources(self.agent, self.episode, self.methods, streams=self.streams, action=self.action, lag=self.lag)

    @property
    def gradient_methods(self) -> tuple[str, ...]:
        """Of ours, those that go back through the network."""
        return tuple(name for name in self.methods if name.partition("@")[0] in plan.METHODS)

    @property
    def judged(self) -> tuple[str, ...]:
        """Methods whose maps can be made of any row at once: all but those of perturbation."""
        return tuple(name for name in self.methods if name not in plan.PERTURBATION)

    def maps(self, *names: str, stream: str | None = None) -> MethodMaps:
        """Maps of some methods (by default of all that can be made at once) of one stream.

        Args:
            names: Of methods.
            stream: What is explained; by default the first.
        """
        return MethodMaps(
            self.agent,
            self.episode,
            names or self.judged,
            stream=stream or (self.streams[0] if self.streams else None),
            action=self.action,
            lag=self.lag,
        )

    def rows(self, count: int | None = None) -> Array:
        """(n,) rows of the episode, evenly spread."""
        return np.asarray(spread_rows(self.episode, min(count or self.sampled, len(self.episode))))

    @property
    def baselines(self) -> tuple[str, ...]:
        """Of the methods, those that know nothing of the agent."""
        return tuple(name for name in self.methods if name in BASELINES)
