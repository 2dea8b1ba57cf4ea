"""Stable-Baselines3's continuous policies: their means, their bounds and their spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from policyscope.agents.formats.own import save_agent
from policyscope.agents.loading import load_agent
from policyscope.episodes.play import play
from policyscope.episodes.policy import choose, policy_of
from policyscope.errors import PolicyscopeError

sb3 = pytest.importorskip("stable_baselines3", reason="stable_baselines3, the oracle, is not installed")
from sb3_models import STEER, coloured, same, saved, streams  # noqa: E402


def noise(side: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (2, 3, side, side), dtype=np.uint8)


def test_a_continuous_ppo_gives_means_within_its_bounds(tmp_path: Path) -> None:
    model = sb3.PPO("CnnPolicy", coloured(STEER, 96))
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    observations = noise(96)
    theirs = model.policy.get_distribution(torch.as_tensor(observations)).distribution.mean
    same(streams(agent, observations)["policy"], theirs)
    assert agent.continuous is not None
    assert (agent.continuous.low, agent.continuous.high) == ((-1.0, 0.0, 0.0), (1.0, 2.0, 1.0))
    assert not agent.continuous.squash
    assert (agent.protocol.env, agent.protocol.game, agent.protocol.colour) == ("CarRacing-v3", None, "rgb")
    assert agent.policy == "greedy"


@pytest.mark.parametrize("explored", [False, True])
def test_a_sac_gives_its_means_before_tanh_and_the_least_of_its_critics(tmp_path: Path, explored: bool) -> None:
    model = sb3.SAC("CnnPolicy", coloured(STEER), buffer_size=2, use_sde=explored, policy_kwargs={"net_arch": [32]})
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    observations = noise(64)
    tensors = torch.as_tensor(observations)
    means = model.actor.get_action_dist_params(tensors)[0]
    ours = streams(agent, observations)
    same(ours["policy"], means)
    same(ours["value"], torch.cat(model.critic(tensors, torch.tanh(means)), dim=1).min(dim=1, keepdim=True).values)
    assert agent.continuous is not None
    assert agent.continuous.squash


@pytest.mark.parametrize("kind", ["TD3", "DDPG"])
def test_a_td3s_squashed_means_are_the_librarys_actions(tmp_path: Path, kind: str) -> None:
    model = getattr(sb3, kind)("CnnPolicy", coloured(STEER), buffer_size=2, policy_kwargs={"net_arch": [16, 16]})
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    observations = noise(64)
    same(torch.tanh(streams(agent, observations)["policy"]), model.actor(torch.as_tensor(observations)))
    assert agent.facts["algorithm"] == kind


@pytest.mark.parametrize("kind", ["A2C", "PPO"])
def test_the_spread_of_an_actor_critic_is_the_librarys_and_is_saved_with_it(tmp_path: Path, kind: str) -> None:
    model = getattr(sb3, kind)("CnnPolicy", coloured(STEER), policy_kwargs={"log_std_init": -1.0})
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    theirs = model.policy.get_distribution(torch.as_tensor(noise(64))).distribution.stddev
    assert agent.streams == ("policy", "value", "log_std")
    same(streams(agent, noise(64))["log_std"].exp(), theirs)
    again = load_agent(save_agent(agent, tmp_path / "again.safetensors"))
    same(streams(again, noise(64))["log_std"].exp(), theirs)


def test_the_spread_of_a_recurrent_actor_critic_is_the_librarys(tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib", reason="sb3_contrib, the oracle, is not installed")
    model = contrib.RecurrentPPO("CnnLstmPolicy", coloured(STEER), policy_kwargs={"lstm_hidden_size": 8})
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    states = contrib.common.recurrent.type_aliases.RNNStates(*[(torch.zeros(1, 2, 8), torch.zeros(1, 2, 8))] * 2)
    distribution, _ = model.policy.get_distribution(torch.as_tensor(noise(64)), states.pi, torch.zeros(2))
    same(streams(agent, noise(64))["policy"], distribution.distribution.mean)
    same(streams(agent, noise(64))["log_std"].exp(), distribution.distribution.stddev)


@pytest.mark.parametrize("kind", ["SAC", "TQC"])
def test_the_spread_of_a_sac_depends_on_the_state_as_the_librarys_does(tmp_path: Path, kind: str) -> None:
    library: Any = sb3 if kind == "SAC" else pytest.importorskip("sb3_contrib", reason="sb3_contrib is not installed")
    options = {"net_arch": [32], "activation_fn": nn.ELU}
    model = getattr(library, kind)("CnnPolicy", coloured(STEER), buffer_size=2, policy_kwargs=options)
    # Wide enough that some spreads reach the bound at which the library holds them.
    with torch.no_grad():
        model.actor.log_std.weight.mul_(20)
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3")
    theirs = model.actor.get_action_dist_params(torch.as_tensor(noise(64)))[1]
    same(streams(agent, noise(64))["log_std"], theirs)
    assert not torch.equal(theirs[0], theirs[1])
    assert agent.facts["algorithm"] == kind


@pytest.mark.parametrize("kind", ["PPO", "SAC"])
def test_actions_are_drawn_from_the_librarys_distribution(tmp_path: Path, kind: str) -> None:
    memory = {"buffer_size": 2} if kind == "SAC" else {}
    model = getattr(sb3, kind)("CnnPolicy", coloured(STEER), policy_kwargs={"log_std_init": -1.5}, **memory)
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3", policy="sample")
    told = {name: values[0].numpy() for name, values in streams(agent, noise(64)).items()}
    policy = policy_of("sample", agent)
    ours = np.stack([choose(policy, agent, told, seed=0, step=step) for step in range(3000)])
    with torch.no_grad():
        if kind == "SAC":
            means, spread, _ = model.actor.get_action_dist_params(torch.as_tensor(noise(64)[:1]))
            drawn = model.actor.action_dist.proba_distribution(means.expand(3000, -1), spread.expand(3000, -1)).sample()
            theirs = model.policy.unscale_action(drawn.numpy())
        else:
            drawn = model.policy.get_distribution(torch.as_tensor(noise(64)[:1])).distribution.sample((3000,))[:, 0]
            theirs = np.clip(drawn.numpy(), STEER.low, STEER.high)
    np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(ours.std(axis=0), theirs.std(axis=0), atol=0.05)


@pytest.mark.parametrize("kind", ["PPO", "SAC", "TD3"])
def test_state_dependent_exploration_and_td3_tell_no_spread_and_say_how_to_play_on(tmp_path: Path, kind: str) -> None:
    memory = {"buffer_size": 2} if kind != "PPO" else {}
    explored = {} if kind == "TD3" else {"use_sde": True}
    agent = load_agent(
        saved(getattr(sb3, kind)("CnnPolicy", coloured(STEER), **memory, **explored), tmp_path), env="Car"
    )
    assert "log_std" not in agent.streams
    with pytest.raises(PolicyscopeError, match=r'--policy greedy \(in Python policy="greedy"\) plays its mean'):
        play(agent, 2, policy="sample")


@pytest.mark.parametrize(("side", "ready"), [(96, True), (64, False)])
def test_pictures_of_the_environment_are_resized_only_where_the_zip_tells_another_size(
    tmp_path: Path, side: int, ready: bool
) -> None:
    model = sb3.PPO("CnnPolicy", coloured(STEER, side), policy_kwargs={"net_arch": [8]})
    agent = load_agent(saved(model, tmp_path), env="CarRacing-v3", policy="sample")
    assert agent.protocol.ready is ready
    episode = play(agent, 3)
    assert episode.observations.shape == (3, 3, side, side)
    assert episode.streams["log_std"].shape == (3, 3)
    assert not np.allclose(episode.actions, np.clip(episode.streams["policy"], STEER.low, STEER.high), atol=1e-3)


def test_a_zip_without_its_environment_is_loaded_all_the_same(tmp_path: Path) -> None:
    agent = load_agent(saved(sb3.SAC("CnnPolicy", coloured(STEER), buffer_size=2), tmp_path), env="not_here:make")
    assert agent.protocol.observation_shape == (3, 64, 64)
