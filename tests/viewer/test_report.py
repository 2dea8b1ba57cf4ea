"""A report holds what is worth most, within its size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import policyscope as ps
from policyscope.cli import main
from policyscope.errors import RunError
from policyscope.viewer.document import Document
from policyscope.viewer.report import WINDOW, by_worth, write_report


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    agent = ps.load_agent("zoo:breakout-dddqn")
    ps.explain(agent, ps.play(agent, 100, seed=2, out=folder), methods=["gradient", "grad_cam"], out=folder)
    return folder


@given(st.integers(1, 500), st.lists(st.tuples(st.integers(0, 7999), st.sampled_from("abc")), max_size=20))
def test_every_window_comes_once_and_the_moments_come_first(count: int, moments: list[tuple[int, str]]) -> None:
    markers = [{"step": step % (count * WINDOW), "kind": kind, "text": ""} for step, kind in moments]
    order = by_worth(count, markers)
    assert sorted(order) == list(range(count))
    wanted = {0, *(marker["step"] // WINDOW for marker in markers)}
    assert set(order[: len(wanted)]) == wanted


def test_without_moments_any_first_part_of_the_order_is_spread_over_the_episode() -> None:
    order = by_worth(256, [])
    for part in (8, 32, 100):
        assert np.diff(sorted([*order[:part], 256])).max() <= 2 * 256 / part + 1


@pytest.mark.parametrize("megabytes", [0.5, 0.7, 15.0])
def test_a_report_is_never_larger_than_was_asked_for(run: Path, tmp_path: Path, megabytes: float) -> None:
    maps = ps.Maps(run)
    contents = write_report(tmp_path / "report.html", Document(maps.episode, maps), megabytes)
    assert (tmp_path / "report.html").stat().st_size <= megabytes * 1e6
    whole = contents.windows is None and contents.levels == 127
    assert whole == (megabytes == 15.0)
    assert bool(contents.told) == (megabytes < 15.0)


def test_a_size_that_holds_nothing_is_refused_in_a_line(run: Path, tmp_path: Path) -> None:
    maps = ps.Maps(run)
    with pytest.raises(RunError, match="not even 16 steps"):
        write_report(tmp_path / "report.html", Document(maps.episode, maps), 0.2)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_into_the_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["report", str(run)])
    assert (run / "report.html").stat().st_size > 500_000
    assert "report.html" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["report", str(run / "nowhere")])
    assert ended.value.code == 2
    assert "no folder" in capsys.readouterr().err


def test_an_episode_explained_in_part_is_reported_in_part(run: Path, tmp_path: Path) -> None:
    agent, episode = ps.load_agent("zoo:breakout-dddqn"), ps.Episode.open(run)
    maps = ps.explain(agent, episode[:30], methods=["gradient"])
    contents = write_report(tmp_path / "part.html", Document(episode[:30], maps))
    assert contents.windows is None
