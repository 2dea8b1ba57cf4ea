"""The documents' claims about saliency, each with a test that an evaluation can pass or fail.

A claim is judged for each agent that it speaks of, by the interval of a mean or of a paired difference: it *holds*
where the whole interval is on its side, *does not hold* where it is on the other, and is *open* where the interval
covers both. The wording is ours, short; where it stands is said beside it. "Paper" is Rosynski et al. (2020), "blog"
that of Bikineyev and Sadreddinov.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from policyscope.evaluation.evidence import Case
from policyscope.evaluation.statistics import Interval, paired, unpaired
from policyscope.evaluation.table import Cell, Table

Answer = Literal["holds", "does not hold", "open"]
Side = Literal["above", "below"]


@dataclass(frozen=True)
class Judged:
    """A claim, judged for one agent.

    Attributes:
        agent: Its name.
        answer: Whether it holds.
        numbers: What says so.
    """

    agent: str
    answer: Answer
    numbers: str


Test = Callable[[Case], Iterator[tuple[Interval, str]]]
"""Yields intervals that all must be on the claim's side (above zero), and what they are."""


@dataclass(frozen=True)
class Claim:
    """What a document says.

    Attributes:
        where: Document and place.
        says: In a sentence.
        test: Of one case; what it yields nothing for is not judged.
        games: That it speaks of; empty for all.
        stage: Of training that it speaks of.
    """

    where: str
    says: str
    test: Test
    games: tuple[str, ...] = ()
    stage: Literal["late", "early", ""] = ""


def judge(claim: Claim, cases: Iterable[Case]) -> list[Judged]:
    """The answers for all agents that a claim speaks of.

    Args:
        claim: What is said.
        cases: Evaluated agents.
    """
    found: list[Judged] = []
    for case in cases:
        if (claim.games and case.game not in claim.games) or (claim.stage and case.stage != claim.stage):
            continue
        seen = [(interval, words) for interval, words in claim.test(case) if interval.n]
        if seen:
            numbers = "; ".join(f"{words}: {interval}" for interval, words in seen)
            found.append(Judged(case.name, _answer([interval for interval, _ in seen]), numbers))
    return found


def _answer(intervals: Sequence[Interval]) -> Answer:
    sides = {interval.against(0.0) for interval in intervals}
    if "lower" in sides:
        return "does not hold"
    return "holds" if sides == {"higher"} else "open"


_TOGETHER: Mapping[frozenset[Answer], str] = {
    frozenset(("holds", "open")): "in part",
    frozenset(("does not hold", "open")): "not shown",
    frozenset(("holds", "does not hold")): "depends on the agent",
    frozenset(("holds", "does not hold", "open")): "depends on the agent",
}


def summed_up(judged: Sequence[Judged]) -> str:
    """One word over several agents, with how many they are."""
    if not judged:
        return "not tested"
    answers = [one.answer for one in judged]
    found = frozenset(answers)
    word = _TOGETHER[found] if len(found) > 1 else answers[0]
    return f"{word} ({answers.count('holds')} of {len(judged)})"


def overview_of(claims: Sequence[Claim], cases: Sequence[Case]) -> Table:
    """A row a claim, a column an agent, without numbers.

    Args:
        claims: What is said.
        cases: Evaluated agents.
    """
    words = {"holds": "holds", "does not hold": "no", "open": "open"}
    rows: list[list[Cell]] = []
    for claim in claims:
        judged = judge(claim, cases)
        answers = {one.agent: words[one.answer] for one in judged}
        rows.append([claim.where, claim.says, *(answers.get(case.name, "") for case in cases), summed_up(judged)])
    return Table("verdicts", ("where", "claim", *(case.name for case in cases), "in all"), rows)


def table_of(claims: Sequence[Claim], cases: Sequence[Case]) -> Table:
    """A row a claim and agent.

    Args:
        claims: What is said.
        cases: Evaluated agents.
    """
    rows: list[list[Cell]] = []
    for claim in claims:
        judged = judge(claim, cases)
        rows.append([claim.where, claim.says, summed_up(judged), ""])
        rows += [["", one.agent, one.answer, one.numbers] for one in judged]
    return Table("claims", ("where", "claim or agent", "verdict", "numbers (more than 0 is for the claim)"), rows, "")


# -- tests ------------------------------------------------------------------------------------------------------------


def more(measure: str, one: str, other: str, kind: str = "") -> Test:
    """A measure of one source is larger than that of another, on the same frames.

    Args:
        measure: Of frames or of a part.
        one: Source.
        other: Source.
        kind: Of object; ``*`` for the mean over all kinds.
    """

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        yield case.difference(measure, one, other, kind), f"{measure} of {one} less that of {other}{_on(kind)}"

    return test


def less(measure: str, one: str, other: str, kind: str = "") -> Test:
    """As :func:`more`, the other way round."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        yield case.difference(measure, other, one, kind), f"{measure} of {other} less that of {one}{_on(kind)}"

    return test


def beyond(measure: str, source: str, value: float, kind: str = "", side: Side = "above") -> Test:
    """A mean is above (or below) a value."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        found = shifted(case.mean(measure, source, kind), value)
        words = f"{measure} of {source}{_on(kind)}"
        if side == "above":
            yield found, f"{words} less {value:g}" if value else words
        else:
            yield flipped(found), f"{value:g} less {words}"

    return test


def between(one: str, other: str, source: str, kind: str = "", by: float = 0.0) -> Test:
    """One measure of a source is larger than another of the same source, by more than something."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        first, second = case.values(one, source, kind), case.values(other, source, kind)
        if first and len(first) == len(second):
            words = f"{one} less {other} of {source}{_on(kind)}"
            yield shifted(paired(first, second), by), words + (f" less {by:g}" if by else "")

    return test


def apart(measure: str, one: str, other: str, by: float) -> Test:
    """As :func:`more`, by more than something."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        yield shifted(case.difference(measure, one, other), by), f"{measure} of {one} less that of {other} less {by:g}"

    return test


def grown(measure: str, source: str, kind: str = "", than: str = "", side: Side = "above") -> Test:
    """A measure is larger (or smaller) after more training, by more than that of another source, if one is named."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        early = case.earlier
        if early is None:
            return
        now, before = ([one.values(measure, name, kind) for name in (source, than) if name] for one in (case, early))
        if not all((*now, *before)) or len({len(values) for values in now}) > 1:
            return
        if than:
            now, before = ([[a - b for a, b in zip(*pair, strict=True)]] for pair in (now, before))
        found = unpaired(now[0], before[0])
        words = f"{measure} of {source}{_on(kind)}" + (f" less that of {than}" if than else "")
        words += f", less the same of {early.name}"
        yield (found, words) if side == "above" else (flipped(found), f"the negative of {words}")

    return test


def correlated(part: str, group: str, source: str, side: Side) -> Test:
    """A correlation that a part of the evaluation has worked out is above (or below) zero."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        for found in case.numbers(part, group, source):
            interval = Interval(float(found["mean"]), float(found["low"]), float(found["high"]), int(found["n"]))
            yield interval if side == "above" else flipped(interval), f"{group} of {source}"

    return test


def both(*tests: Test) -> Test:
    """All of them."""

    def test(case: Case) -> Iterator[tuple[Interval, str]]:
        for one in tests:
            yield from one(case)

    return test


def shifted(interval: Interval, by: float) -> Interval:
    """An interval less a number."""
    return Interval(interval.mean - by, interval.low - by, interval.high - by, interval.n)


def flipped(interval: Interval) -> Interval:
    """An interval of the negative."""
    return Interval(-interval.mean, -interval.high, -interval.low, interval.n)


def _on(kind: str) -> str:
    return " over all kinds of objects" if kind == "*" else f" on {kind}" if kind else ""
