"""``policyscope zoo``: what it lists, shows and checks, and what it says when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import policyscope as ps
from policyscope.cli import main
from policyscope.cli.plot import plotted
from policyscope.episodes.returns import play_returns


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that goes well, and returns what it prints."""

    def say(*words: str) -> str:
        capsys.readouterr()
        main(["zoo", *words])
        return capsys.readouterr().out

    return say


@pytest.fixture
def failed(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Runs a command that exits with a status, and returns what it prints on stdout and on stderr."""

    def fail(status: int, *words: str) -> tuple[str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["zoo", *words])
        assert caught.value.code == status
        told = capsys.readouterr()
        return told.out, told.err

    return fail


def test_the_zoo_lists_its_agents(said: Callable[..., str]) -> None:
    assert said("list") == said()
    header, *lines = said().splitlines()
    assert header.split() == ["agent", "game", "network", "steps", "mean", "return", "MB", "file"]
    assert [line.split()[0] for line in lines] == [f"zoo:{name}" for name in ps.zoo.names()]


def test_a_line_tells_how_an_agent_plays_and_where_it_is(shelf: Any, said: Callable[..., str]) -> None:
    assert said() == "the zoo is empty\n"
    shelf.add("duel")
    shelf.add("far", shelf.release)
    shelf.add("near", shelf.cache)
    _, *lines = (line.split() for line in said().splitlines())
    assert lines[0][:8] == ["zoo:duel", "breakout", "dueling_dqn", "1,000", "0.3", "[0.2,", "0.5]", "0.4"]
    assert [" ".join(line[8:]) for line in lines] == ["shipped", "to be fetched", "here"]


def test_programs_read_the_list_as_json(shelf: Any, said: Callable[..., str]) -> None:
    file = shelf.add("duel", shelf.cache)
    (told,) = json.loads(said("list", "--json"))
    assert (told["where"], told["path"]) == ("here", str(file))
    assert ps.zoo.Card.from_dict({k: v for k, v in told.items() if k not in ("where", "path")}, "") == ps.zoo.card(
        "duel"
    )
    assert json.loads(said("show", "duel", "--json")) == told


def test_a_card_is_shown_with_its_curve_and_what_to_do_next(shelf: Any, said: Callable[..., str]) -> None:
    shelf.add("duel")
    weights = ps.zoo.card("duel").to_dict()["weights"] | {"dtype": "float16"}
    shelf.change("duel", weights=weights, how="distilled from [another] agent")
    text = said("show", "zoo:duel")
    for part in (
        "dueling_dqn, actions=4, hidden=2",
        "distilled from [another] agent",
        "1,000 (4,000 frames)",
        "policyscope train none",
        "none gamma=0.99",
        "float16, 0.4 MB; maps keep a rank correlation of at least 0.9975 (grad_cam)",
        "0.3 [0.2, 0.5]  30 games, epsilon=1  modern: 4 frames an action",
        "12.5 │",
    ):
        assert part in text
    assert text.splitlines()[-1] == "policyscope explain zoo:duel --out runs/duel"


def test_an_agent_that_plays_as_its_card_says_passes(shelf: Any, said: Callable[..., str]) -> None:
    shelf.add("duel")
    returns = play_returns(ps.load_agent("zoo:duel"), 30, seed=1000, limit=60)
    assert returns.max() > 0
    own = ps.zoo.card("duel").to_dict()["returns"]["own"]
    own |= {"limit": 60, "returns": returns.tolist(), "mean": returns.mean()}
    shelf.change("duel", returns={"own": own})
    text = said("check", "duel", "--games", "10")
    assert text.startswith("ok      zoo:duel: mean return ")
    assert f"over 10 games under own, its card says {returns.mean():.1f} over 30 (p = " in text
    assert text.count("\n") == 1


def test_an_agent_that_plays_worse_than_its_card_fails(shelf: Any, failed: Callable[..., tuple[str, str]]) -> None:
    shelf.add("duel")
    own = ps.zoo.card("duel").to_dict()["returns"]["own"]
    values = [5.0, 9.0] * 15
    shelf.change("duel", returns={"own": own | {"returns": values, "mean": 7.0}})
    out, err = failed(1, "check", "--games", "6")
    assert out.startswith("FAILED  zoo:duel: mean return 0.")
    assert "its card says 7.0 over 30 (p = " in out
    assert err == ""


def test_one_bad_file_fails_and_the_others_are_checked(shelf: Any, failed: Callable[..., tuple[str, str]]) -> None:
    for name in ("early", "late", "middle", "other"):
        shelf.add(name)
    damaged = shelf.folder / "late.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    shelf.change("middle", game="pong")
    shelf.add("other", shelf.release).unlink()
    (shelf.folder / "other.safetensors").unlink()
    out, err = failed(1, "check", "--games", "0")
    lines = out.splitlines()
    assert [line[:6] for line in lines] == ["ok    ", "FAILED", "FAILED", "FAILED"]
    assert "early.safetensors has the card's checksum and loads" in lines[0]
    assert "its sha256 is" in lines[1]
    assert "is breakout, its card says pong" in lines[2]
    assert "could not be fetched" in lines[3]
    assert err == ""


def test_a_protocol_that_was_not_measured_fails(shelf: Any, failed: Callable[..., tuple[str, str]]) -> None:
    shelf.add("duel")
    out, _ = failed(1, "check", "--protocol", "paper")
    assert out == "FAILED  zoo:duel: its card has no returns under paper\n"


def test_mistakes_are_one_line(shelf: Any, failed: Callable[..., tuple[str, str]]) -> None:
    shelf.add("duel")
    for words, line in (
        (["show", "dual"], "the zoo has no agent 'dual'; did you mean duel?"),
        (["check", "dual"], "the zoo has no agent 'dual'; did you mean duel?"),
        (
            ["check", "--games", "2"],
            "--games 2 decides nothing against the 30 of duel's card: give 3 or more, or 0 to check the file alone",
        ),
        (["check", "--games", "-1"], "--games is -1; it must be 0, to check the file alone, or more"),
    ):
        assert failed(2, *words) == ("", f"policyscope: {line}\n")
    (shelf.folder / "duel.csv").unlink()
    assert "zoo:duel has no learning curve" in failed(2, "show", "duel")[1]
    (shelf.folder / "duel.json").write_text("{}")
    assert failed(2, "list")[1].startswith(f"policyscope: the card {shelf.folder / 'duel.json'} lacks name;")


def dots(lines: list[str]) -> np.ndarray:
    """(rows, columns) bool of a plot's Braille dots."""
    places = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
    rows = [line.split("│")[1] for line in lines if "│" in line]
    found = np.zeros((4 * len(rows), 2 * len(rows[0])), bool)
    for i, row in enumerate(rows):
        for j, letter in enumerate(row):
            for bit, (down, right) in enumerate(places):
                found[4 * i + down, 2 * j + right] = (ord(letter) - 0x2800) >> bit & 1
    return found


def test_a_rising_line_is_drawn_from_below_to_above() -> None:
    lines = plotted([0, 100], [0, 39], width=20, height=10)
    assert np.array_equal(dots(lines), np.eye(40, dtype=bool)[::-1])
    assert lines[0].startswith("39 │")
    assert lines[9].startswith(" 0 │")
    assert lines[-1].split() == ["0", "100"]


def test_a_curve_has_a_dot_in_every_column_and_none_beside_it() -> None:
    steps = np.arange(300.0)
    returns = np.where(steps < 150, 2.0, 10.0)
    returns[:20] = np.nan
    found = dots(plotted(steps, returns, width=30, height=5))
    assert found.any(axis=0).all()
    assert found[0, 32:].all()
    assert found[15, :26].all()
    assert found[:, :26].sum() == 26, "a level line is one dot thick"
    assert plotted([], []) == plotted([1.0], [float("nan")]) == ["(no values yet)"]
    assert dots(plotted([5], [3.0], width=4, height=2))[0].all()
    assert set("".join(plotted(steps, returns, unicode=False))) <= set("0123456789.,*|+- ")


def test_the_shipped_curve_is_drawn(said: Callable[..., str]) -> None:
    assert "learning curve" in said("show", "breakout-dddqn")
    assert Path(ps.zoo.path("breakout-dddqn")).name in said("show", "breakout-dddqn")
