"""The parts of an evaluation, one file each: from a subject to an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.parts.early import early
from policyscope.evaluation.parts.faithfulness import faithfulness
from policyscope.evaluation.parts.sanity import sanity
from policyscope.evaluation.parts.smaller import smaller
from policyscope.evaluation.parts.xrl import xrl
from policyscope.evaluation.subject import Subject

Part = Callable[[Subject], Outcome]

PARTS: Mapping[str, Part] = {
    "faithfulness": faithfulness,
    "xrl-bench": xrl,
    "sanity": sanity,
    "smaller-claims": smaller,
    "early": early,
}
"""Name -> part, in the order in which they are done. Before them come the scores of each frame."""
