from __future__ import annotations

import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from policyscope.errors import PolicyscopeError, RunError
from policyscope.rendering import render_run, write_index
from policyscope.rendering.series import curve_path
from policyscope.saliency.maps import Panel

HOSTILE = '<script>alert("x")</script>&\'"><img src=x onerror=y>'
VOID = {"meta", "link", "img", "br", "input", "path"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.links += [value for name, value in attributes if name in ("src", "href", "poster", "srcset", "data")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module")
def run(tmp_path_factory, make_episode, make_maps):
    folder = tmp_path_factory.mktemp("run")
    return folder, render_run(folder, make_episode(), make_maps(), video=_has_av())


def _has_av():
    try:
        import av  # noqa: F401
    except ImportError:
        return False
    return True


def test_a_run_is_rendered_whole_and_leaves_nothing_else_behind(run):
    folder, written = run
    assert {path.name for path in written} == {path.name for path in folder.iterdir()}
    assert {"video.gif", "sheet.png", "index.html"} <= {path.name for path in written}
    assert written[-1].name == "index.html"


def test_the_page_is_well_formed_and_links_only_to_files_of_the_run(run):
    folder, _ = run
    text = (folder / "index.html").read_text()
    page = Page(text)
    assert page.open == []
    for link in page.links:
        assert link == "data:," or (folder / link).exists()
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)


def test_every_picture_has_a_text_for_those_who_do_not_see_it(run):
    folder, _ = run
    page = Page((folder / "index.html").read_text())
    for tag, attributes in page.tags:
        if tag == "img":
            assert attributes["alt"]
        if tag in ("video", "svg"):
            assert attributes["aria-label"]


def test_nothing_that_an_agent_is_called_becomes_markup(tmp_path, make_episode, make_maps):
    (tmp_path / "run.json").write_text('{"command": "x </pre><script>bad</script>"}')
    hostile = {"source": HOSTILE, "fingerprint": HOSTILE, "facts": {HOSTILE: HOSTILE}}
    episode = make_episode(agent=hostile, game=HOSTILE, policy=HOSTILE, actions=[HOSTILE] * 3)
    maps = make_maps(Panel(HOSTILE, HOSTILE, action=HOSTILE, layer=HOSTILE))
    maps.meta = {"notes": [HOSTILE], HOSTILE: HOSTILE}
    render_run(tmp_path, episode, maps, video=False, gif=False)
    text = (tmp_path / "index.html").read_text()
    page = Page(text)
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert "onerror" not in {name for _, attributes in page.tags for name in attributes}
    assert "&lt;script&gt;alert" in text


def test_every_method_is_explained_in_a_sentence(tmp_path, make_episode, make_maps):
    page = write_index(tmp_path, make_episode(), make_maps()).read_text()
    assert "Gradient" in page
    assert "a slightly brighter pixel raises" in page
    assert "Grad-CAM" in page
    assert "conv1" in page
    assert "t-0" not in page


def test_the_page_shows_only_pictures_that_belong_to_it(tmp_path, make_episode, make_maps):
    (tmp_path / "video.mp4").write_bytes(b"of an older look")
    render_run(tmp_path, make_episode(), make_maps(), video=False, gif=False, sheet=False)
    assert "<video" not in (tmp_path / "index.html").read_text()


def test_without_pyav_the_gif_takes_the_videos_place_and_the_page_says_so(
    tmp_path, make_episode, make_maps, monkeypatch
):
    monkeypatch.setitem(sys.modules, "av", None)
    told = []
    written = render_run(
        tmp_path, make_episode(), make_maps(), gif=False, sheet=False, progress=lambda *report: told.append(report[2])
    )
    assert [path.name for path in written] == ["video.gif", "index.html"]
    assert any("policyscope[video]" in text for text in told)
    assert "The GIF takes its place" in (tmp_path / "index.html").read_text()


def test_an_explanation_that_was_stopped_is_shown_as_far_as_it_goes(tmp_path, make_episode, make_maps):
    render_run(tmp_path, make_episode(20), make_maps(n=12), video=False, gif=False)
    assert "The maps cover the first 12 of 20 steps" in (tmp_path / "index.html").read_text()


def test_nothing_to_show_and_unknown_options_are_told_in_one_line(tmp_path, make_episode, make_maps):
    with pytest.raises(RunError, match="no explained steps to show"):
        render_run(tmp_path, make_episode(12), make_maps(n=0))
    with pytest.raises(PolicyscopeError, match="no option 'stile'"):
        render_run(tmp_path, make_episode(), make_maps(), stile="clear")


def test_curves_go_through_their_values_and_break_where_they_are_not_finite():
    points = re.findall(r"([ML])([\d.]+) ([\d.]+)", curve_path(np.array([0.0, 1.0, np.nan, 0.5]), 80))
    assert points == [("M", "125.0", "77.0"), ("L", "375.0", "3.0"), ("M", "875.0", "40.0")]


def test_long_curves_are_thinned_but_keep_their_peaks():
    values = np.zeros(100_000)
    values[54_321] = 1
    path = curve_path(values, 80)
    assert path.count("L") < 2001
    assert " 3.0" in path
