"""A trained agent and what it played, shared by the tests of rules that need one."""

from __future__ import annotations

import pytest

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode


@pytest.fixture(scope="session")
def breakout() -> tuple[Agent, Episode]:
    """The zoo's dueling agent and 120 steps of Breakout."""
    agent = ps.load_agent("zoo:breakout-dddqn")
    return agent, ps.play(agent, 120, seed=0)
