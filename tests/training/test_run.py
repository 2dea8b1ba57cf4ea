"""Training runs from start to end: what they leave, how they go on, and how they fail."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import policyscope as ps
from policyscope.agents.networks import build
from policyscope.cli import main
from policyscope.errors import CheckpointError, RunError, TrainingError
from policyscope.training.actor_critic import ActorCritic
from policyscope.training.checkpoints import begin_with
from policyscope.training.parallel_value import ParallelValue
from policyscope.training.recipes import FAMILIES, RECIPES
from policyscope.training.recurrent_value import RecurrentValue
from policyscope.training.run import Run, RunOptions
from policyscope.training.value import ValueLearning

CLI = "from policyscope.cli import main; main()"
SMALL = {
    "dddqn": ValueLearning(games=4, steps=240, batch=8, updates=1, learn_after=80, replay=1000),
    "dqn": ValueLearning(
        network="dqn", double=False, n_step=1, games=4, steps=240, batch=8, learn_after=80, replay=1000, priority=0.5
    ),
    "c51": ValueLearning(network="categorical_dqn", games=4, steps=240, batch=8, learn_after=80, replay=1000),
    "pqn": ParallelValue(games=4, length=10, batch=20, steps=240, target_every=3),
    "split-attention": RecurrentValue(
        hidden=16, games=4, steps=240, batch=8, stretch=4, updates=1, learn_after=80, replay=1000
    ),
    "shared-attention": RecurrentValue(
        network="shared_attention_drqn",
        hidden=16,
        games=4,
        steps=240,
        batch=8,
        updates=1,
        learn_after=80,
        replay=1000,
        n_step=2,
    ),
    "actor-critic": ActorCritic(games=4, length=10, batch=20, epochs=2, steps=240, hidden=16),
    "a2c": ActorCritic(objective="a2c", games=4, length=10, batch=40, epochs=1, steps=240, hidden=16),
    "actor-critic-lstm": ActorCritic(
        network="recurrent_actor_critic", stack=10, games=4, length=10, batch=20, epochs=1, steps=240, hidden=16
    ),
}


def options(tmp_path, **changes):
    values = {"save_every": 120, "report_every": 40, "saliency_every": 0, "tensorboard": False} | changes
    return RunOptions(tmp_path / "run", **values)


def trained(name, recipe, chosen):
    with Run(name, recipe, chosen, "how") as run:
        FAMILIES[type(recipe)].train(recipe, run)
    return run


def rows(tmp_path, name="curve.csv"):
    return list(csv.DictReader((tmp_path / "run" / name).open()))


@pytest.mark.parametrize("name", SMALL)
def test_a_short_run_leaves_an_agent_that_plays_and_goes_on(name, tmp_path):
    recipe = SMALL[name]
    trained(name, replace(recipe, steps=120), options(tmp_path))
    half = ps.load_agent(tmp_path / "run" / "agent.safetensors")
    run = trained(name, recipe, options(tmp_path, resume=True))
    assert run.step >= 240
    agent = ps.load_agent(tmp_path / "run" / "agent.safetensors")
    assert agent.facts["recipe"] == name
    assert agent.facts["step"] == run.step
    assert ps.play(agent, 3, seed=0).streams[agent.streams[0]].shape[0] == 3
    changed = [
        not torch.equal(a, b) for a, b in zip(half.network.parameters(), agent.network.parameters(), strict=True)
    ]
    assert all(changed[:2]), "the first convolution learns"
    steps = [int(row["step"]) for row in rows(tmp_path)]
    assert steps == sorted(set(steps))
    assert steps[-1] <= run.step
    told = json.loads((tmp_path / "run" / "train.json").read_text())
    assert told["values"]["game"] == recipe.game
    assert (tmp_path / "run" / told["agent"]).exists()
    assert len(list((tmp_path / "run").glob("optimiser-*"))) == 1


def test_every_recipe_has_a_family_and_its_own_game(tmp_path):
    for recipe in RECIPES.values():
        assert type(recipe) in FAMILIES
    assert RECIPES["videopinball-dqn"].game == "video_pinball"


def test_optimiser_and_weights_of_a_resumed_run_are_those_that_it_stopped_with(tmp_path):
    recipe = SMALL["actor-critic"]
    seen = {}
    with Run("actor-critic", replace(recipe, steps=120), options(tmp_path), "") as run:
        save = run.save

        def spy(network, optimiser, *args, **named):
            seen["weights"] = {k: v.clone() for k, v in network.state_dict().items()}
            seen["moments"] = {k: v["exp_avg"].clone() for k, v in optimiser.state_dict()["state"].items()}
            save(network, optimiser, *args, **named)

        run.save = spy
        FAMILIES[type(recipe)].train(replace(recipe, steps=120), run)
    again = Run("actor-critic", recipe, options(tmp_path, resume=True), "")
    network = ps.load_agent(tmp_path / "run" / "agent.safetensors").network
    for value in network.parameters():
        torch.nn.init.zeros_(value)
    optimiser = torch.optim.Adam(network.parameters())
    again.restore(network, optimiser)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, seen["weights"][name])
    found = {k: v["exp_avg"] for k, v in optimiser.state_dict()["state"].items()}
    assert found.keys() == seen["moments"].keys()
    for key, wanted in seen["moments"].items():
        torch.testing.assert_close(found[key], wanted)
    assert again.step == 120


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, monkeypatch):
    recipe = replace(SMALL["actor-critic"], steps=10_000)
    from policyscope.training import actor_critic

    honest, calls = actor_critic.losses, []

    def broken(streams, batch, recipe):
        calls.append(0)
        loss, numbers = honest(streams, batch, recipe)
        return (loss, numbers) if len(calls) < 30 else (loss * float("nan"), {**numbers, "loss": loss * float("nan")})

    monkeypatch.setattr(actor_critic, "losses", broken)
    with pytest.raises(TrainingError, match=r"not a number any more at step \d+; the last good checkpoint is .*agent-"):
        trained("actor-critic", recipe, options(tmp_path))
    agent = ps.load_agent(tmp_path / "run" / "agent.safetensors")
    assert all(torch.isfinite(value).all() for value in agent.network.parameters())


def test_a_folder_that_holds_a_run_is_left_alone(tmp_path):
    recipe = SMALL["actor-critic"]
    trained("actor-critic", replace(recipe, steps=40), options(tmp_path))
    before = (tmp_path / "run" / "train.json").read_bytes()
    with pytest.raises(RunError, match="holds a run already; go on with --resume"):
        trained("actor-critic", recipe, options(tmp_path))
    with pytest.raises(RunError, match="a run of 'actor-critic', not of 'dddqn'"):
        trained("dddqn", SMALL["dddqn"], options(tmp_path, resume=True))
    with pytest.raises(RunError, match=r"was begun with gamma 0\.99, not 0\.5"):
        trained("actor-critic", replace(recipe, gamma=0.5), options(tmp_path, resume=True))
    assert (tmp_path / "run" / "train.json").read_bytes() == before


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    import errno

    from policyscope.training import checkpoints as module

    recipe, honest, calls = SMALL["actor-critic"], module.save_optimiser, []

    def full(*arguments):
        calls.append(0)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        honest(*arguments)

    monkeypatch.setattr(module, "save_optimiser", full)
    with pytest.raises(RunError, match="No space left on device; free space"):
        trained("actor-critic", recipe, options(tmp_path))
    told = json.loads((tmp_path / "run" / "train.json").read_text())
    assert told["step"] == 120
    assert Run("actor-critic", recipe, options(tmp_path, resume=True), "").step == 120


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_goes_on_where_its_last_checkpoint_is(tmp_path, number):
    words = ["train", "actor-critic", "--games", "4", "--length", "10", "--batch", "20", "--hidden", "16"]
    words += ["--out", str(tmp_path / "run"), "--save-every", "40", "--report-every", "40", "--no-tensorboard"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", CLI, *words], env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 120
    while not (tmp_path / "run" / "train.json").exists() and time.time() < deadline:
        time.sleep(0.1)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert "go on with the same command and --resume" in said
    step = json.loads((tmp_path / "run" / "train.json").read_text())["step"]
    main([*words, "--resume", "--steps", str(step + 80)])
    assert json.loads((tmp_path / "run" / "train.json").read_text())["step"] == step + 80


def test_what_the_network_looks_at_is_measured_beside_the_returns(tmp_path, monkeypatch):
    from policyscope.training import watching

    monkeypatch.setattr(watching, "_APART", 2)
    recipe = replace(SMALL["actor-critic"], games=8, length=5, steps=480)
    chosen = options(tmp_path, saliency_every=100, saliency_films=3)
    trained("actor-critic", replace(recipe, steps=240), chosen)
    film = tmp_path / "run" / "saliency.gif"
    assert Image.open(film).n_frames == 16  # as many steps as there were until the states were found
    film.unlink()
    first = rows(tmp_path, "saliency.csv")
    assert [int(row["step"]) for row in first] == [128, 200]
    assert float(first[0]["saliency/policy/change_from_start"]) > 0
    assert np.isclose(sum(float(first[0][f"saliency/value/lag_share/t-{lag}"]) for lag in range(3)), 1, atol=1e-4)
    trained("actor-critic", recipe, replace(chosen, resume=True))
    again = rows(tmp_path, "saliency.csv")
    assert [int(row["step"]) for row in again] == [128, 200, 304, 400]
    assert (tmp_path / "run" / "saliency.png").stat().st_size > 1000
    assert Image.open(film).n_frames == 16  # the same steps


def test_a_run_begins_with_the_weights_of_an_agent_and_says_so(tmp_path):
    recipe = SMALL["actor-critic"]
    trained("actor-critic", recipe, options(tmp_path))
    teacher = tmp_path / "run" / "agent.safetensors"
    chosen = replace(options(tmp_path), out=tmp_path / "after")
    # A step so small that hardly anything is learnt.
    trained("actor-critic", replace(recipe, start=str(teacher), learning_rate=1e-9, seed=2), chosen)
    begun, after = (ps.load_agent(file).network for file in (teacher, chosen.out / "agent.safetensors"))
    for before, now in zip(begun.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(now, before, atol=1e-6, rtol=0)
    told = json.loads((chosen.out / "train.json").read_text())
    assert told["how"] == f"how; begun with the weights of {teacher}"
    assert told["values"]["start"] == str(teacher)


def test_a_run_takes_the_layers_that_another_network_shares_and_says_so(tmp_path):
    trained("dqn", SMALL["dqn"], options(tmp_path))
    file = tmp_path / "run" / "agent.safetensors"
    begun = ps.load_agent(file).network
    network = build("categorical_dqn", actions=4, hidden=begun.head[0].out_features)
    own = [weights.clone() for weights in network.head[2].parameters()]
    begin_with(str(file), network, shared=True)
    for mine, theirs in ((network.body, begun.body), (network.head[0], begun.head[0])):
        assert [w.tolist() for w in mine.parameters()] == [w.tolist() for w in theirs.parameters()]
    assert [w.tolist() for w in network.head[2].parameters()] == [w.tolist() for w in own]
    with pytest.raises(CheckpointError, match=r"--start \S+ and the recipe's network have no layer in common"):
        begin_with(str(file), build("small_actor_critic", actions=4, hidden=16), shared=True)
    chosen = replace(options(tmp_path), out=tmp_path / "after")
    trained("dqn", replace(SMALL["dqn"], start=str(file), start_body=True), chosen)
    assert json.loads((chosen.out / "train.json").read_text())["how"].endswith(f"weights that it shares with {file}")


def test_weights_of_another_network_are_refused_in_a_line(tmp_path):
    trained("actor-critic", SMALL["actor-critic"], options(tmp_path))
    recipe = replace(SMALL["dqn"], start=str(tmp_path / "run" / "agent.safetensors"))
    refusal = r"weights 'body\.0\.weight' of --start \S+ have shape \(32, 3, 8, 8\), but the recipe's network wants \("
    with pytest.raises(CheckpointError, match=refusal) as caught:
        trained("dqn", recipe, replace(options(tmp_path), out=tmp_path / "other"))
    assert "\n" not in str(caught.value)
