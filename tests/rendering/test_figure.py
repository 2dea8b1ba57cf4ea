"""Figures of matplotlib's, as files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from policyscope.errors import MissingExtraError, RunError
from policyscope.rendering.figure import drawing, of_run

TOLD = {"extra": "evaluate", "purpose": "drawing a line"}


def draw(*paths: Path, **options) -> None:
    with drawing(*paths, width=2, height=1, **TOLD, **options) as drawn:
        drawn.add_subplot().plot([0, 1], [1, 0])


def test_a_figure_is_drawn_once_for_all_its_files(tmp_path):
    pytest.importorskip("matplotlib")
    draw(*of_run(tmp_path, "line"), tmp_path / "line.svg", dpi=100)
    png, pdf = tmp_path / "figures" / "line.png", tmp_path / "figures" / "line.pdf"
    assert Image.open(png).size == (200, 100)
    assert pdf.read_bytes().startswith(b"%PDF")
    assert "<svg" in (tmp_path / "line.svg").read_text()
    assert sorted(path.name for path in png.parent.iterdir()) == ["line.pdf", "line.png"]


def test_a_drawing_that_fails_leaves_what_was_there(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "line.png"
    draw(path)
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError), drawing(path, width=2, height=1, **TOLD):
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "figures").write_text("a file")
    with pytest.raises(RunError, match=r"cannot write to .*figures"):
        draw(*of_run(tmp_path, "line"))


def test_the_process_keeps_its_own_backend_and_no_window_opens(tmp_path):
    pytest.importorskip("matplotlib")
    script = (
        "import sys; from pathlib import Path; from policyscope.rendering.figure import drawing\n"
        "with drawing(Path(sys.argv[1]), width=2, height=1, extra='evaluate', purpose='drawing') as drawn:\n"
        "    drawn.add_subplot()\n"
        "import matplotlib\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.get_backend() == 'svg'\n"
    )
    environment = {"MPLBACKEND": "svg", "MPLCONFIGDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "line.png")], check=True, env=environment)


def test_a_missing_matplotlib_is_told_with_what_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"drawing a line needs matplotlib: .*policyscope\[evaluate\]"):
        draw(tmp_path / "line.png")
