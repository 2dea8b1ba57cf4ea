"""Sanity checks: whether maps depend on what was learnt, or show what any network would."""

from __future__ import annotations

from typing import Any

from policyscope.evaluation.badges import Answer
from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.sanity import MEASURE
from policyscope.evaluation.sanity import sanity as checked
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

STATES = 24
_ANSWERS: dict[str, Answer] = {"depends": "yes", "does not": "no", "partly": "open", "unknown": "open"}
_NOTE = (
    "Likeness ({measure}) of maps to those of the trained network, 1 is the same, with the weights drawn anew from the "
    "output down: of the layers that decide, and of all. Beside it, how like the picture's edges the trained and a "
    "random network's maps are, and two random networks' to each other. learnt: by how much random networks' maps are "
    "more like each other than like the trained one's; 0 says that training put nothing in."
)
_COLUMNS = ("after the head", "after all", "to edges", "random to edges", "random to random", "learnt", "weights")


def sanity(subject: Subject) -> Outcome:
    """Likeness of each method's maps to those of networks whose weights were drawn anew."""
    stream = subject.sources.streams[0]
    names = subject.gradient_methods
    found = checked(subject.agent, subject.episode, subject.rows(STATES), names, stream=stream)
    place = found.measures.index(MEASURE)
    values: dict[Key, Array] = {}
    verdicts: dict[str, Any] = {}
    rows: list[list[Cell]] = []
    for name in names:
        decided = found.verdict(name)
        whole, head = found.after(name), found.after(name, found.head)
        values["after_all", name, ""] = found.cascading[name][:, -1, :, place].mean(axis=0)
        values["after_head", name, ""] = found.cascading[name][:, found.head, :, place].mean(axis=0)
        values["edges", name, ""] = found.edges[name][:, place]
        values["edges_random", name, ""] = found.edges_random[name][:, :, place].mean(axis=0)
        text = f"with all weights drawn anew its maps are alike to {whole} (1 is the same)"
        verdicts[name] = {"answer": _ANSWERS[decided], "verdict": decided, "text": text}
        seen = (head, whole, found.of_edges(name), found.of_edges_random(name), found.between_random(name))
        rows.append([name, *map(str, seen), str(found.learnt(name)), decided])
    note = _NOTE.format(measure=MEASURE.replace("_", " "))
    stages = [", ".join(stage.layers) for stage in found.stages]
    return Outcome(
        values, [Table("sanity", ("method", *_COLUMNS), rows, note)], {"verdicts": verdicts, "stages": stages}
    )
