"""The sanity check by shuffled labels."""

import numpy as np
import pytest
from little import agent_in_time, episode_for, policy_agent, q_agent, recurrent_agent
from scipy.stats import spearmanr

from policyscope.errors import ProtocolError
from policyscope.evaluation.labels import labels
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.evaluation.runner import evaluate

ROWS = np.arange(4, 36, 3)
NAMES = ("gradient", "guided_backprop", "edges")


def test_likeness_is_the_rank_correlation_of_both_agents_maps():
    agent, other = q_agent(0), q_agent(1)
    episode = episode_for(agent)
    found = labels(agent, other, episode, ROWS, NAMES)
    own, theirs = (MethodMaps(who, episode, NAMES)(ROWS)["gradient"] for who in (agent, other))
    wanted = [spearmanr(abs(a).ravel(), abs(b).ravel()).statistic for a, b in zip(own, theirs, strict=True)]
    assert np.allclose(found.shuffled["gradient"][:, 1], wanted, atol=1e-4)
    assert found.likeness("gradient").mean == pytest.approx(np.mean(wanted), abs=1e-4)
    assert not found.twin
    assert not found.to_twin("gradient").n


def test_maps_that_are_the_twins_depend_on_what_was_learnt_and_edges_do_not():
    agent = q_agent(0)
    found = labels(agent, q_agent(1), episode_for(agent), ROWS, NAMES, twin=q_agent(0))
    assert found.to_twin("gradient").mean == pytest.approx(1, abs=1e-4)
    assert found.verdict("gradient") == "depends"
    assert found.verdict("edges") == "does not"
    assert found.learnt("edges").mean == pytest.approx(0, abs=1e-6)
    swapped = labels(agent, q_agent(0), episode_for(agent), ROWS, NAMES, twin=q_agent(1))
    assert swapped.verdict("gradient") == "does not"


def test_without_a_twin_the_levels_of_the_check_by_weights_decide():
    agent = q_agent(0)
    episode = episode_for(agent)
    assert labels(agent, q_agent(0), episode, ROWS, NAMES).verdict("gradient") == "does not"
    other = labels(agent, q_agent(1), episode, ROWS, NAMES)
    assert other.verdict("guided_backprop") == "depends"
    assert other.verdict("edges") == "does not"


def test_agents_that_see_something_else_or_remember_are_refused():
    agent = recurrent_agent()
    with pytest.raises(ProtocolError, match="recurrent"):
        labels(agent, recurrent_agent(1), episode_for(agent), ROWS)
    with pytest.raises(ProtocolError, match="observations of shape"):
        labels(policy_agent(), agent_in_time(), episode_for(policy_agent()), ROWS)


def test_an_evaluation_compares_with_the_others_that_it_is_given(tmp_path):
    agent = q_agent()
    episode = episode_for(agent)
    given = {"out": tmp_path, "parts": ["shuffled-labels"], "sampled": 8}
    (note,) = evaluate(agent, episode, NAMES, **given).outcomes["shuffled-labels"].notes
    assert "--shuffled" in note
    found = evaluate(agent, episode, NAMES, **given, shuffled=q_agent(1), twin=q_agent(0)).outcomes["shuffled-labels"]
    assert found.numbers["verdicts"] == {"gradient": "depends", "guided_backprop": "depends"}
    assert found.values["twin", "gradient", ""].shape == (8,)
    (table,) = found.tables
    assert table.rows[0][0] == "gradient"
    assert (tmp_path / "tables" / "shuffled-labels.json").exists()
