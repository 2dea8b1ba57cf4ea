"""The doctor: the order of findings, rules by name, and what becomes of a rule that cannot be asked."""

from __future__ import annotations

import json

import pytest
from small import SmallDueling, agent_of, episode_of, frames, stacked, trained_looking

from policyscope.diagnosis import doctor
from policyscope.diagnosis.finding import Finding, Where
from policyscope.errors import PolicyscopeError, TargetError


@pytest.fixture(scope="module")
def case():
    return agent_of(trained_looking(SmallDueling())), episode_of(stacked(frames(30)))


def finding(severity, sure="likely"):
    return Finding("made", severity, Where("network", lag=(1, 2)), "seen", "try", sure)


def test_the_worst_and_the_surest_come_first(case, monkeypatch):
    rules = {
        "one": lambda examination: [finding("note"), finding("grave", "possible")],
        "two": lambda examination: [finding("grave", "certain"), finding("warning")],
    }
    monkeypatch.setattr(doctor, "RULES", rules)
    found = doctor.diagnose(*case)
    assert [(f.severity, f.sure) for f in found] == [
        ("grave", "certain"),
        ("grave", "possible"),
        ("warning", "likely"),
        ("note", "likely"),
    ]


def test_a_rule_that_cannot_be_asked_says_why(case, monkeypatch):
    def impossible(examination):
        raise TargetError("there is no such stream")

    monkeypatch.setattr(doctor, "RULES", {"impossible": impossible, "two": lambda examination: [finding("grave")]})
    found = doctor.diagnose(*case)
    assert [f.severity for f in found] == ["grave", "note"]
    assert "no such stream" in found[1].evidence


def test_rules_are_asked_by_name_and_told(case):
    told = []
    doctor.diagnose(*case, rules=["dueling", "gain"], told=told.append)
    assert told == ["dueling", "gain"]
    with pytest.raises(PolicyscopeError, match="no rule 'duelling'; there are: finite"):
        doctor.diagnose(*case, rules="duelling")


def test_a_finding_is_plain_in_json():
    made = finding("grave").to_dict()
    assert json.loads(json.dumps(made)) == made
    assert made["where"] == "network, lags 1, 2"
    assert made["place"] == {"part": "network", "lag": [1, 2]}
    assert str(Where("observation", stream="q", layer="body.0", lag=0, region="the top")) == (
        "observation, stream q, layer body.0, lag 0, the top"
    )
