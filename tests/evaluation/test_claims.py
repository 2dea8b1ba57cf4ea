"""Claims: judged by whole intervals, each agent by itself, and not at all where nothing was measured."""

from dataclasses import replace

import numpy as np
import pytest

from policyscope.evaluation import claims
from policyscope.evaluation.claims import (
    Claim,
    between,
    beyond,
    both,
    correlated,
    grown,
    judge,
    less,
    more,
    overview_of,
    summed_up,
    table_of,
)
from policyscope.evaluation.documents import CLAIMS, METHODS
from policyscope.evaluation.evidence import Case
from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.runner import Evaluation


def case(name, values, game="breakout", stage="late", numbers=None, tmp="."):
    """An agent of whom this was measured: (measure, source, kind) -> values."""
    outcome = Outcome(values, numbers=numbers or {})
    return Case(name, game, stage, [Evaluation(name, tmp, None, {"smaller-claims": outcome}, (), ())])


def noisy(mean, seed, count=200):
    return mean + np.random.default_rng(seed).normal(size=count)


AGENT = case(
    "a", {("m", "one", ""): noisy(1, 0), ("m", "two", ""): noisy(0, 1), ("n", "one", ""): noisy(0, 2, 200) - 3}
)


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        (more("m", "one", "two"), "holds"),
        (less("m", "one", "two"), "does not hold"),
        (beyond("m", "two", 0), "open"),
        (beyond("m", "two", 1, side="below"), "holds"),
        (between("m", "n", "one"), "holds"),
        (between("m", "n", "one", by=5), "does not hold"),
        (both(more("m", "one", "two"), beyond("m", "two", 0)), "open"),
        (both(more("m", "one", "two"), less("m", "one", "two")), "does not hold"),
    ],
)
def test_a_claim_holds_where_all_of_its_intervals_are_on_its_side(test, answer):
    (found,) = judge(Claim("here", "so", test), [AGENT])
    assert found.answer == answer


def test_what_grows_with_training_is_compared_with_the_earlier_agent():
    early = case("e", {("m", "one", ""): noisy(0, 3, 90), ("m", "two", ""): noisy(0, 4, 90)}, stage="early")
    late = replace(case("l", {("m", "one", ""): noisy(1, 5), ("m", "two", ""): noisy(1, 6)}), earlier=early)
    answers = [
        [one.answer for one in judge(Claim("here", "so", test), [late])]
        for test in (
            grown("m", "one"),
            grown("m", "one", side="below"),
            grown("m", "one", than="two"),
            grown("m", "three"),
        )
    ]
    assert answers == [["holds"], ["does not hold"], ["open"], []]
    assert judge(Claim("here", "so", grown("m", "one")), [early]) == []


def test_what_was_not_measured_is_not_judged():
    assert judge(Claim("here", "so", more("m", "one", "three")), [AGENT]) == []
    assert summed_up([]) == "not tested"


def test_a_claim_speaks_of_its_games_and_stage_alone():
    others = [
        case("b", {("m", "one", ""): noisy(1, 3)}, game="pong"),
        case("c", {("m", "one", ""): noisy(1, 4)}, stage="early"),
    ]
    test = beyond("m", "one", 0)
    assert [one.agent for one in judge(Claim("here", "so", test, games=("pong",)), [AGENT, *others])] == ["b"]
    assert [one.agent for one in judge(Claim("here", "so", test, stage="early"), [AGENT, *others])] == ["c"]


def test_a_correlation_is_taken_from_where_a_part_keeps_it():
    told = {"rarity": {"one": {"mean": -0.4, "low": -0.5, "high": -0.3, "n": 90}}}
    found = judge(Claim("", "", correlated("smaller-claims", "rarity", "one", "below")), [case("a", {}, numbers=told)])
    assert found[0].answer == "holds"


def test_agents_that_differ_are_summed_up_as_differing():
    def of(*answers):
        return [claims.Judged("a", answer, "") for answer in answers]

    assert summed_up(of("holds", "holds")) == "holds (2 of 2)"
    assert summed_up(of("holds", "does not hold")) == "depends on the agent (1 of 2)"
    assert summed_up(of("holds", "open")) == "in part (1 of 2)"
    assert summed_up(of("does not hold", "open")) == "not shown (0 of 2)"
    assert summed_up(of("does not hold", "holds", "open")) == "depends on the agent (1 of 3)"
    assert summed_up(of("open")) == "open (0 of 1)"
    assert summed_up(of("does not hold")) == "does not hold (0 of 1)"


def test_all_claims_of_the_documents_can_be_asked_of_an_agent_without_measurements():
    table = table_of(CLAIMS, [case("a", {})])
    assert len(table.rows) == len(CLAIMS)
    assert {row[2] for row in table.rows} == {"not tested"}
    assert overview_of(CLAIMS, [AGENT]).columns == ("where", "claim", "a", "in all")
    assert {"grad_cam@3", "guided_backprop", "edges"} <= set(METHODS)
