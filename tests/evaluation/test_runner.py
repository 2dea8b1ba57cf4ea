"""An evaluation from a folder to its tables: kept, resumed, refused, read back."""

import json

import numpy as np
import pytest
from little import episode_for, policy_agent, q_agent, recurrent_agent

from policyscope.errors import PolicyscopeError, RunError
from policyscope.evaluation import runner
from policyscope.evaluation.frames import MEASURES
from policyscope.evaluation.outcome import load
from policyscope.evaluation.runner import evaluate
from policyscope.evaluation.scores import FOLDER, Scores
from policyscope.evaluation.sources import Sources

METHODS = ("gradient", "guided_backprop", "grad_cam", "edges")


@pytest.mark.parametrize("made", [q_agent, policy_agent, recurrent_agent])
def test_every_kind_of_agent_is_evaluated_into_tables_figures_and_badges(made, tmp_path):
    agent = made()
    episode = episode_for(agent, 70)
    found = evaluate(agent, episode, METHODS, out=tmp_path, sampled=6)
    assert len(found.scores) == 70
    assert set(found.outcomes) == set(runner.PARTS)
    assert found.scores.sources == METHODS
    assert {badge.question for badge in found.badges["guided_backprop"]} == {"faithful", "weights"}
    for table in found.tables:
        assert json.loads((tmp_path / "tables" / f"{table.slug}.json").read_text())["columns"] == list(table.columns)
    assert (tmp_path / "figures" / "evaluation-maps.png").stat().st_size > 10_000
    assert (tmp_path / "figures" / "evaluation-maps.pdf").exists()
    first = found.overview
    assert [row[0] for row in first.rows] == list(METHODS)
    assert all(len(row) == len(first.columns) for row in first.rows)
    assert json.loads((tmp_path / "tables" / "overview.json").read_text())["place"] == 0
    assert not (tmp_path / "tables" / "evaluation.json").exists()


def test_scores_do_not_depend_on_where_an_evaluation_was_stopped(tmp_path):
    agent = q_agent()
    episode = episode_for(agent, 150)
    whole = evaluate(agent, episode, METHODS, out=tmp_path / "whole", parts=["frames"]).scores

    def stop(part):
        def progress(done, of):
            if done >= 64:
                raise KeyboardInterrupt

        return progress

    with pytest.raises(KeyboardInterrupt):
        evaluate(agent, episode, METHODS, out=tmp_path / "parts", parts=["frames"], began=stop)
    assert len(Scores(tmp_path / "parts")) == 64
    resumed = evaluate(agent, episode, METHODS, out=tmp_path / "parts", parts=["frames"]).scores
    for measure in whole.measures:
        if not MEASURES[measure].kinds:
            for source in METHODS:
                np.testing.assert_allclose(resumed.values(measure, source), whole.values(measure, source), rtol=1e-5)


def test_a_part_that_is_done_is_not_done_again(tmp_path, monkeypatch):
    agent = q_agent()
    episode = episode_for(agent, 40)
    first = evaluate(agent, episode, METHODS, out=tmp_path, parts=["smaller-claims"], sampled=6)

    def never(subject):
        raise AssertionError("done again")

    monkeypatch.setattr(runner, "PARTS", dict.fromkeys(runner.PARTS, never))
    again = evaluate(agent, episode, METHODS, out=tmp_path, parts=["smaller-claims"], sampled=6)
    one, other = first.outcomes["smaller-claims"], again.outcomes["smaller-claims"]
    assert one.values.keys() == other.values.keys()
    for key in one.values:
        np.testing.assert_array_equal(one.values[key], other.values[key])
    assert [table.markdown() for table in one.tables] == [table.markdown() for table in other.tables]
    with pytest.raises(AssertionError, match="done again"):
        evaluate(agent, episode, METHODS, out=tmp_path, parts=["smaller-claims"], sampled=7)


def test_scores_of_another_request_are_not_mixed_in(tmp_path):
    agent = q_agent()
    episode = episode_for(agent, 20)
    evaluate(agent, episode, METHODS, out=tmp_path, parts=["frames"])
    with pytest.raises(RunError, match="choose another --out"):
        evaluate(agent, episode, METHODS[:2], out=tmp_path, parts=["frames"])


def test_a_damaged_outcome_says_what_to_do(tmp_path):
    agent = q_agent()
    evaluate(agent, episode_for(agent, 40), METHODS, out=tmp_path, parts=["smaller-claims"], sampled=6)
    (tmp_path / "evaluation" / "smaller-claims.npz").write_bytes(b"none")
    with pytest.raises(RunError, match="delete it, and evaluate again"):
        load(tmp_path, "smaller-claims")
    with pytest.raises(RunError, match="policyscope evaluate"):
        Scores(tmp_path / FOLDER)


def test_unknown_parts_and_methods_are_named_with_what_there_is(tmp_path):
    agent = q_agent()
    episode = episode_for(agent, 20)
    with pytest.raises(PolicyscopeError, match="no part 'faith'; there are: frames, faithfulness"):
        evaluate(agent, episode, METHODS, out=tmp_path, parts=["faith"])
    with pytest.raises(PolicyscopeError, match="no method 'gradcam'"):
        evaluate(agent, episode, ["gradcam"], out=tmp_path)


def test_a_part_that_was_not_done_is_none(tmp_path):
    assert load(tmp_path, "sanity") is None


def test_several_streams_are_named_by_stream_and_baselines_come_once():
    agent = q_agent()
    sources = Sources(agent, episode_for(agent, 20), METHODS, streams=("value", "advantage"))
    assert sources.names[:2] == ("value: gradient", "value: guided_backprop")
    assert sources.names.count("edges") == 1
    assert sources.guide("advantage: grad_cam") == "advantage: guided_backprop"
    assert sources.guide("value: guided_backprop") is None
    maps = sources.maps(np.arange(3, 9))
    assert {one.shape for one in maps.values()} == {(6, *sources.size)}
    assert not np.allclose(maps["value: gradient"], maps["advantage: gradient"])


def test_maps_of_a_row_do_not_depend_on_the_rows_beside_it():
    agent = policy_agent()
    sources = Sources(agent, episode_for(agent, 30), (*METHODS, "frame_difference", "random", "noise_saliency"))
    together, alone = sources.maps(np.arange(5, 15)), sources.maps(np.array([7]))
    for name in sources.names:
        np.testing.assert_allclose(together[name][2:3], alone[name], rtol=1e-4, atol=1e-6)
