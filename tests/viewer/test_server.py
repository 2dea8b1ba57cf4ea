"""The viewer over HTTP: who is let in, what can be reached, how it is cached, and what pages of a live game hear."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.saliency.maps import Maps, Panel
from policyscope.viewer import server as server_module
from policyscope.viewer.access import Access
from policyscope.viewer.bundle import unbundle
from policyscope.viewer.live import Live
from policyscope.viewer.livesession import LiveSession
from policyscope.viewer.panels import key_of
from policyscope.viewer.player import Player
from policyscope.viewer.server import LARGEST_BODY, application
from policyscope.viewer.session import RunSession

PORT = 8377
HERE = f"http://127.0.0.1:{PORT}"
STORED, OTHER = Panel("gradient", "q", "taken", None, 0), Panel("grad_cam", "q", "taken", "body.4", None)
EDIT = {"kind": "edit", "step": 5, "agent": "", "region": [10, 10, 20, 20], "lags": [0], "how": "blur"}


@pytest.fixture(scope="module")
def run(duel: Agent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    ps.explain(duel, ps.play(duel, steps=40, seed=0, out=folder), methods="gradient", out=folder)
    return folder


@pytest.fixture(scope="module")
def session(run: Path, duel: Agent) -> RunSession:
    return RunSession(run, Episode.open(run), Maps(run), {"": duel}, "")


@pytest.fixture
def access() -> Access:
    return Access(PORT)


def browser(session, access: Access, let_in: bool = True) -> TestClient:
    client = TestClient(application(session, access), base_url=HERE, headers={"origin": HERE})
    if let_in:
        assert client.get(access.link()).status_code == 200
    return client


# Who is let in


def test_a_link_lets_one_browser_in_once(session: RunSession, access: Access) -> None:
    link = access.link()
    first, second = browser(session, access, False), browser(session, access, False)
    assert first.get("/data/manifest").status_code == 403
    answer = first.get(link, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"policyscope-{PORT}=")
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "<title>" in first.get("/").text
    assert first.get("/data/manifest").json()["steps"] == 40
    refused = second.get(link)
    assert refused.status_code == 403
    assert "works once" in refused.text
    assert second.get("/").status_code == second.get("/data/series").status_code == 403
    # Who is in already may follow an old link again: it is in the history.
    assert first.get(link).status_code == 200
    another = first.post("/link", json={}).json()["url"]
    assert second.get(another).status_code == 200
    assert second.get("/data/manifest").status_code == 200


def test_a_browser_that_only_fetches_ahead_does_not_use_the_link_up(session: RunSession, access: Access) -> None:
    link, client = access.link(), browser(session, access, False)
    assert client.get(link, headers={"sec-purpose": "prefetch;prerender"}).status_code == 503
    assert client.get(link).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:1", ""])
def test_another_name_for_this_machine_is_refused(session: RunSession, access: Access, host: str) -> None:
    client = browser(session, access)
    assert client.get("/data/manifest", headers={"host": host}).status_code == 421
    assert client.get("/data/manifest", headers={"host": f"localhost:{PORT}"}).status_code == 200
    assert client.get(access.link(), headers={"host": f"[::1]:{PORT}"}, follow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1"]
)
def test_another_sites_page_cannot_ask(session: RunSession, access: Access, origin: str) -> None:
    client = browser(session, access)
    for path in ("/ask", "/notes", "/link"):
        assert client.post(path, json=EDIT, headers={"origin": origin}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/data/../run.json",
        "/data/..%2frun.json",
        "/data/%2e%2e/%2e%2e/etc/passwd",
        "/data/maps/..%2f..%2frun.json/0",
        "/data//etc/passwd",
        "/run.json",
        "/episode.zarr/meta.json",
        "/static/../run.json",
        "/data/screens/9",
        "/data/",
    ],
)
def test_nothing_but_the_runs_own_parts_can_be_reached(session: RunSession, access: Access, path: str) -> None:
    answer = browser(session, access).get(path)
    assert answer.status_code in (400, 404)
    assert "fingerprint" not in answer.text
    assert "root:" not in answer.text


def test_every_answer_says_what_a_browser_must_not_do(session: RunSession, access: Access) -> None:
    client = browser(session, access)
    answers = [client.get(path) for path in ("/", "/data/series", "/nothing")]
    answers.append(browser(session, access, False).get("/"))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"


# A finished run


def test_rows_of_a_finished_run_are_kept_by_the_browser(session: RunSession, access: Access) -> None:
    client = browser(session, access)
    tag = client.get("/data/manifest").json()["tag"]
    answer = client.get("/data/screens/1")
    assert answer.headers["cache-control"] == "private, no-cache"
    header, parts = unbundle(answer.content)
    assert (header["first"], header["count"]) == (32, 8)
    assert parts[0][:4] == b"RIFF"
    again = client.get("/data/screens/1", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert "immutable" in client.get(f"/data/screens/1?v={tag}").headers["cache-control"]
    assert client.get("/data/manifest").headers["cache-control"] == "no-store"
    assert client.get("/").headers["cache-control"] == "no-store"


def test_maps_that_are_not_stored_are_computed(session: RunSession, access: Access) -> None:
    client = browser(session, access)
    header, _ = unbundle(client.get(f"/data/maps/{key_of(OTHER)}/0").content)
    assert header["size"] == [7, 7]
    assert client.get(f"/data/stats/{key_of(STORED)}").json()["rows"] == 40
    assert client.get(f"/data/stats/{key_of(OTHER)}").json() == {"rows": 0}
    refused = client.get("/data/maps/grad_cam~q~taken~body.7~~/0")
    assert refused.status_code == 400
    assert "no layer 'body.7'; this agent has: 1 (body.0)" in refused.json()["error"]


def test_questions_are_answered_or_refused_in_one_line(session: RunSession, access: Access) -> None:
    client = browser(session, access)
    found = client.post("/ask", json=EDIT).json()
    assert len(found["before"]["q"]) == len(found["after"]["q"]) == 4
    assert found["picture"].startswith("data:image/webp;base64,")
    inside = {"kind": "inside", "panel": key_of(STORED), "region": [0, 0, 84, 84], "share": 0.5}
    assert client.post("/ask", json=inside).json()["steps"] == list(range(40))
    for body, line in (({"kind": "why"}, "no question 'why'"), (EDIT | {"step": 99}, "no step 99")):
        answer = client.post("/ask", json=body)
        assert answer.status_code == 400
        assert line in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"x" * (LARGEST_BODY + 1), "application/json", 413),
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"{}", "text/plain", 400),
    ],
)
def test_what_is_no_question_is_refused(
    session: RunSession, access: Access, content: bytes, kind: str, status: int
) -> None:
    answer = browser(session, access).post("/ask", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.json()["error"]


def test_notes_of_two_browsers_are_kept_in_the_run(session: RunSession, access: Access, run: Path) -> None:
    one, two = browser(session, access), browser(session, access)
    first = {"step": 3, "text": "here <b>it</b> is"}
    assert one.post("/notes", json={"notes": [first], "before": []}).json()["notes"] == [first]
    second = {"step": 1, "text": "and here"}
    two.post("/notes", json={"notes": [second], "before": []})
    assert json.loads((run / "notes.json").read_text()) == [second, first]
    assert one.get("/data/manifest").json()["notes"] == [second, first]
    assert one.post("/notes", json={"notes": [{"step": 1}]}).status_code == 400


def test_a_finished_run_has_nothing_live(session: RunSession, access: Access) -> None:
    client = browser(session, access)
    assert client.get("/live").status_code == 404
    assert client.get("/ask").status_code == 405


def test_a_mistake_of_ours_is_one_line_and_the_next_request_is_answered(
    session: RunSession, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(session, access)

    def broken(*_):
        raise ValueError("a\nb")

    monkeypatch.setattr(session, "ask", broken)
    answer = client.post("/ask", json=EDIT)
    assert (answer.status_code, answer.json()["error"]) == (500, "ValueError: a b; a mistake in policyscope")
    assert client.get("/data/manifest").status_code == 200


def test_numbers_that_json_has_no_words_for_are_unknown(
    session: RunSession, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ask", lambda _: {"after": {"q": [np.nan, float("inf"), 1.5]}})
    assert browser(session, access).post("/ask", json=EDIT).json() == {"after": {"q": [None, None, 1.5]}}


# A live game


@pytest.fixture
def live(duel: Agent, tmp_path: Path) -> Iterator[Live]:
    made = Live(Player(duel, tmp_path / "run"), {}, (STORED,), rate=0)
    made.start()
    yield made
    made.stop()


def test_a_page_follows_a_live_game(live: Live, access: Access) -> None:
    client = browser(LiveSession(live), access)
    manifest = client.get("/data/manifest").json()
    assert (manifest["live"], manifest["computes"], manifest["tag"]) == (True, True, None)
    version, steps = -1, 0
    while steps < 20:
        status = client.get(f"/live?seen={version}").json()
        assert status["version"] > version
        version, steps = status["version"], status["steps"]
    answer = client.get("/live/frames?from=0&track=0")
    assert answer.headers["cache-control"] == "no-store"
    header, _ = unbundle(answer.content)
    assert [item["key"] for item in header["items"]] == ["series", "screens", "inputs", f"maps/{key_of(STORED)}"]
    assert client.post("/live", json={"do": "pause"}).json()["playing"] is False
    assert client.post("/live", json={"do": "branch", "step": 4, "action": 1}).json()["track"] == 1
    first, _ = unbundle(client.get("/data/screens/0?track=0").content)
    assert first["count"] >= 20
    assert client.get("/data/screens/0").headers["cache-control"] == "no-store"
    refused = client.post("/live", json={"do": "branch", "step": 4000, "action": 1})
    assert (refused.status_code, "no step 4000" in refused.json()["error"]) == (400, True)
    assert client.get("/live/frames?from=0&track=7").status_code == 404
    assert client.get("/live/frames?from=x&track=0").status_code == 400
    assert client.post("/ask", json=EDIT | {"track": 0, "step": 2}).status_code == 200


def test_a_page_that_has_seen_everything_waits_for_news(
    live: Live, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = browser(LiveSession(live), access)
    client.post("/live", json={"do": "pause"})
    time.sleep(0.3)
    seen = client.get("/live").json()["version"]
    threading.Timer(0.4, lambda: live.obey({"do": "step"})).start()
    began = time.monotonic()
    status = client.get(f"/live?seen={seen}").json()
    assert 0.3 < time.monotonic() - began < 5
    assert status["version"] > seen
    time.sleep(0.3)
    seen = client.get("/live").json()["version"]
    monkeypatch.setattr(server_module, "PATIENCE", 0.2)
    began = time.monotonic()
    assert client.get(f"/live?seen={seen}").json()["version"] == seen
    assert time.monotonic() - began >= 0.2
