"""Our own trainers watched, how well they recognise what moves, and what nobody watched."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from policyscope.agents.custom import make_agent
from policyscope.agents.networks import build
from policyscope.errors import RunError, TrainingError
from policyscope.training import value
from policyscope.training.actor_critic import ActorCritic
from policyscope.training.recipes import FAMILIES
from policyscope.training.run import Run, RunOptions
from policyscope.training.value import ValueLearning
from policyscope.training.watch import Watcher
from policyscope.training.watch.afterwards import afterwards
from policyscope.training.watch.following import follow
from policyscope.training.watch.outlets import read_findings, read_lines
from policyscope.training.watch.recognition import Recognition

# -- our own trainers --

VALUE = ValueLearning(
    network="dqn", double=False, n_step=1, hidden=8, games=4, steps=1_200, batch=8, updates=1, learn_after=80,
    replay=1_200, target_every=20, epsilon_steps=600,
)  # fmt: skip
ACTOR_CRITIC = ActorCritic(games=4, length=5, batch=20, epochs=1, steps=600, hidden=4)


def trained(recipe, out, **options):
    chosen = {"save_every": 10_000, "saliency_every": 0, "tensorboard": False, "watch_every": 200} | options
    with Run("test", recipe, RunOptions(out, **chosen), "") as run:
        FAMILIES[type(recipe)].train(recipe, run)


def test_our_trainers_are_watched(tmp_path):
    trained(VALUE, tmp_path / "run")
    lines = read_lines(tmp_path / "run")
    # How many rounds there are is a matter of the time that they may take; the first and the last always are.
    assert len(lines) >= 2
    assert lines[-1]["watch/loss_on_taken"] == pytest.approx(1)
    assert not follow(tmp_path / "run").grave
    assert follow(tmp_path / "run").done


def test_a_fault_in_our_trainer_is_found(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(value, "greedy", lambda q, epsilon, rng: q.argmin(dim=1).numpy())
    trained(replace(VALUE, games=8, steps=2_400, batch=2), tmp_path / "run")
    assert any(one["rule"] == "wrong-output" for one in read_findings(tmp_path / "run"))
    assert "wrong-output (grave" in " ".join(capsys.readouterr().err.split())


def test_what_a_display_pays_is_no_fault(tmp_path):
    # Of Breakout's wall a brick is missed where the console pays for it: together 2.
    recipe = replace(ACTOR_CRITIC, steps=2_000, display=(31, 4, 37, 80))
    trained(recipe, tmp_path / "run")
    assert not [one for one in read_findings(tmp_path / "run") if one["rule"] == "reward"]


def test_watching_can_be_left_off(tmp_path):
    trained(replace(VALUE, steps=200), tmp_path / "run", watch_every=0)
    assert not (tmp_path / "run" / "watch.jsonl").exists()


def test_numbers_that_are_none_are_found_before_the_run_ends(tmp_path, monkeypatch):
    learnt = Watcher.learnt

    def spoiled(watcher, *values, **named):
        learnt(watcher, *values, **named)
        # Past autograd, which in float32 keeps the weight itself for the way back and would refuse.
        watcher.network.value.weight.data.fill_(float("nan"))

    monkeypatch.setattr(Watcher, "learnt", spoiled)
    with pytest.raises(TrainingError):
        trained(ACTOR_CRITIC, tmp_path / "run")
    assert "not-finite" in {one["rule"] for one in read_findings(tmp_path / "run")}


# -- recognition --


def states(count=12):
    made = np.zeros((count, 4, 84, 84), np.uint8)
    for i in range(count):
        for lag in range(4):
            made[i, lag, 10 + 4 * i : 14 + 4 * i, 20 + 3 * lag : 26 + 3 * lag] = 200
    return made


def test_a_network_that_sees_only_what_moves_scores_above_all_shuffled_ones():
    torch.manual_seed(0)
    network = build("dqn", actions=3, hidden=4)
    agent = make_agent(network, game="breakout", protocol="ale-vector")
    recognition = Recognition(agent, states())
    assert set(recognition()) == {
        f"recognition/q/{m}" for m in ("gradient", "guided_backprop", "grad_cam", "g1_grad_cam")
    }
    noise = recognition.noise()["recognition/q/gradient"]
    assert 0 < noise.spread < noise.mean
    assert recognition()["recognition/q/gradient"] < noise.limit  # a fresh network is one of them

    class Difference(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 1, 1, bias=False)
            with torch.no_grad():
                self.conv.weight.copy_(torch.tensor([0.0, 0.0, -1.0, 1.0]).view(1, 4, 1, 1))

        def forward(self, x):
            moved = torch.relu(self.conv(x)).square().sum(dim=(1, 2, 3))
            return {"q": torch.stack([moved, -moved], dim=1)}

    assert recognition(Difference())["recognition/q/gradient"] > 2 * noise.limit


def test_runs_measure_recognition_and_what_it_is_before_learning(tmp_path):
    trained(replace(VALUE, games=8, batch=2, steps=2_400), tmp_path / "run", saliency_every=800, saliency_films=0)
    state = follow(tmp_path / "run")
    assert "recognition/q/grad_cam" in state.recognition
    assert set(state.noise) == set(state.recognition)
    assert state.risen("recognition/q/grad_cam") is None or state.risen("recognition/q/grad_cam") > 0


# -- what nobody watched --


def test_checkpoints_are_examined_afterwards(tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    trained(replace(VALUE, steps=400), tmp_path / "run", save_every=100, watch_every=0)
    assert afterwards(tmp_path / "run") == []
    last = sorted(folder.glob("agent-*"))[-1]
    (folder / "agent-00009999.safetensors").write_bytes(last.read_bytes())
    (found,) = afterwards(tmp_path / "run")
    assert (found.finding.rule, found.first) == ("learning-rate", 9_999)
    (folder / "agent-00010000.safetensors").write_bytes(b"torn")
    (folder / "agent-00009999.safetensors").unlink()
    with pytest.raises(RunError, match="no checkpoint"):
        afterwards(tmp_path / "run")


def test_a_torn_last_line_is_left_out(tmp_path):
    (tmp_path / "watch.jsonl").write_text(json.dumps({"step": 5, "watch/q": 1.0}) + '\n{"step": 6, "wat')
    assert [line["step"] for line in read_lines(tmp_path)] == [5]
    assert follow(tmp_path).step == 5
