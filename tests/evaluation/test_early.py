"""Early recognition along a training whose checkpoints are given, and what counts as risen."""

import csv

import numpy as np
import pytest
import torch

from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.networks import build
from policyscope.episodes.play import play
from policyscope.errors import RunError
from policyscope.evaluation.early import checkpoints, early
from policyscope.evaluation.rising import SHUFFLES, Noise, first_rise, reward_limits, shuffled


def training(folder, steps):
    """Checkpoints of an agent of which the first layer comes to look at bright pixels alone, and its curve."""
    torch.manual_seed(0)
    network = build("dueling_dqn", actions=4, hidden=8)
    (folder / "checkpoints").mkdir()
    for number, step in enumerate(steps):
        with torch.no_grad():
            next(network.parameters()).mul_(1.0 + 0.05 * number)
        save_agent(
            make_agent(network, game="breakout", policy="epsilon=1"),
            folder / "checkpoints" / f"agent-{step:08d}.safetensors",
        )
    with (folder / "curve.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["step", "games", "return"])
        writer.writeheader()
        writer.writerows([{"step": s, "games": 100, "return": 1.0 + 30.0 * (s > 200)} for s in range(50, 500, 50)])
    return make_agent(network, game="breakout", policy="epsilon=1")


def test_all_checkpoints_are_measured_on_the_same_states_and_the_rewards_rise_is_told(tmp_path):
    agent = training(tmp_path, [100, 200, 300])
    episode = play(agent, 40, seed=0)
    found = early(tmp_path, episode, ["gradient", "grad_cam", "edges"], states=8)
    assert found.steps.tolist() == [100, 200, 300]
    assert found.methods == ("gradient", "grad_cam")  # a baseline learns nothing
    assert found.gains.shape == (3, 2, len(found.kinds))
    assert found.limits.shape == (2, len(found.kinds))
    assert found.reward == 250
    paddle = found.gains[:, 0, found.kinds.index("paddle")]
    assert np.isfinite(paddle).all()
    limit = found.limits[0, found.kinds.index("paddle")]
    expected = first_rise([100, 200, 300], list(paddle), float(limit))
    assert found.shown("gradient", "paddle") == expected


def test_a_folder_without_checkpoints_is_no_training(tmp_path):
    agent = training(tmp_path, [100, 200])
    episode = play(agent, 20, seed=0)
    (tmp_path / "checkpoints" / "agent-00000200.safetensors").unlink()
    assert len(checkpoints(tmp_path)) == 1
    with pytest.raises(RunError, match="two or more"):
        early(tmp_path, episode, ["gradient"])


def test_a_rise_is_one_that_lasts():
    assert first_rise([1, 2, 3, 4, 5], [1, 9, 1, 9, 9], 5) == 4
    assert first_rise([1, 2], [1, 9], 5) is None


def test_limits_are_passed_by_chance_once_in_a_thousand():
    random = np.random.default_rng(0)
    untrained = random.normal(2.0, 0.5, (4000, SHUFFLES))
    another = random.normal(2.0, 0.5, 4000)
    passed = np.mean([value > Noise.of(scores).limit for scores, value in zip(untrained, another, strict=True)])
    assert passed < 0.004
    limits = reward_limits([1, 100], mean=1.0, spread=2.0, played=100)
    assert limits[0] > limits[1] > 1.0


def test_a_shuffled_network_has_the_same_numbers_elsewhere():
    network = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.Linear(4, 5))
    before = [p.clone() for p in network.parameters()]
    made = shuffled(network, torch.Generator().manual_seed(0))
    for own, kept, other in zip(network.parameters(), before, made.parameters(), strict=True):
        assert torch.equal(own, kept)
        assert torch.equal(own.flatten().sort().values, other.flatten().sort().values)
    assert not torch.equal(next(network.parameters()), next(made.parameters()))
