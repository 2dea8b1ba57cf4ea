"""A finished run as pages see it: stored and computed maps, questions, notes of several readers."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError
from policyscope.saliency.maps import Maps, Panel
from policyscope.viewer.bundle import unbundle
from policyscope.viewer.encoding import PackedMaps, unpack_maps
from policyscope.viewer.panels import key_of
from policyscope.viewer.session import Notes, RunSession

STORED, OTHER = Panel("gradient", "q", "taken", None, 0), Panel("grad_cam", "value", "taken", "body.0", None)


@pytest.fixture(scope="module")
def run(duel: Agent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    episode = ps.play(duel, steps=70, seed=0, out=folder)
    ps.explain(duel, episode, methods="gradient", out=folder)
    return folder


def session(run: Path, agents: dict[str, Agent], told: str = "") -> RunSession:
    return RunSession(run, Episode.open(run), Maps(run), agents, told)


def maps_of(data: bytes) -> np.ndarray:
    header, (packed, numbers) = unbundle(data)
    scales = np.frombuffer(numbers, "<f4").reshape(-1, 5)[:, 0]
    return unpack_maps(PackedMaps(packed, scales), header["size"])


def test_stored_maps_need_no_agent_and_the_page_is_told_why_there_is_none(run: Path) -> None:
    shown = session(run, {}, "the agent is gone")
    manifest = shown.manifest()
    assert (manifest["computes"], manifest["asks"], manifest["live"]) == (False, False, False)
    assert manifest["message"] == "the agent is gone"
    wanted = np.asarray(Maps(run)["gradient"])[64:70]
    np.testing.assert_allclose(
        maps_of(shown.bundle(f"maps/{key_of(STORED)}/2")), wanted, atol=0.01 * np.abs(wanted).max()
    )
    assert shown.statistics(key_of(STORED))["rows"] == 70
    with pytest.raises(PolicyscopeError, match="the run has no maps of grad cam"):
        shown.bundle(f"maps/{key_of(OTHER)}/0")
    with pytest.raises(PolicyscopeError, match="needs the agent"):
        shown.ask({"kind": "edit", "step": 0, "how": "blur", "lags": [0]})


def test_what_is_not_stored_is_computed_where_the_agent_is(run: Path, duel: Agent, other_duel: Agent) -> None:
    shown = session(run, {"": duel, "b": other_duel})
    manifest = shown.manifest()
    assert (manifest["computes"], manifest["asks"], manifest["message"]) == (True, True, None)
    assert [agent["id"] for agent in manifest["agents"]] == ["", "b"]
    for panel, agent, whose in ((OTHER, "", duel), (STORED, "b", other_duel)):
        words = {"methods": panel.method, "stream": panel.stream, "layer": 1}
        maps = ps.explain(whose, Episode.open(run), **words)
        wanted = np.asarray(maps[maps.panels[0]].stored[32:64])
        given = maps_of(shown.bundle(f"maps/{key_of(panel, agent)}/1"))
        np.testing.assert_allclose(given, wanted, atol=0.01 * np.abs(wanted).max())


@pytest.mark.parametrize(
    "key",
    [
        "screens/3",
        "screens/-1",
        "screens/x/0",
        "series/0",
        "nothing",
        "",
        "maps/0",
        "../run.json",
        "maps/../../run.json/0",
        "maps/gradient~q~taken~~0~c/0",
        "screens/00000000000000000000000000000009",
    ],
)
def test_what_is_no_part_of_the_run_is_refused(run: Path, duel: Agent, key: str) -> None:
    with pytest.raises(PolicyscopeError):
        session(run, {"": duel}).bundle(key)


@pytest.mark.parametrize("panel", [STORED, OTHER])
def test_steps_that_look_into_a_box_are_found_in_stored_and_in_computed_maps(
    run: Path, duel: Agent, panel: Panel
) -> None:
    found = session(run, {"": duel}).ask(
        {"kind": "inside", "panel": key_of(panel), "region": [0, 0, 84, 42], "share": 0.5}
    )
    maps = ps.explain(duel, Episode.open(run), methods=panel.method, stream=panel.stream, layer=1)
    full = np.abs(np.asarray(maps[maps.panels[0]]))
    shares = full[:, :, :42].sum((1, 2)) / np.maximum(full.sum((1, 2)), 1e-30)
    assert found["steps"] == np.flatnonzero(shares > 0.5).tolist()
    assert (found["searched"], found["of"]) == (70, 70)


def test_two_pages_notes_come_together(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    a, b, c = ({"step": step, "text": text} for step, text in ((5, "a"), (3, "b"), (5, "c")))
    assert notes.keep([a]) == [a]
    # Another page, which knew of none, adds its own; the first one does not know of that and changes its mind.
    assert notes.keep([b], before=[]) == [b, a]
    assert notes.keep([c], before=[a]) == [b, c]
    assert Notes(tmp_path).read() == [b, c]
    assert notes.keep([]) == []
    with pytest.raises(PolicyscopeError, match="a list of notes is wanted"):
        notes.keep([{"step": "x"}])


def test_series_are_rows_of_numbers(run: Path) -> None:
    header, (numbers,) = unbundle(session(run, {}).bundle("series"))
    values = np.frombuffer(zlib.decompress(numbers, -15), "<f4").reshape(len(header["columns"]), 70)
    names = [column["name"] for column in header["columns"]]
    np.testing.assert_array_equal(values[names.index("reward")], Episode.open(run).rewards)


def test_an_unknown_question_is_refused(run: Path) -> None:
    with pytest.raises(PolicyscopeError, match="no question 'why'; there are: edit, inside"):
        session(run, {}).ask({"kind": "why"})
