"""The policy as a map of sorts of states, told in plain words."""

from __future__ import annotations

from importlib.util import find_spec

from policyscope.errors import TargetError
from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.samdp import LEAST_STATES
from policyscope.evaluation.samdp import samdp as made
from policyscope.evaluation.samdp_figure import figure
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.rendering.figure import of_run


def samdp(subject: Subject) -> Outcome:
    """Clusters of states with what is to be seen in them, their values, and the ways between them."""
    if find_spec("sklearn") is None:
        return Outcome(notes=["skipped: it needs scikit-learn: pip install 'policyscope[evaluate]'"])
    if len(subject.episode) < LEAST_STATES:
        return Outcome(notes=[f"skipped: {len(subject.episode)} steps are too few; it needs {LEAST_STATES}"])
    try:
        found = made(subject.agent, subject.episode, seed=subject.seed)
    except TargetError as error:
        return Outcome(notes=[f"skipped: {error}"])
    if find_spec("matplotlib") is not None:
        paths = of_run(subject.out, "evaluation-samdp")
        figure(found, subject.episode, *paths, title=f"{subject.agent.source}: sorts of states")
    rows: list[list[Cell]] = [
        [
            row["cluster"],
            f"{row['share']:.0%}",
            row["value"],
            row["caption"],
            ", ".join(f"{one['cluster']} ({one['chance']:.0%})" for one in row["next"]),
            row["row"],
        ]
        for row in found.table()
    ]
    columns = ("sort", "states", "value", "what is to be seen", "then", "example: step")
    note = (
        "Sorts of states by what the last hidden layer makes of them (t-SNE, clustered in space and time; Zahavy et "
        f"al., 2016). The aggregated process's values differ from the agent's by {found.model.error:.2g} on the mean."
    )
    return Outcome({}, [Table("sorts of states", columns, rows, note)], found.document())
