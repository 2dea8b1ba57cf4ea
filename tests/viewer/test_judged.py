"""What an evaluation measured, as the page gets it: lanes of the timeline, badges beside panels, first panels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests_browser import chromium, needs_browser, opened, viewed

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import RunError
from policyscope.evaluation.runner import evaluate
from policyscope.evaluation.scores import Scores
from policyscope.viewer.bundle import unbundle
from policyscope.viewer.extras import extras_of
from policyscope.viewer.judged import score_columns
from policyscope.viewer.session import RunSession

STEPS = 40


@pytest.fixture(scope="module")
def run(duel: Agent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "judged"
    episode = ps.play(duel, steps=STEPS, seed=0, out=folder)
    methods = ("guided_backprop", "grad_cam", "edges")
    evaluate(duel, episode, methods, out=folder, parts=("frames", "faithfulness"), sampled=4)
    return folder


def test_each_kind_that_is_often_there_has_a_lane_with_a_line_a_method(run: Path) -> None:
    scores, columns = Scores(run), score_columns(run, STEPS)
    groups = list(dict.fromkeys(column.group for column in columns))
    assert groups[-1] == "score:flicker"
    assert "score:energy on paddle (log)" in groups
    for group in groups:
        assert [column.name for column in columns if column.group == group] == ["guided_backprop", "grad_cam"]
    shown = next(c for c in columns if c.group == "score:energy on paddle (log)" and c.name == "grad_cam").values
    own = scores.values("gain", "grad_cam", "paddle")
    np.testing.assert_allclose(shown, np.maximum(own, 0.01), rtol=1e-6)


def test_a_run_that_was_not_evaluated_has_no_lanes_and_no_badges(tmp_path: Path) -> None:
    assert score_columns(tmp_path, STEPS) == []
    assert extras_of(tmp_path).badges == {}


def test_steps_beyond_the_evaluated_ones_are_unknown(run: Path) -> None:
    assert np.isnan(score_columns(run, STEPS + 5)[0].values[STEPS:]).all()


def test_the_page_is_told_the_badges_and_shows_panels_though_no_maps_were_stored(run: Path, duel: Agent) -> None:
    session = RunSession(run, Episode.open(run), None, {"": duel}, "")
    manifest = session.manifest()
    badges = manifest["badges"]
    assert (badges["stream"], badges["action"]) == ("q", "taken")
    (badge,) = badges["methods"]["grad_cam"]
    assert badge["question"] == "faithful"
    assert badge["answer"] in ("yes", "no", "open")
    assert [key.partition("~")[0] for key in manifest["first"][:3]] == ["screen", "gradient", "guided_backprop"]
    header, _ = unbundle(session.bundle("series"))
    assert any(column["group"] == "score:flicker" for column in header["columns"])
    session.end()


@needs_browser
def test_the_selected_panels_method_stands_out_in_its_lanes(run: Path, checkpoint: Path) -> None:
    note = {"options": {"agent": {"agent": str(checkpoint)}}, "observations": None}
    (run / "run.json").write_text(json.dumps(note))
    with chromium() as browser, viewed(str(run)) as (address, _):
        seen = opened(browser, address)
        name = "policyscope.timeline.looked(policyscope.timeline.groups.get('score:flicker'))?.name"
        chips = "policyscope.panels.cards.map((card) => card.trust.hidden ? 0 : card.trust.children.length)"
        methods = seen.do("policyscope.state.panels.map(({key}) => key.split('~')[0])")
        for place, method in enumerate(methods):
            seen.do("place => policyscope.state.set({selected: place})", place)
            assert seen.do(name) == (method if method in ("guided_backprop", "grad_cam") else None)
        assert seen.do(chips) == [int(method in ("guided_backprop", "grad_cam")) for method in methods]
        seen.do("policyscope.drawNow()")
        assert not seen.errors


def test_damaged_badges_are_said(tmp_path: Path) -> None:
    (tmp_path / "badges.json").write_text(json.dumps({"methods": 3}))
    with pytest.raises(RunError, match="evaluate the run again"):
        extras_of(tmp_path)
