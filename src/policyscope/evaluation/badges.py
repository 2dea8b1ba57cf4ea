"""A trust badge beside each method: does its map show what matters, and does it come from the weights at all?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.statistics import Verdict, summary
from policyscope.storage import write_json

FILE = "badges.json"
Answer = Literal["yes", "no", "open"]
_ANSWERS: dict[Verdict, Answer] = {"higher": "yes", "lower": "no", "same": "open", "unknown": "open"}


@dataclass(frozen=True)
class Badge:
    """An answer about a method's maps of this agent.

    Attributes:
        question: ``faithful``: what it marks matters to the agent; ``weights``: it depends on what was learnt.
        answer: ``open`` where the interval does not tell.
        text: The numbers, in a sentence.
    """

    question: str
    answer: Answer
    text: str


def badges_of(outcomes: Mapping[str, Outcome]) -> dict[str, list[Badge]]:
    """Method -> badges, of what was found.

    Args:
        outcomes: Part -> what it found.
    """
    found: dict[str, list[Badge]] = {}
    if "faithfulness" in outcomes:
        for (measure, source, _), values in outcomes["faithfulness"].values.items():
            if measure == "deletion_tv":
                interval = summary(values)
                text = f"hiding what it marks changes the policy by {interval} more than hiding as much by chance"
                found.setdefault(source, []).append(Badge("faithful", _ANSWERS[interval.against(0.0)], text))
    if "sanity" in outcomes:
        for source, told in outcomes["sanity"].numbers.get("verdicts", {}).items():
            found.setdefault(source, []).append(Badge("weights", told["answer"], str(told["text"])))
    return found


def write_badges(run: Path, badges: Mapping[str, list[Badge]], stream: str, action: str | int | None) -> None:
    """Puts badges into a run: what was explained, and a list of objects a method.

    Args:
        run: The folder.
        badges: Method -> badges.
        stream: That was explained.
        action: Of it; None for the one taken.
    """
    methods = {method: [asdict(badge) for badge in mine] for method, mine in badges.items()}
    write_json(run / FILE, {"stream": stream, "action": str(action or "taken"), "methods": methods})
