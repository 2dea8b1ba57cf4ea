"""Recordings for Rerun, read back by its own reader."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import cv2
import numpy as np
import pytest
import torch

import policyscope as ps
from policyscope.agents.networks.dqn import DuelingDQN
from policyscope.cli import main
from policyscope.errors import MissingExtraError
from policyscope.rendering.rerun import write_rerun
from policyscope.viewer.series import columns

N = 70
NAMES = ("NOOP", "FIRE", "RIGHT", "LEFT")


needs_rerun = pytest.mark.skipif(find_spec("rerun") is None, reason="Rerun's SDK is not installed")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """An explained episode with screens: more steps than are sent at once, fewer maps than steps."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    agent = ps.Agent(DuelingDQN(4).eval(), ps.Protocol(game="breakout"), ("q", "value", "advantage"), NAMES)
    episode = ps.Episode.from_arrays(
        rng.integers(0, 256, (N, 4, 84, 84), dtype=np.uint8),
        np.arange(N) % 4,
        rewards=np.arange(N) % 3,
        screens=rng.integers(0, 256, (N, 210, 160, 3), dtype=np.uint8),
        streams={"q": rng.normal(size=(N, 4))},
        protocol=agent.protocol,
    )
    episode.meta["actions"] = list(NAMES)
    maps = ps.explain(agent, episode, ["gradient", "grad_cam"], action="RIGHT-LEFT")
    return episode, maps


def read(path):
    """Entity -> (steps, column -> values), in the order of the steps."""
    from rerun import chunk

    rows = {}
    for part in chunk.RrdReader(str(path)).stream().collect().stream():
        if "step" in part.timeline_names:
            batch = part.to_record_batch()
            batch = batch.select([name for name in batch.schema.names if name == "step" or ":" in name])
            rows.setdefault(part.entity_path.replace("\\", ""), []).extend(batch.to_pylist())
    found = {}
    for entity, unordered in rows.items():
        ordered = sorted(unordered, key=lambda row: row["step"])
        names = [name for name in ordered[0] if ":" in name]
        found[entity] = ([row["step"] for row in ordered], {name: [row[name] for row in ordered] for name in names})
    return found


def picture(blob):
    return cv2.imdecode(np.frombuffer(bytes(blob), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@needs_rerun
def test_screens_maps_numbers_and_actions_are_on_the_timeline_of_steps(run, tmp_path):
    episode, maps = run
    series = {(c.group, c.name): c.values for c in columns(episode, maps)}
    series["half", "known"] = np.where(np.arange(N) < 35, 1.0, np.nan)
    write_rerun(tmp_path / "run.rrd", episode, maps, series, raw=True)
    found = read(tmp_path / "run.rrd")
    steps, values = found["/screen"]
    assert steps == list(range(N))
    assert np.array_equal(picture(values["EncodedImage:blob"][66][0])[:, ::2], episode.screens[66])
    for name in ("Gradient q RIGHT-LEFT t-0", "Grad-CAM q RIGHT-LEFT body.0"):
        steps, values = found[f"/maps/{name}"]
        assert steps == list(range(N))
        assert picture(values["EncodedImage:blob"][3][0]).shape == (210, 320, 3)
    steps, values = found["/raw/Grad-CAM q RIGHT-LEFT body.0"]
    tensor = values["Tensor:data"][5][0]
    assert list(tensor["shape"]) == [20, 20]
    assert np.array_equal(np.reshape(tensor["buffer"], (20, 20)), maps["grad_cam"].stored[5])
    steps, values = found["/series/stream:q/LEFT"]
    assert np.allclose([v[0] for v in values["Scalars:scalars"]], episode.streams["q"][:, 3])
    assert found["/series/half/known"][0] == list(range(35))
    assert "/series/lags/t-3" in found
    assert [v[0] for v in found["/action"][1]["TextLog:text"]][:5] == ["NOOP", "FIRE", "RIGHT", "LEFT", "NOOP"]


@needs_rerun
def test_the_command_exports_a_run(run, tmp_path, capsys, monkeypatch):
    episode, maps = run
    monkeypatch.setattr("policyscope.cli.export.recorded_elsewhere", lambda folder: episode)
    main(["export", str(maps.path.parent), "--rerun", str(tmp_path / "run.rrd")])
    assert "rerun" in capsys.readouterr().out
    found = read(tmp_path / "run.rrd")
    assert not any(name.startswith("/raw") for name in found)
    assert "/series/disagreement/disagreement" in found


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "nothing to export to; name a file: --rerun FILE.rrd"),
        (["--rerun", "run.html"], "Rerun's recordings end in .rrd: --rerun run.rrd"),
        (["--rerun", "nowhere/run.rrd"], "there is no folder nowhere"),
    ],
)
def test_a_mistake_is_one_line(run, words, line, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["export", str(run[1].path.parent), *words])
    assert caught.value.code == 2
    assert capsys.readouterr().err == f"policyscope: {line}\n"


def test_without_the_sdk_the_extra_is_named_and_nothing_is_left(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(MissingExtraError, match=r"policyscope\[rerun\]"):
        write_rerun(tmp_path / "run.rrd", *run, {})
    assert not list(tmp_path.iterdir())
