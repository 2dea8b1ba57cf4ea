"""The parts of an evaluation, one file each: from a subject to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.parts.discrimination import discrimination
from policyscope.evaluation.parts.early import early
from policyscope.evaluation.parts.faithfulness import faithfulness
from policyscope.evaluation.parts.hidden import hidden
from policyscope.evaluation.parts.labels import labels
from policyscope.evaluation.parts.laplacian import laplacian
from policyscope.evaluation.parts.samdp import samdp
from policyscope.evaluation.parts.sanity import sanity
from policyscope.evaluation.parts.smaller import smaller
from policyscope.evaluation.parts.xrl import xrl
from policyscope.evaluation.subject import LABELS, Subject

Part = Callable[[Subject], Outcome]

PARTS: Mapping[str, Part] = {
    "faithfulness": faithfulness,
    "sanity": sanity,
    LABELS: labels,
    "discrimination": discrimination,
    "laplacian": laplacian,
    "smaller-claims": smaller,
    "xrl-bench": xrl,
    "sorts-of-states": samdp,
    "early": early,
    "hidden-return": hidden,
}
"""Name -> part, in the order in which they are done. Before them come the scores of each frame."""
