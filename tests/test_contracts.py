"""The few calls that outsiders rely on, as the design writes them down, on the shipped agent."""

import numpy as np
import pytest
import torch

import policyscope as ps


@pytest.fixture(scope="module")
def agent():
    return ps.load_agent("zoo:breakout-dddqn")


@pytest.fixture(scope="module")
def episode(agent):
    return ps.play(agent, steps=130, seed=0)


def test_the_agent_tells_what_it_has(agent):
    assert "breakout-dddqn" in ps.zoo.names()
    assert isinstance(agent.network, torch.nn.Module)
    assert agent.streams == ("q", "value", "advantage")
    assert agent.layers == ("body.0", "body.2", "body.4")
    assert agent.protocol.game == "breakout"
    assert agent.actions == ("NOOP", "FIRE", "RIGHT", "LEFT")


def test_an_episode_holds_arrays_over_its_steps(agent, episode):
    assert len(episode) == 130
    assert episode.screens.shape == (130, 210, 160, 3)
    assert episode.observations.shape == (130, 4, 84, 84)
    assert episode.ram.shape == (130, 128)
    for array in (episode.actions, episode.rewards, episode.lives, episode.terminated, episode.truncated):
        assert len(array) == 130
    assert episode.streams["q"].shape == (130, 4)
    assert np.allclose(
        episode.streams["q"],
        episode.streams["value"]
        + episode.streams["advantage"]
        - episode.streams["advantage"].mean(axis=1, keepdims=True),
        atol=1e-5,
    )
    step = episode[7]
    assert np.array_equal(step.observation, episode.observations[7])
    assert episode.meta["agent"]["fingerprint"] == agent.fingerprint


def test_the_shipped_agent_plays_visibly_well(episode):
    assert episode.rewards.sum() >= 2


def test_explaining_gives_a_map_for_every_step(agent, episode):
    maps = ps.explain(agent, episode, methods=["gradient", "g1_grad_cam"], stream="q", action="taken", layer=1, lag=0)
    assert maps["gradient"].shape == (130, 84, 84)
    assert np.isfinite(maps["gradient"][:]).all()
    assert maps["g1_grad_cam"][:].min() >= 0
    raw = ps.attribute(
        agent.network,
        agent.prepare(episode.observations[:8]),
        methods=["gradient", "guided_backprop", "grad_cam", "full_grad", "sarfa"],
        target=torch.as_tensor(episode.actions[:8]),
        layer="body.0",
        stream="q",
    )
    assert raw["gradient"].shape == raw["guided_backprop"].shape == (8, 4, 84, 84)
    assert raw["grad_cam"].shape == raw["full_grad"].shape == raw["sarfa"].shape == (8, 84, 84)
    assert torch.allclose(raw["gradient"][:, -1], torch.from_numpy(maps["gradient"][:8]), atol=1e-5)


def test_the_same_seed_gives_the_same_episode_bit_for_bit(agent, episode):
    again = ps.play(agent, steps=130, seed=0)
    assert again.fingerprint == episode.fingerprint
    for name in ("screens", "observations", "ram", "actions", "rewards", "lives"):
        assert np.array_equal(np.asarray(getattr(again, name)), np.asarray(getattr(episode, name))), name
    assert not np.array_equal(ps.play(agent, steps=130, seed=1).actions, episode.actions)


def test_what_was_recorded_elsewhere_is_explained_without_a_game(agent, episode):
    elsewhere = ps.Episode.from_arrays(episode.observations[:5], actions=episode.actions[:5], protocol=agent.protocol)
    maps = ps.explain(agent, elsewhere, ["gradient"])
    assert np.allclose(maps["gradient"][:], ps.explain(agent, episode[:5], ["gradient"])["gradient"][:], atol=1e-6)
