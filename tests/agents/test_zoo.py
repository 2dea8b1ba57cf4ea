"""The zoo: cards that are whole, files that are those of their cards, wherever they come from."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import policyscope as ps
from policyscope.agents import zoo
from policyscope.agents.presets import PRESETS, preset
from policyscope.agents.zoo import fetch, shelves
from policyscope.agents.zoo.consoles import in_words, under
from policyscope.errors import CheckpointError


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder, and notes what it was asked for."""

    asked: list[str]

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()


@pytest.fixture
def server(shelf: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The release's folder behind an address; yields the paths that were asked for."""
    asked: list[str] = []
    handler = partial(type("Here", (Quiet,), {"asked": asked}), directory=str(shelf.release))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        monkeypatch.setenv("POLICYSCOPE_ZOO_URL", f"http://127.0.0.1:{serving.server_port}/zoo-1")
        (shelf.release / "zoo-1").mkdir()
        shelf.release = shelf.release / "zoo-1"
        yield asked
        serving.shutdown()


def refusal(name: str) -> str:
    """The one line that is said when an agent cannot be had."""
    with pytest.raises(CheckpointError) as caught:
        zoo.path(name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# The zoo that is shipped


@pytest.mark.parametrize("name", zoo.names())
def test_a_card_of_ours_is_whole_and_has_a_curve(name: str) -> None:
    card = zoo.card(name)
    assert set(card.returns) == {"own", "paper", "modern"}
    assert all(len(measured.returns) >= 30 for measured in card.returns.values())
    assert "step" in zoo.curve(name).read_text().splitlines()[0].split(",")


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.place(name)[0] != "to be fetched"])
def test_an_agent_of_ours_is_the_one_of_its_card(name: str) -> None:
    card, agent = zoo.card(name), ps.load_agent(f"zoo:{name}")
    assert agent.protocol.game == card.game
    assert agent.network.recipe == {"architecture": card.architecture, "options": card.options}
    assert agent.policy == card.own.policy
    assert card.own.protocol == in_words(agent.protocol)


def test_the_wheel_and_the_repository_stay_small() -> None:
    shipped = sum(file.stat().st_size for file in shelves.FOLDER.glob("*.safetensors"))
    others = sum(file.stat().st_size for folder in shelves.checkout() for file in folder.glob("*.safetensors"))
    assert shipped <= 20e6
    assert shipped + others <= 160e6


def test_a_file_is_in_one_place_alone() -> None:
    places = [file.name for folder in (shelves.FOLDER, *shelves.checkout()) for file in folder.glob("*.safetensors")]
    assert len(places) == len(set(places))
    assert {Path(file).stem for file in places} <= set(zoo.names())


# Cards


def test_a_card_comes_back_as_it_was_written(shelf: Any) -> None:
    shelf.add("duel")
    card = zoo.card("duel")
    assert zoo.Card.from_dict(json.loads(json.dumps(card.to_dict())), "x") == card
    assert (card.own.mean, card.own.interval, card.seconds) == (1 / 3, (0.2, 0.5), None)


@pytest.mark.parametrize("field", list(zoo.Card.__dataclass_fields__))
def test_a_card_that_lacks_a_field_says_which(shelf: Any, field: str) -> None:
    shelf.add("duel")
    card = json.loads((shelf.folder / "duel.json").read_text())
    del card[field]
    (shelf.folder / "duel.json").write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=rf"duel\.json lacks {field};"):
        zoo.card("duel")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": "many"}, "steps is 'many'; it must be int"),
        ({"steps": True}, "steps is True; it must be int"),
        ({"seeds": [0, "one"]}, r"seeds\[1\] is 'one'; it must be int"),
        ({"weights": 3}, "weights is no JSON object of Weights's fields"),
        ({"weights": {"dtype": "float32", "size": 3, "sha256": "0" * 64}}, r"lacks weights\.map_correlation"),
        (
            {"weights": {"dtype": "int8", "size": 3, "sha256": "0" * 64, "map_correlation": {}}},
            r"weights\.dtype must be one of float32",
        ),
        (
            {"weights": {"dtype": "float32", "size": 3, "sha256": "abc", "map_correlation": {}}},
            r"weights\.sha256 must be 64",
        ),
        ({"returns": {}}, "returns must be those under 'own' at least"),
        ({"sumary": "a test's"}, "field sumary that no card has; did you mean 'summary'"),
        ({"name": "duet"}, "name is 'duet'; it must be the file's"),
    ],
)
def test_a_card_that_is_wrong_says_where(shelf: Any, changes: dict[str, Any], said: str) -> None:
    shelf.add("duel")
    shelf.change("duel", **changes)
    with pytest.raises(CheckpointError, match=said):
        zoo.card("duel")


def test_a_mean_that_is_not_that_of_the_returns_is_refused(shelf: Any) -> None:
    shelf.add("duel")
    card = zoo.card("duel").to_dict()
    card["returns"]["own"]["mean"] = 0.34
    with pytest.raises(CheckpointError, match=r"returns\.own\.mean must be that of its returns, 0\.333"):
        zoo.Card.from_dict(card, "x")
    card["returns"] = {"own": card["returns"]["own"] | {"mean": 1 / 3}, "classic": card["returns"]["own"]}
    with pytest.raises(CheckpointError, match="under own, paper, modern alone"):
        zoo.Card.from_dict(card, "x")


def test_a_card_that_is_no_json_is_named(shelf: Any) -> None:
    shelf.add("duel")
    (shelf.folder / "duel.json").write_text('{"name": ')
    with pytest.raises(CheckpointError, match=r"the card .*duel\.json is damaged"):
        zoo.card("duel")


def test_an_unknown_agent_is_told_its_neighbours(shelf: Any) -> None:
    assert refusal("pong-dqn") == "the zoo has no agent 'pong-dqn'; there are none yet"
    shelf.add("breakout-dddqn")
    with pytest.raises(CheckpointError, match="no agent 'breakout-dqn'; did you mean breakout-dddqn"):
        ps.load_agent("zoo:breakout-dqn")
    assert refusal("../secret").startswith("the zoo has no agent '../secret'; there are breakout-dddqn")


# Consoles


def test_an_agent_keeps_its_picture_on_another_console() -> None:
    own = replace(preset("baby-a3c", "pong"), full_action_space=True)
    for name in ("paper", "modern"):
        changed, wanted = under(own, name), PRESETS[name]
        for field in ("frame_skip", "sticky", "noops", "max_pool", "pad", "fire_reset", "life_ends_episode"):
            assert getattr(changed, field) == getattr(wanted, field), field
        for field in ("game", "crop", "colour", "stretch", "size", "resize", "stack", "layout", "full_action_space"):
            assert getattr(changed, field) == getattr(own, field), field
    assert under(own, "own") is own
    assert in_words(under(preset("sb3", "pong"), "paper")) == (
        "sb3 on the console of paper: 2 to 4 frames an action, sticky actions 0.25, no idle frames at the start, "
        "4 pictures of 84 x 84 of the last screen"
    )
    assert "1 to 30 idle frames" in in_words(preset("sb3", "pong"))
    assert in_words(preset("sb3", "pong")).endswith("FIRE begins a game, a lost life ends an episode")


# Files


def test_a_file_is_found_in_the_package_a_checkout_or_the_cache(
    shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    monkeypatch.setattr(shelves, "FOLDER", root / "src" / "policyscope" / "zoo")
    shelf.folder = shelves.FOLDER
    shelf.folder.mkdir(parents=True)
    shipped, beside = shelf.add("shipped"), shelf.add("beside", root / "zoo")
    cached, far = shelf.add("cached", shelf.cache), shelf.add("far", shelf.release)
    assert zoo.names() == ("beside", "cached", "far", "shipped")
    assert zoo.place("shipped") == ("shipped", shipped)
    assert zoo.place("beside") == ("to be fetched", shelf.cache / "beside.safetensors"), "no pyproject, no checkout"
    (root / "pyproject.toml").touch()
    assert zoo.place("beside") == ("here", beside) == ("here", zoo.path("beside"))
    assert zoo.place("cached") == ("here", cached)
    assert zoo.place("far") == ("to be fetched", shelf.cache / far.name)


def test_a_file_that_is_nowhere_is_fetched_once(shelf: Any, server: list[str]) -> None:
    original = shelf.add("duel", shelf.release)
    agent = ps.load_agent("zoo:duel")
    assert agent.source == "zoo:duel"
    assert zoo.path("duel") == shelf.cache / "duel.safetensors"
    assert zoo.path("duel").read_bytes() == original.read_bytes()
    assert server == ["/zoo-1/duel.safetensors"]
    assert [file.name for file in shelf.cache.iterdir()] == ["duel.safetensors"]


def test_another_file_at_the_address_is_thrown_away(shelf: Any, server: list[str]) -> None:
    file = shelf.add("duel", shelf.release)
    data = file.read_bytes()
    for wrong, what in (
        (data[:-1] + bytes([data[-1] ^ 1]), "sha256 "),
        (data[:-7], f"({len(data) - 7:,} bytes of {len(data):,})"),
        (data + b"more", f"more than {len(data):,} bytes"),
    ):
        file.write_bytes(wrong)
        said = refusal("duel")
        assert what in said
        assert "is not the file of zoo:duel that its card describes" in said
        assert list(shelf.cache.iterdir()) == []
    file.write_bytes(data)
    assert zoo.path("duel").is_file()


def test_a_cached_file_that_is_damaged_or_old_is_fetched_again(shelf: Any, server: list[str]) -> None:
    original = shelf.add("duel", shelf.release)
    cached = zoo.path("duel")
    cached.write_bytes(original.read_bytes()[:-1] + b"x")
    assert zoo.path("duel").read_bytes() == original.read_bytes()
    assert len(server) == 2


@pytest.mark.parametrize("damage", ["short", "changed"])
def test_a_shipped_file_that_is_not_its_cards_is_refused(shelf: Any, damage: str) -> None:
    file = shelf.add("duel")
    data = file.read_bytes()
    file.write_bytes(data[:-4] if damage == "short" else data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="is not the file of zoo:duel: it") as caught:
        ps.load_agent("zoo:duel")
    assert ("bytes, its card says" if damage == "short" else "sha256 is") in str(caught.value)


def test_without_a_network_it_says_what_to_do(shelf: Any, server: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add("duel", shelf.release).unlink()
    assert "(404 File not found): go online, or put the file at" in refusal("duel")
    monkeypatch.setenv("POLICYSCOPE_ZOO_URL", "http://127.0.0.1:9")
    said = refusal("duel")
    assert "http://127.0.0.1:9/duel.safetensors could not be fetched" in said
    assert str(shelf.cache / "duel.safetensors") in said
    monkeypatch.setenv("POLICYSCOPE_ZOO_URL", "gopher://x")
    assert "unknown url type" in refusal("duel")
    monkeypatch.setenv("POLICYSCOPE_ZOO_URL", str(shelf.release / "absent"))
    assert "could not be fetched" in refusal("duel")
    assert not list(shelf.cache.glob("*"))


def test_a_server_that_stops_speaking_is_given_up(shelf: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import socket

    shelf.add("duel", shelf.release)
    monkeypatch.setattr(fetch, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setenv("POLICYSCOPE_ZOO_URL", f"http://127.0.0.1:{mute.getsockname()[1]}")
        assert "timed out" in refusal("duel")


def test_a_cache_that_cannot_be_written_is_named(shelf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add("duel", shelf.release)
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("POLICYSCOPE_CACHE", str(tmp_path / "taken"))
    said = refusal("duel")
    assert said.startswith(f"zoo:duel cannot be kept in {tmp_path / 'taken' / 'zoo'}: Not a directory")
    assert "POLICYSCOPE_CACHE names another folder" in said


def test_the_cache_is_where_the_system_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POLICYSCOPE_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert shelves.cache() == tmp_path / "own" / "zoo"
    monkeypatch.delenv("POLICYSCOPE_CACHE")
    assert shelves.cache() == tmp_path / "xdg" / "policyscope" / "zoo"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert shelves.cache() == tmp_path / ".cache" / "policyscope" / "zoo"
    monkeypatch.delenv("POLICYSCOPE_ZOO_URL", raising=False)
    assert shelves.address("duel") == (
        "https://github.com/policyscope/policyscope/releases/download/zoo-1/duel.safetensors"
    )


def test_who_waits_sees_how_much_has_come(
    shelf: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shelf.add("duel", shelf.release)
    shelf.add("slow", shelf.release)
    zoo.path("duel")
    assert "fetching" not in capsys.readouterr().err
    monkeypatch.setattr(fetch, "PATIENCE", -1.0)
    zoo.path("slow")
    assert "fetching zoo:slow" in capsys.readouterr().err
