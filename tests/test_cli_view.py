"""``policyscope view`` as people meet it: a process that serves, tells its address, and leaves valid files behind."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

import policyscope as ps
from policyscope.agents.agent import Agent
from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.loading import load_agent
from policyscope.agents.networks import build
from policyscope.cli import main
from policyscope.episodes.episode import Episode
from policyscope.saliency.maps import Maps
from policyscope.storage import read_count
from policyscope.viewer.bundle import unbundle

LINK = re.compile(r"open (http://127\.0\.0\.1:(\d+)/\?token=\S+)")


def _saved(folder: Path, name: str, seed: int, actions: int = 4) -> Path:
    torch.manual_seed(seed)
    network = build("dueling_dqn", actions=actions, hidden=32)
    game = "breakout" if actions == 4 else "pong"
    return save_agent(make_agent(network, game=game, policy="epsilon=0.5"), folder / f"{name}.safetensors")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("agents"), "duel", 0)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _saved(tmp_path_factory.mktemp("agents"), "other", 1)


@pytest.fixture(scope="module")
def agent(checkpoint: Path) -> Agent:
    return load_agent(str(checkpoint))


@pytest.fixture(scope="module")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    options = ["--steps", "40", "--methods", "gradient", "--no-render", "--out", str(folder)]
    main(["explain", str(checkpoint), *options])
    return folder


@dataclass
class Viewer:
    """A viewer's process and a browser that it let in."""

    process: subprocess.Popen[str]
    link: str
    browser: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        base = self.link.partition("/?")[0]
        self.browser = httpx.Client(base_url=base, headers={"origin": base}, timeout=30, follow_redirects=True)
        assert self.browser.get(self.link).status_code == 200

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Its status, what it said last, and its remarks."""
        self.process.send_signal(number)
        out, told = self.process.communicate(timeout=60)
        return self.process.returncode, out, told

    def until(self, wanted: Callable[[dict], bool]) -> dict:
        for _ in range(1000):
            status = self.browser.get("/live").json()
            if wanted(status):
                return status
            time.sleep(0.02)
        raise AssertionError(status)


@pytest.fixture
def view(tmp_path: Path) -> Iterator[Callable[..., Viewer]]:
    processes: list[subprocess.Popen[str]] = []

    def viewing(*words: object, port: int = 0) -> Viewer:
        command = [sys.executable, "-m", "policyscope.cli", "view", *map(str, words), "--no-open", "--port", str(port)]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        processes.append(process)
        assert process.stdout is not None
        said = process.stdout.readline()
        found = LINK.match(said)
        assert found, said + process.communicate()[1]
        return Viewer(process, found[1])

    yield viewing
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def refuse(*words: object) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            main(["view", "--no-open", "--port", "0", *map(str, words)])
        said = capsys.readouterr().err
        assert caught.value.code == 2, said
        assert said.count("\n") == 1
        return said.removeprefix("policyscope: ").rstrip("\n")

    return refuse


# A run


def test_two_viewers_show_one_run_to_two_browsers_each(view: Callable[..., Viewer], run: Path) -> None:
    one, two = view(run), view(run)
    third = Viewer(one.process, one.browser.post("/link", json={}).json()["url"])
    for viewer in (one, two, third):
        manifest = viewer.browser.get("/data/manifest").json()
        assert (manifest["steps"], manifest["computes"], manifest["live"]) == (40, True, False)
        header, _ = unbundle(viewer.browser.get("/data/maps/full_grad~q~taken~~~/1").content)
        assert header["count"] == 8
    for viewer in (one, two):
        code, _, told = viewer.end()
        assert code == 0, told
        assert "Traceback" not in told


def test_it_listens_on_this_machine_alone(view: Callable[..., Viewer], run: Path) -> None:
    viewer = view(run)
    port = viewer.browser.base_url.port
    # Also an address of this machine's, which a server on all of them would answer at.
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.2:{port}/", timeout=2)
    assert httpx.get(f"http://127.0.0.1:{port}/", headers={"host": "example.org"}).status_code == 421


def test_another_agent_explains_the_same_run(view: Callable[..., Viewer], run: Path, other: Path) -> None:
    viewer = view(run, "--against", other)
    agents = viewer.browser.get("/data/manifest").json()["agents"]
    assert [told["id"] for told in agents] == ["", "b"]
    assert "other.safetensors" in agents[1]["label"]
    answer = viewer.browser.get("/data/maps/gradient~q~taken~~0~b/0")
    assert answer.status_code == 200
    code, _, told = viewer.end(signal.SIGTERM)
    assert code == 143, told
    assert "Traceback" not in told


def test_a_run_without_its_agent_is_shown_and_says_so(view: Callable[..., Viewer], run: Path, tmp_path: Path) -> None:
    record = json.loads((run / "run.json").read_text())
    alone = tmp_path / "alone"
    alone.mkdir()
    for part in ("episode.zarr", "maps.zarr"):
        (alone / part).symlink_to(run / part)
    record["options"]["agent"]["agent"] = str(tmp_path / "gone.safetensors")
    (alone / "run.json").write_text(json.dumps(record))
    viewer = view(alone)
    manifest = viewer.browser.get("/data/manifest").json()
    assert manifest["computes"] is False
    assert "the agent cannot be loaded, so what is not stored cannot be computed" in manifest["message"]
    assert viewer.browser.get(f"/data/maps/{manifest['panels'][0]['key']}/0").status_code == 200
    assert viewer.browser.get("/data/maps/full_grad~q~taken~~~/0").status_code == 404


def test_other_weights_than_those_that_played_explain_nothing(
    view: Callable[..., Viewer], run: Path, other: Path, tmp_path: Path
) -> None:
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / "episode.zarr").symlink_to(run / "episode.zarr")
    record = json.loads((run / "run.json").read_text())
    record["options"]["agent"]["agent"] = str(other)
    (tmp_path / "changed" / "run.json").write_text(json.dumps(record))
    manifest = view(tmp_path / "changed").browser.get("/data/manifest").json()
    assert manifest["computes"] is False
    assert "are not those that played" in manifest["message"]
    assert manifest["panels"] == []


def test_a_taken_port_is_told_in_one_line(refused: Callable[..., str], run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(run, "--port", port)
    assert line == (
        f"port {port} is taken, perhaps by another viewer: choose another with --port, or let --port 0 find a free one"
    )
    assert "cannot be used" in refused(run, "--port", 99999)


def test_what_cannot_be_viewed_is_told_in_one_line(
    refused: Callable[..., str], run: Path, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "nowhere" in refused("nowhere")
    assert "--steps and --rate are 0 or more" in refused(checkpoint, "--rate=-1")
    assert "no layer 9; this agent has: 1 (body.0)" in refused(checkpoint, "--layer", "9")
    assert "already holds a run" in refused(checkpoint, "--out", run)
    pong = _saved(tmp_path, "pong", 0, actions=6)
    assert "chooses among 6 actions, but breakout has 4" in refused(run, "--against", pong)
    assert not (tmp_path / "runs").exists()


def test_without_its_extra_it_says_how_to_get_it(
    refused: Callable[..., str], run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policyscope.cli.view.find_spec", lambda name: None)
    assert refused(run) == "the viewer needs starlette: pip install 'policyscope[view]'"


# A live game


def test_what_was_seen_live_becomes_a_run_that_can_be_viewed_again(
    view: Callable[..., Viewer], checkpoint: Path, agent: Agent, tmp_path: Path
) -> None:
    viewer = view(checkpoint, "--rate", "0", "--steps", "30", "--seed", "4", "--methods", "gradient", "grad_cam")
    status = viewer.until(lambda status: status["steps"] == 30)
    assert "played 30 steps" in status["message"]
    answer = viewer.browser.post("/live", json={"do": "panels", "panels": ["full_grad~value~taken~~~"]})
    assert answer.json()["panels"] == ["full_grad~value~taken~~~"]
    code, out, told = viewer.end()
    assert code == 0, told
    assert "30 steps played and explained by 1 panel" in out
    assert "look again with: policyscope view runs/duel-4" in out
    folder = tmp_path / "runs" / "duel-4"
    played, same = Episode.open(folder), ps.play(agent, steps=30, seed=4)
    np.testing.assert_array_equal(np.asarray(played.observations), np.asarray(same.observations))
    np.testing.assert_array_equal(played.actions, same.actions)
    assert played.meta == same.meta
    maps = Maps(folder)
    assert [panel.method for panel in maps.panels] == ["full_grad"]
    assert len(maps) == 30
    assert json.loads((folder / "run.json").read_text())["options"]["agent"]["agent"] == str(checkpoint)
    again = view("runs/duel-4")
    assert again.browser.get("/data/manifest").json()["computes"] is True
    assert view(checkpoint, "--seed", "4").until(lambda status: status["steps"] > 0)
    assert (tmp_path / "runs" / "duel-4-2" / "episode.zarr").is_dir()


@pytest.mark.parametrize("waiting", [False, True])
def test_asked_to_end_it_leaves_a_valid_run_and_keeps_nobody_waiting(
    view: Callable[..., Viewer], checkpoint: Path, tmp_path: Path, waiting: bool
) -> None:
    viewer = view(checkpoint, "--rate", "0", "--out", "seen")
    viewer.until(lambda status: status["steps"] > 5)
    viewer.browser.post("/live", json={"do": "branch", "step": 2, "action": 1})
    pending = None
    if waiting:
        viewer.browser.post("/live", json={"do": "pause"})
        time.sleep(0.3)
        seen = viewer.browser.get("/live").json()["version"]
        address, cookies = f"{viewer.browser.base_url}live?seen={seen}", dict(viewer.browser.cookies)
        script = f"import httpx; httpx.get({address!r}, cookies={cookies!r})"
        pending = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
        time.sleep(1)
    began = time.monotonic()
    code, _, told = viewer.end(signal.SIGTERM)
    assert code == 143, told
    assert time.monotonic() - began < 8
    assert "seen is a valid run with" in " ".join(told.split())
    assert "Traceback" not in told
    assert Episode.open(tmp_path / "seen").meta["complete"]
    assert Episode.open(tmp_path / "seen" / "branches" / "1").meta["branch"] == {"parent": 0, "from": 2}
    assert (tmp_path / "seen" / "run.json").exists()
    if pending is not None:
        pending.wait(timeout=10)


def test_ctrl_c_while_it_explains_leaves_the_maps_so_far(
    view: Callable[..., Viewer], checkpoint: Path, tmp_path: Path
) -> None:
    viewer = view(checkpoint, "--rate", "0", "--out", "seen", "--methods", "gradient")
    viewer.until(lambda status: status["steps"] > 300)
    viewer.browser.post("/live", json={"do": "panels", "panels": ["noise_saliency~q~all~~0~"]})
    viewer.process.send_signal(signal.SIGINT)
    end = time.monotonic() + 60
    while not read_count(tmp_path / "seen" / "maps.zarr") and time.monotonic() < end:
        time.sleep(0.05)
    code, _, told = viewer.end()
    assert code == 130, told
    assert "Traceback" not in told
    played, maps = Episode.open(tmp_path / "seen"), Maps(tmp_path / "seen")
    assert 0 < len(maps) < len(played)
    assert f"with maps of the first {len(maps)} steps" in " ".join(told.split())
