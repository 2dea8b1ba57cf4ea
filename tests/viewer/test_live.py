"""A game that is played, explained and interfered with while somebody looks."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError
from policyscope.saliency.maps import Panel
from policyscope.viewer import live as live_module
from policyscope.viewer.bundle import unbundle
from policyscope.viewer.live import BATCH, Live
from policyscope.viewer.livesession import LiveSession
from policyscope.viewer.newest import KEPT, ROWS
from policyscope.viewer.panels import key_of
from policyscope.viewer.player import Player
from policyscope.viewer.series import columns

GRADIENT, CAM = Panel("gradient", "q", "taken", None, 0), Panel("grad_cam", "q", "taken", "body.4", None)
VALUE = Panel("full_grad", "value", "taken", None, None)


@pytest.fixture
def begin(duel: Agent, tmp_path: Path) -> Iterator[Callable[..., LiveSession]]:
    """Begins a game that goes on as fast as it can, and ends it after the test."""
    begun: list[Live] = []

    def beginning(agent: Agent = duel, panels=(GRADIENT, CAM), rate: float = 0, **options) -> LiveSession:
        live = Live(Player(agent, tmp_path / "run", seed=1), options.pop("others", {}), panels, rate, **options)
        begun.append(live)
        live.start()
        return LiveSession(live)

    yield beginning
    for live in begun:
        live.stop()


def until(session: LiveSession, wanted: Callable[[dict], bool], seconds: float = 30) -> dict:
    """The first status that is as wanted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        status = session.status()
        if wanted(status):
            return status
        time.sleep(0.005)
    raise AssertionError(f"never came: {session.status()}")


def paused(session: LiveSession, steps: int) -> int:
    """Plays at least some steps, pauses, and returns how many there are."""
    until(session, lambda status: status["steps"] >= steps)
    session.live.obey({"do": "pause"})
    assert session.live._behind() == 0
    return session.status()["steps"]


def items(data: bytes) -> tuple[dict, dict[str, tuple[dict, list[bytes]]]]:
    """The header of newest rows, and each item's header and parts."""
    header, parts = unbundle(data)
    found, place = {}, 0
    for item in header["items"]:
        found[item["key"]] = (item, parts[place : place + item["parts"]])
        place += item["parts"]
    assert place == len(parts)
    return header, found


def test_what_is_played_live_is_the_run_that_play_records_and_explain_explains(
    begin: Callable[..., LiveSession], duel: Agent, tmp_path: Path
) -> None:
    session = begin()
    steps = paused(session, 70)
    taken = session.live.newest
    for panel, words in ((GRADIENT, {"methods": "gradient"}), (CAM, {"methods": "grad_cam", "layer": 3})):
        maps = ps.explain(duel, session.live.player.track.episode(), **words)
        wanted = np.asarray(maps[maps.panels[0]].stored)
        given = taken.take(0, key_of(panel), 0, steps)
        np.testing.assert_allclose(given, wanted, atol=1e-5 * np.abs(wanted).max())
    session.live.stop()
    played = Episode.open(tmp_path / "run")
    same = ps.play(duel, steps=len(played), seed=1)
    np.testing.assert_array_equal(np.asarray(played.ram), np.asarray(same.ram))
    assert played.meta == same.meta


def test_the_newest_rows_come_in_one_piece(begin: Callable[..., LiveSession]) -> None:
    session = begin()
    steps = paused(session, 50)
    header, found = items(session.frames(0, 0))
    assert (header["first"], header["count"]) == (steps - ROWS, ROWS)
    assert set(found) == {"series", "screens", "inputs", f"maps/{key_of(GRADIENT)}", f"maps/{key_of(CAM)}"}
    series, (numbers,) = found["series"]
    assert (series["first"], series["count"]) == (0, steps)
    assert len(zlib.decompress(numbers, -15)) == 4 * steps * len(series["columns"])
    cam, (maps, statistics) = found[f"maps/{key_of(CAM)}"]
    assert (cam["first"], cam["count"], cam["size"]) == (steps - ROWS, ROWS, [7, 7])
    assert len(zlib.decompress(maps, -15)) == ROWS * 49
    assert len(statistics) == ROWS * 5 * 4
    header, found = items(session.frames(steps - 3, 0))
    assert (header["first"], header["count"]) == (steps - 3, 3)
    assert found["screens"][0]["count"] == 3
    # Whether a row lost a life is known with the next one: the last row that was sent is sent again.
    assert (found["series"][0]["first"], found["series"][0]["count"]) == (steps - 4, 4)
    header, found = items(session.frames(steps, 0))
    assert (header["first"], header["count"], found) == (steps, 0, {})
    window, _ = unbundle(session.bundle("screens/0"))
    assert (window["first"], window["count"]) == (0, 32)
    again, parts = unbundle(session.bundle(f"maps/{key_of(VALUE)}/1", 0))
    assert again["first"] == 32
    assert len(parts[0])


def test_the_numbers_of_a_live_game_are_those_of_its_run(begin: Callable[..., LiveSession], duel: Agent) -> None:
    session = begin(panels=(), rate=0)
    known: dict[tuple[str, str], list[float]] = {}
    steps = 0
    while steps < 250:
        _, found = items(session.frames(steps, 0))
        if not found:
            time.sleep(0.01)
            session.status()
            continue
        header, (numbers,) = found["series"]
        values = np.frombuffer(zlib.decompress(numbers, -15), "<f4").reshape(-1, header["count"])
        for column, row in zip(header["columns"], values, strict=True):
            known.setdefault((column["name"], column["group"]), [])[header["first"] :] = row.tolist()
        steps = header["first"] + header["count"]
    episode = ps.play(duel, steps=steps, seed=1)
    assert episode.game_over.any() or np.diff(episode.lives).any()
    wanted = {(column.name, column.group): column.values for column in columns(episode)}
    assert list(known) == list(wanted)
    for name, values in known.items():
        np.testing.assert_allclose(values[:-1], wanted[name][:-1], err_msg=str(name))


def test_methods_change_while_it_plays(begin: Callable[..., LiveSession]) -> None:
    session = begin()
    until(session, lambda status: status["steps"] > 10)
    session.live.obey({"do": "panels", "panels": [key_of(VALUE)]})
    status = session.status()
    assert status["panels"] == [key_of(VALUE)]
    steps = paused(session, status["steps"] + 2 * BATCH)
    _, found = items(session.frames(steps - 4, 0))
    assert [key for key in found if key.startswith("maps/")] == [f"maps/{key_of(VALUE)}"]
    with pytest.raises(PolicyscopeError, match=r"no layer 'body\.9'"):
        session.live.obey({"do": "panels", "panels": ["grad_cam~q~taken~body.9~~"]})
    assert session.status()["panels"] == [key_of(VALUE)]
    assert session.manifest()["panels"][0]["key"] == key_of(VALUE)


def test_it_pauses_takes_single_steps_and_goes_on(begin: Callable[..., LiveSession]) -> None:
    session = begin()
    steps = paused(session, 3)
    version = session.status()["version"]
    for count in (1, 2):
        session.live.obey({"do": "step"})
        status = until(session, lambda status, wanted=steps + count: status["steps"] == wanted)
    assert status["version"] > version
    assert not status["playing"]
    session.live.obey({"do": "play"})
    until(session, lambda status: status["steps"] > steps + 5)


def test_it_keeps_the_rate_that_was_asked_for(begin: Callable[..., LiveSession]) -> None:
    session = begin(rate=20)
    until(session, lambda status: status["steps"] >= 2)
    began, first = time.monotonic(), session.status()["steps"]
    time.sleep(1.5)
    played = session.status()["steps"] - first
    assert played <= 21 * (time.monotonic() - began) + 2
    session.live.obey({"do": "rate", "rate": 0})
    until(session, lambda status: status["steps"] > first + 40)


def test_a_person_takes_over_and_gives_back(begin: Callable[..., LiveSession]) -> None:
    session = begin()
    start = paused(session, 3)
    live = session.live
    live.obey({"do": "take"})
    live.obey({"do": "action", "action": 3})
    for _ in range(3):
        live.obey({"do": "step"})
    until(session, lambda status: status["steps"] == start + 3)
    live.obey({"do": "action", "action": 2})
    live.obey({"do": "step"})
    until(session, lambda status: status["steps"] == start + 4)
    assert session.status()["human"]
    live.obey({"do": "give"})
    assert not session.status()["human"]
    actions = live.player.track.episode().actions
    assert actions[start : start + 4].tolist() == [3, 3, 3, 2]


def test_a_branch_is_played_beside_the_game_it_left(begin: Callable[..., LiveSession], tmp_path: Path) -> None:
    session = begin()
    steps = paused(session, 40)
    session.live.obey({"do": "branch", "step": 20, "action": 2})
    status = until(session, lambda status: status["track"] == 1 and status["steps"] == 1)
    assert status["tracks"] == [
        {"id": 0, "parent": None, "from": 0, "steps": steps, "seed": 1},
        {"id": 1, "parent": 0, "from": 20, "steps": 1, "seed": 1},
    ]
    session.live.obey({"do": "play"})
    paused(session, 12)
    header, _ = items(session.frames(0, 0))
    assert header["first"] + header["count"] == steps
    first, _ = unbundle(session.bundle("screens/1", 0))
    assert first["first"] == 32
    session.live.obey({"do": "track", "track": 0})
    session.live.obey({"do": "reset"})
    assert session.status()["track"] == 2
    session.live.obey({"do": "track", "track": 0})
    session.live.obey({"do": "step"})
    until(session, lambda status: status["track"] == 0 and status["steps"] == steps + 1)
    session.live.stop()
    assert len(Episode.open(tmp_path / "run")) == steps + 1
    assert len(Episode.open(tmp_path / "run" / "branches" / "1")) >= 12
    assert Episode.open(tmp_path / "run" / "branches" / "2").meta["seed"] == 2


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ({"do": "dance"}, "no command 'dance'; there are: play, pause"),
        ({}, "no command None"),
        ({"do": "rate", "rate": -1}, "a rate is from 0"),
        ({"do": "panels", "panels": "gradient"}, "panels are up to"),
        ({"do": "panels", "panels": ["gradient"]}, "no panel 'gradient'"),
        ({"do": "action", "action": 9}, "no action 9; there are 0 to 3"),
        ({"do": "action"}, "action needs 'action', a number from 0, not None"),
        ({"do": "branch", "step": 10_000, "action": 1}, "there is no step 10000"),
        ({"do": "track", "track": 5}, "no track 5"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_and_the_game_goes_on(
    begin: Callable[..., LiveSession], body: dict, line: str
) -> None:
    session = begin()
    with pytest.raises(PolicyscopeError, match=line):
        session.live.obey(body)
    steps = session.status()["steps"]
    until(session, lambda status: status["steps"] > steps)


def test_it_stands_still_while_nobody_looks(begin: Callable[..., LiveSession], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "PATIENCE", 0.3)
    session = begin()
    time.sleep(0.5)
    assert len(session.live.player.track) == 1
    until(session, lambda status: status["steps"] > 5)
    time.sleep(0.8)
    stands = len(session.live.player.track)
    time.sleep(0.3)
    assert len(session.live.player.track) == stands
    heard: list[int] = []
    with session.live.watchers.watching(lambda: heard.append(session.live.watchers.version)):
        until(session, lambda status: status["steps"] > stands + 5)
    assert heard == sorted(heard)
    assert heard


def test_it_pauses_after_the_steps_that_were_asked_for(begin: Callable[..., LiveSession]) -> None:
    session = begin(steps=20)
    status = until(session, lambda status: status["steps"] == 20)
    assert status["message"] == "played 20 steps, as asked: press play to go on"
    time.sleep(0.2)
    assert session.status()["steps"] == 20


def test_two_agents_explain_the_same_live_game(
    begin: Callable[..., LiveSession], duel: Agent, other_duel: Agent
) -> None:
    key = key_of(GRADIENT, "b")
    session = begin(others={"b": other_duel})
    session.live.obey({"do": "panels", "panels": [key_of(GRADIENT), key]})
    assert [agent["id"] for agent in session.manifest()["agents"]] == ["", "b"]
    steps = paused(session, 20)
    maps = ps.explain(other_duel, session.live.player.track.episode(), methods="gradient")
    given = session.live.newest.take(0, key, steps - 4, steps)
    np.testing.assert_allclose(given, np.asarray(maps["gradient"])[steps - 4 : steps], atol=1e-5)


def test_a_recurrent_agent_is_played_and_asked(begin: Callable[..., LiveSession], recurrent: Agent) -> None:
    panel = Panel("gradient", "value", "taken", None, 2)
    session = begin(recurrent, (panel,))
    steps = paused(session, 12)
    maps = ps.explain(recurrent, session.live.player.track.episode(), methods="gradient", stream="value", lag=2)
    given = session.live.newest.take(0, key_of(panel), 0, steps)
    wanted = np.asarray(maps["gradient"])
    np.testing.assert_allclose(given, wanted, atol=1e-5 * np.abs(wanted).max())
    question = {"kind": "edit", "step": 8, "how": "zero", "lags": [0, 1], "region": None, "track": 0}
    assert session.ask(question)["after"] != session.ask(question)["before"]


def test_memory_of_maps_is_bounded(begin: Callable[..., LiveSession]) -> None:
    session = begin(panels=(CAM,))
    steps = paused(session, KEPT + 40)
    assert session.live.newest.take(0, key_of(CAM), 0, 4) is None
    assert session.live.newest.take(0, key_of(CAM), steps - 4, steps) is not None
    header, _ = unbundle(session.bundle(f"maps/{key_of(CAM)}/0"))
    assert header["count"] == 32


def test_after_its_end_commands_are_refused(begin: Callable[..., LiveSession]) -> None:
    session = begin()
    until(session, lambda status: status["steps"] >= 1)
    session.live.stop()
    with pytest.raises(PolicyscopeError, match="the game is over"):
        session.live.obey({"do": "play"})
