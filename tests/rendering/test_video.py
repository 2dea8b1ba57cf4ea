from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from policyscope.agents.protocol import Protocol
from policyscope.errors import MissingExtraError, PolicyscopeError
from policyscope.rendering.board import Board
from policyscope.rendering.look import Look
from policyscope.rendering.overlay import rgb
from policyscope.rendering.sheet import write_sheet
from policyscope.rendering.video import write_gif, write_mp4
from policyscope.saliency.maps import Panel


@pytest.fixture
def board(make_episode, make_maps):
    return Board(make_episode(), make_maps(), Look())


def test_an_mp4_has_every_step_at_the_right_size_and_pace_and_starts_fast(tmp_path, board):
    av = pytest.importorskip("av")
    path = tmp_path / "video.mp4"
    seen = []
    assert write_mp4(path, board, 8, lambda *report: seen.append(report)) == 12
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(stream)]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 8
    assert len(frames) == 12
    assert frames[0].shape[:2] == board.size
    assert board.size[0] % 2 == board.size[1] % 2 == 0
    # luminance survives the encoder; colours are halved in resolution by yuv420p
    expected = rgb(board.frames(np.array([7]))[0]).astype(float).mean(axis=-1)
    assert np.abs(frames[7].mean(axis=-1) - expected).mean() < 6
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert seen[-1][:2] == (12, 12)
    assert [p.name for p in tmp_path.iterdir()] == ["video.mp4"]


def test_a_gif_has_all_steps_of_a_short_episode_and_loops(tmp_path, board):
    frames, every = write_gif(tmp_path / "video.gif", board, 10)
    assert (frames, every) == (12, 1)
    with Image.open(tmp_path / "video.gif") as film:
        assert film.n_frames == 12
        assert film.info["duration"] == 100
        assert film.info["loop"] == 0


def test_a_long_gif_skips_steps_evenly_says_so_and_keeps_its_pace(tmp_path, board):
    frames, every = write_gif(tmp_path / "video.gif", board, 10, most=5)
    assert (frames, every) == (4, 3)
    with Image.open(tmp_path / "video.gif") as film:
        assert film.n_frames == 4
        assert film.info["duration"] == 300


def test_a_missing_pyav_is_told_in_one_line_and_leaves_no_file(tmp_path, board, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'policyscope\[video\]'"):
        write_mp4(tmp_path / "video.mp4", board)
    assert not list(tmp_path.iterdir())


def test_a_failure_while_drawing_keeps_the_old_file(tmp_path, board, monkeypatch):
    pytest.importorskip("av")
    path = tmp_path / "video.mp4"
    path.write_bytes(b"old")

    def fail(steps):
        raise RuntimeError("broken disk")

    monkeypatch.setattr(board, "frames", fail)
    with pytest.raises(RuntimeError, match="broken disk"):
        write_mp4(path, board)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["video.mp4"]


def test_frames_do_not_depend_on_the_batch_they_are_drawn_in(board):
    together = np.concatenate(list(board.batches(np.arange(12))))
    for step in (0, 7, 11):
        np.testing.assert_array_equal(together[step], board.frames(np.array([step]))[0])


def test_steps_can_be_drawn_in_any_selection(board):
    chosen = board.frames(np.array([0, 5, 6]))
    np.testing.assert_array_equal(chosen[1:], board.frames(np.array([5, 6])))


def test_a_panel_without_gradient_looks_the_same_whatever_the_normalisation(make_episode, make_maps):
    maps = make_maps(Panel("gradient", "q"))
    maps[Panel("gradient", "q")][3] = 0
    episode = make_episode()
    drawn = [Board(episode, maps, Look(normalise=scope)).frames(np.array([3])) for scope in ("frame", "paper_episode")]
    np.testing.assert_array_equal(drawn[0], drawn[1])


@pytest.mark.parametrize(
    "protocol",
    [
        Protocol(game="pong", size=(84, 84), stack=4),
        Protocol(game="pong", size=(40, 30), stack=3, layout="time"),
        Protocol(game="pong", size=(64, 64), stack=2, colour="rgb", layout="channels_last"),
    ],
    ids=lambda protocol: protocol.layout,
)
def test_without_screens_the_newest_picture_of_the_observation_is_the_background(make_episode, make_maps, protocol):
    episode = make_episode(4, protocol=protocol, screens=None)
    board = Board(episode, make_maps(Panel("gradient", "q"), n=4, size=protocol.size), Look())
    across, down = board.layout.scale
    assert across == down
    assert board.layout.picture == (protocol.size[0] * down, protocol.size[1] * across)
    newest = episode.observations[2]
    newest = {"channels": lambda o: o[-1], "time": lambda o: o[-1, 0], "channels_last": lambda o: o[..., -3:]}[
        protocol.layout
    ](newest)
    expected = (newest if newest.ndim == 3 else newest[..., None].repeat(3, -1)).repeat(down, 0).repeat(across, 1)
    frame = rgb(board.frames(np.array([2]))[0])
    np.testing.assert_array_equal(frame[board.place("screen")], expected)


def test_a_sheet_has_the_steps_asked_for_and_refuses_others(tmp_path, make_episode, make_maps):
    moments = write_sheet(tmp_path / "sheet.png", make_episode(), make_maps(), steps=[4, 9])
    assert [moment.step for moment in moments] == [4, 9]
    assert moments[0].reason == "reward +4"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.format == "PNG"
        assert sheet.size[0] > 3 * 320
    with pytest.raises(PolicyscopeError, match="step 12 is outside the episode's 0 to 11"):
        write_sheet(tmp_path / "sheet.png", make_episode(), make_maps(), steps=[12])


def test_options_that_do_not_exist_are_told_in_one_line():
    with pytest.raises(PolicyscopeError, match="no palette 'jet'"):
        Look(palette="jet")
    with pytest.raises(PolicyscopeError, match="fps 0 is not between 1 and 60"):
        Look(fps=0)
