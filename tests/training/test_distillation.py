"""A student comes closer to its teacher, and says how it was made."""

from dataclasses import replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

import policyscope as ps
from policyscope.agents.networks import build
from policyscope.agents.presets import preset
from policyscope.errors import RecipeError
from policyscope.training.distillation import Distillation, train
from policyscope.training.experts import EXPERTS
from policyscope.training.replay import Replay
from policyscope.training.run import Run, RunOptions


def teacher_file(tmp_path, game="breakout", **changes):
    torch.manual_seed(0)
    network = build("actor_critic", actions=4, channels=3, hidden=16)
    with torch.no_grad():
        network.policy.weight.normal_(0, 3.0)  # an opinion to be learnt
    protocol = replace(preset("ale-vector", game), stack=3, **changes)
    return ps.save_agent(ps.make_agent(network, protocol), tmp_path / "teacher.safetensors")


@pytest.mark.parametrize("network", ["dueling_dqn", "recurrent_actor_critic"])
def test_a_student_comes_closer_to_its_teacher_and_says_how_it_was_made(tmp_path, network):
    recipe = Distillation(
        teacher=str(teacher_file(tmp_path)),
        network=network,
        hidden=16,
        games=4,
        steps=480,
        batch=16,
        learn_after=32,
        updates=4,
        sweeps=2,
        replay=2000,
        learning_rate=2e-3,
    )
    options = RunOptions(tmp_path / "run", report_every=16, saliency_every=0, tensorboard=False)
    with Run("distil", recipe, options, "distilled") as run:
        train(recipe, run)
    import csv

    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "run" / "curve.csv").open())]
    first = next(loss for loss in losses if loss == loss)
    assert losses[-1] < 0.8 * first
    agent = ps.load_agent(tmp_path / "run" / "agent.safetensors")
    assert agent.policy == ("sample" if network == "recurrent_actor_critic" else "epsilon=0.01")
    assert agent.protocol.stack == (10 if network == "recurrent_actor_critic" else 4)
    assert agent.protocol.layout == ("time" if network == "recurrent_actor_critic" else "channels")


def test_a_recurrent_student_begins_with_few_frames_and_goes_on_with_ten(tmp_path):
    recipe = Distillation(
        teacher=str(teacher_file(tmp_path)),
        network="split_attention_drqn",
        hidden=8,
        window=2,
        games=4,
        steps=64,
        batch=16,
        learn_after=32,
    )
    paper = replace(recipe, window=10, start=str(tmp_path / "2" / "agent.safetensors"), learning_rate=1e-12)
    agents = []
    for taken in (recipe, paper):
        options = RunOptions(tmp_path / str(taken.window), saliency_every=0, tensorboard=False)
        with Run("distil", taken, options, "distilled") as run:
            train(taken, run)
        agents.append(ps.load_agent(options.out / "agent.safetensors"))
    assert [agent.protocol.stack for agent in agents] == [2, 10]
    few, ten = (agent.network.state_dict() for agent in agents)
    for name, weights in few.items():
        torch.testing.assert_close(ten[name], weights, rtol=0, atol=1e-9)
    with pytest.raises(RecipeError, match=r"--window is 0; it must be between 1 and 64"):
        replace(recipe, window=0)


def test_what_is_hard_is_learnt_more_often_with_priorities_and_recurrent_students_have_none(tmp_path, monkeypatch):
    small = {"teacher": str(teacher_file(tmp_path)), "games": 4, "batch": 16, "learn_after": 32, "replay": 400}
    recipe = Distillation(**small, network="small_actor_critic", hidden=16, priority=1.0, steps=160)
    told = []
    update = Replay.update
    monkeypatch.setattr(Replay, "update", lambda *args: (told.append(args), update(*args)))
    with Run("distil", recipe, RunOptions(tmp_path / "run", saliency_every=0, tensorboard=False), "distilled") as run:
        train(recipe, run)
    replay, batch, apart = told[-1]
    kept = replay._priorities[batch.places]
    drawable = kept > 0
    assert drawable.sum() > 8
    np.testing.assert_allclose(kept[drawable], apart.detach().numpy()[drawable] + 0.01, rtol=1e-5)
    assert ps.load_agent(tmp_path / "run" / "agent.safetensors").protocol.stack == 4
    with pytest.raises(RecipeError, match=r"--priority is 0\.5; it must be 0 for --network recurrent_actor_critic"):
        Distillation(**small, network="recurrent_actor_critic", priority=0.5)


def test_every_expert_can_be_asked_for_and_no_other():
    (choices,) = (get_type_hints(Distillation)["expert"],)
    assert set(get_args(choices)) == {"", *EXPERTS}


def test_an_expert_may_look_further_back_than_teacher_and_student(tmp_path):
    torch.manual_seed(0)
    protocol = replace(preset("ale-vector", "pong"), stack=3)
    network = build("actor_critic", actions=6, channels=3, hidden=16)
    teacher = ps.save_agent(ps.make_agent(network, protocol), tmp_path / "teacher.safetensors")
    assert EXPERTS["pong-return"].frames > 3
    small = {"game": "pong", "games": 2, "batch": 16, "learn_after": 16, "replay": 64, "steps": 24, "hidden": 16}
    recipe = Distillation(teacher=str(teacher), expert="pong-return", network="actor_critic", **small)
    with Run("distil", recipe, RunOptions(tmp_path / "run", saliency_every=0, tensorboard=False), "distilled") as run:
        train(recipe, run)
    assert ps.load_agent(tmp_path / "run" / "agent.safetensors").protocol.stack == 3


def test_an_expert_of_another_game_is_refused_in_a_line(tmp_path):
    recipe = Distillation(
        teacher=str(teacher_file(tmp_path, "breakout")), game="breakout", games=2, expert="seaquest-breath"
    )
    with (
        pytest.raises(RecipeError, match="the expert seaquest-breath plays seaquest, not breakout"),
        Run("distil", recipe, RunOptions(tmp_path / "run", tensorboard=False), "") as run,
    ):
        train(recipe, run)


@pytest.mark.parametrize(
    ("game", "changes", "line"),
    [
        ("pong", {}, "plays pong, not breakout"),
        ("breakout", {"max_pool": "none"}, "sees the screen with max_pool 'none'"),
    ],
)
def test_a_teacher_that_sees_something_else_is_refused_in_a_line(tmp_path, game, changes, line):
    if game == "pong":
        network = build("actor_critic", actions=6, channels=3, hidden=16)
        protocol = replace(preset("ale-vector", game), stack=3)
        file = ps.save_agent(ps.make_agent(network, protocol), tmp_path / "teacher.safetensors")
    else:
        file = teacher_file(tmp_path, game, **changes)
    recipe = Distillation(teacher=str(file), game="breakout", games=2)
    with (
        pytest.raises(RecipeError, match=line),
        Run("distil", recipe, RunOptions(tmp_path / "run", tensorboard=False), "") as run,
    ):
        train(recipe, run)
