"""What was measured of an agent, asked for by name: over its episodes as strata."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from policyscope.evaluation.frames import MEASURES
from policyscope.evaluation.runner import Evaluation
from policyscope.evaluation.statistics import NOTHING, Interval, paired, summary
from policyscope.storage import Array


@dataclass(frozen=True)
class Case:
    """An agent that was evaluated on one episode or several.

    Attributes:
        name: Its.
        game: That it played.
        stage: Of its training.
        runs: An evaluation an episode.
        earlier: The same agent after less training, if there is one.
    """

    name: str
    game: str
    stage: Literal["late", "early"]
    runs: Sequence[Evaluation]
    earlier: Case | None = None

    def values(self, measure: str, source: str, kind: str = "") -> list[Array]:
        """(n,) of each episode that has it; an empty list where none has.

        Args:
            measure: Of frames, or of a part of the evaluation.
            source: Of maps.
            kind: Of object; ``*`` for the mean over all kinds that are there.
        """
        found = [_values(run, measure, source, kind) for run in self.runs]
        return [one for one in found if one is not None and np.isfinite(one).any()]

    def numbers(self, part: str, group: str, source: str) -> list[dict[str, Any]]:
        """What a part has worked out of a source, of each episode that has it."""
        found = (run.outcomes[part].numbers.get(group, {}).get(source) for run in self.runs if part in run.outcomes)
        return [one for one in found if one is not None]

    def mean(self, measure: str, source: str, kind: str = "") -> Interval:
        """Of a measure; nothing where it was not measured."""
        values = self.values(measure, source, kind)
        return summary(values) if values else NOTHING

    def difference(self, measure: str, one: str, other: str, kind: str = "") -> Interval:
        """Of two sources, frame by frame."""
        first, second = self.values(measure, one, kind), self.values(measure, other, kind)
        return paired(first, second) if first and len(first) == len(second) else NOTHING


def _values(run: Evaluation, measure: str, source: str, kind: str) -> Array | None:
    scores = run.scores
    if scores is not None and measure in scores.measures and source in scores.sources:
        if not MEASURES[measure].kinds:
            return scores.values(measure, source)
        kinds = scores.kinds if kind == "*" else (kind,)
        if not set(kinds) <= set(scores.kinds) or not kinds:
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # frames without any object
            return np.asarray(np.nanmean([scores.values(measure, source, one) for one in kinds], axis=0))
    for outcome in run.outcomes.values():
        if (measure, source, kind) in outcome.values:
            return np.asarray(outcome.values[measure, source, kind], np.float64)
    return None
