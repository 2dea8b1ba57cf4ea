"""Deletion and insertion: whether what maps mark matters to the agent."""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.deletion import RANDOM, deletion
from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.ranking import means
from policyscope.evaluation.subject import Subject
from policyscope.storage import Array

SHOWN = {
    "deletion_kl": "KL of the policy, area under the deletion curve, beyond that of a random order",
    "deletion_tv": "total variation of the policy, likewise",
    "deletion_q": "fall of the explained action's Q, likewise",
    "deletion_value": "change of the value, likewise",
    "contrast_tv": "total variation, most salient first against least salient first",
}


def faithfulness(subject: Subject) -> Outcome:
    """The areas of each method, beyond a random order and against the opposite order, of sampled states."""
    maps = subject.maps()
    curves = deletion(subject.agent, subject.episode, subject.rows(), maps, seed=subject.seed)
    values: dict[Key, Array] = {}
    for name in maps.names:
        for measure in ("kl", "tv", "q", "value", "action", "probability"):
            found = curves.gain(name, measure)
            if np.isfinite(found).any():
                values["deletion_" + measure, name, ""] = found
                values["contrast_" + measure, name, ""] = curves.contrast(name, measure)
                values["insertion_" + measure, name, ""] = curves.area("insertion", name, measure)
    for measure in ("kl", "tv", "value"):
        values["random_" + measure, RANDOM, ""] = curves.area("deletion", RANDOM, measure)
    shown = {name: words for name, words in SHOWN.items() if any(key[0] == name for key in values)}
    table = means("faithfulness", values, shown, largest=True, baselines=subject.baselines)
    return Outcome(
        values,
        [table],
        {"shares": curves.shares, "passes": curves.passes, "asked": curves.asked},
        [f"{len(curves.rows)} states; hidden pixels are blurred, in all frames alike"],
    )
