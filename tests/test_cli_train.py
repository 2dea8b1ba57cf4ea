"""``policyscope train``: what a user sees who mistypes, asks, or trains for a moment."""

from __future__ import annotations

import json

import pytest

import policyscope as ps
from policyscope.cli import main
from policyscope.training.recipes import RECIPES


def said(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["train", *words])
    return ended.value.code, capsys.readouterr()


def test_without_a_recipe_all_are_listed(capsys):
    main(["train"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(RECIPES)
    assert any(line.split()[:2] == ["pong-dqn", "pong"] for line in lines)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["pong-dqm"], "no recipe 'pong-dqm'; did you mean pong-dqn"),
        (["pong-dqn", "--gamma", "2"], "--gamma is 2.0; it must be between 0 and 1"),
        (["breakout-a3c", "--batch", "300"], "--batch is 300; it must be a divisor of games x length = 1024"),
        (["dddqn", "--game", "brakeout"], "ale-py has no game 'brakeout'; did you mean breakout"),
        (["dddqn", "--device", "cuda:7"], "there is no device 'cuda:7' here"),
        (["distil", "--teacher", "zoo:nobody"], "the zoo has no agent 'nobody'"),
        (["a3c", "--workers", "3"], "--games is 16; it must be a multiple of --workers = 3"),
    ],
)
def test_a_mistake_is_one_line_with_status_2(words, line, capsys, tmp_path):
    status, printed = said(capsys, *words, "--out", str(tmp_path / "run"))
    assert status == 2
    assert line in printed.err
    assert len(printed.err.strip().splitlines()) == 1
    assert not (tmp_path / "run" / "train.json").exists()


def test_help_shows_the_recipes_own_values(capsys):
    status, printed = said(capsys, "seaquest-split-attention", "--help")
    assert status == 0
    text = " ".join(printed.out.split())
    assert "--window" in text
    assert "(default: 250000)" in text
    assert "--resume" in text


def test_options_change_the_recipe_and_the_run_tells_its_command(tmp_path):
    out = tmp_path / "run"
    words = [
        "train",
        "actor-critic",
        "--games",
        "4",
        "--length",
        "5",
        "--batch",
        "20",
        "--hidden",
        "8",
        "--steps",
        "40",
    ]
    main([*words, "--no-tensorboard", "--saliency-every", "0", "--out", str(out)])
    told = json.loads((out / "train.json").read_text())
    assert told["values"]["hidden"] == 8
    assert told["command"].startswith("policyscope train actor-critic --games 4")
    assert ps.load_agent(out / "agent.safetensors").network.policy.in_features == 8
