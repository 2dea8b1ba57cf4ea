"""The sanity check by shuffled labels, where an agent that learnt from shuffled rewards is there."""

from __future__ import annotations

from policyscope.errors import ProtocolError
from policyscope.evaluation.labels import labels as compared
from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.sanity import MEASURE
from policyscope.evaluation.similarity import SIMILARITIES
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

_NOTE = (
    "Likeness of maps of the same states and actions (rank correlation of absolute values, 1 is the same): to those of "
    "an agent that learnt from shuffled rewards, and of a twin that learnt the same from another seed. learnt: by how "
    "much they are more like the twin's; 0 says that what was learnt does not show."
)
_COLUMNS = ("method", "to shuffled rewards", "to a twin", "learnt", "SSIM: learnt", "HOG: learnt", "what was learnt")


def labels(subject: Subject) -> Outcome:
    """Likeness of each method's maps to those of an agent that had nothing to learn, and to a twin's."""
    if subject.shuffled is None:
        return Outcome(notes=["skipped: it needs an agent that learnt from shuffled rewards (--shuffled)"])
    names = subject.gradient_methods
    try:
        found = compared(
            subject.agent,
            subject.shuffled,
            subject.episode,
            subject.rows(),
            names,
            twin=subject.twin,
            stream=subject.sources.streams[0],
        )
    except ProtocolError as error:
        return Outcome(notes=[f"skipped: {error}"])
    place = SIMILARITIES.index(MEASURE)
    verdicts = {name: found.verdict(name) for name in names}
    values: dict[Key, Array] = {}
    rows: list[list[Cell]] = []
    for name in names:
        values["shuffled_labels", name, ""] = found.shuffled[name][:, place]
        if found.twin:
            values["twin", name, ""] = found.twin[name][:, place]
        numbers = (found.likeness(name), found.to_twin(name), found.learnt(name))
        others = (found.learnt(name, "ssim"), found.learnt(name, "hog"))
        rows.append([name, *map(str, (*numbers, *others)), verdicts[name]])
    return Outcome(values, [Table("shuffled labels", _COLUMNS, rows, _NOTE)], {"verdicts": verdicts})
