"""Whether maps tell actions apart, and whether what an action's map marks is that action's own."""

from __future__ import annotations

import numpy as np

from policyscope.evaluation.discrimination import CONTRAST, ActionMaps
from policyscope.evaluation.discrimination import discrimination as told_apart
from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

STATES = 48
RULE = "for over against"
"""Our action-discriminative guided backpropagation."""
CONTRASTS = tuple(f"{name}{CONTRAST}" for name in ("gradient", "guided_backprop", "grad_cam"))
_NOTE = (
    "separation: 1 - rank correlation of two actions' maps in one state; noise: of the same action's maps under noise "
    "that nobody sees; elsewhere: of the same action's maps in two states. specificity: by how much more hiding what "
    "an action's map marks changes that action than others (0 is alike, 1 that action alone); support: by how much "
    "more it makes that action less likely, in standard deviations."
)


def discrimination(subject: Subject) -> Outcome:
    """Separation, specificity and support of each method, and of the action-discriminative one."""
    if subject.agent.continuous is not None or len(subject.agent.actions) < 2:
        return Outcome(notes=["skipped: it needs an agent that chooses one of several actions"])
    names = (*subject.gradient_methods, *CONTRASTS, RULE)
    maps = ActionMaps(subject.agent, subject.episode, names)
    found = told_apart(subject.agent, subject.episode, subject.rows(STATES), maps, seed=subject.seed)
    values: dict[Key, Array] = {}
    rows: list[list[Cell]] = []
    for name in names:
        said = found.summaries(name)
        rows.append(
            [name, *(str(said[word]) for word in ("separation", "noise", "elsewhere", "specificity", "support"))]
        )
        values["separation", name, ""] = found.separation[name][:, 0]
        values["separation_noise", name, ""] = found.noise[name][:, 0]
        values["specificity", name, ""] = found.specificity(name)
        values["support", name, ""] = found.support(name)
    columns = ("method", "separation", "noise", "elsewhere", "specificity", "support")
    kept = {key: one for key, one in values.items() if np.isfinite(one).any()}
    return Outcome(kept, [Table("action discrimination", columns, rows, _NOTE)])
