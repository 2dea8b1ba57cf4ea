"""The page in a real browser, from one file: what it draws, what it answers, and that it asks nobody for anything."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests_browser import Opened, chromium, needs_browser, opened

import policyscope as ps
from policyscope.rendering.normalise import episode_statistics, normalise
from policyscope.viewer.document import Document
from policyscope.viewer.extras import Extras
from policyscope.viewer.panels import key_of
from policyscope.viewer.report import write_report

pytestmark = needs_browser

METHODS = ["gradient", "guided_backprop", "grad_cam", "full_grad_pp"]
STEPS = 70


@pytest.fixture(scope="module")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def maps() -> ps.Maps:
    agent = ps.load_agent("zoo:breakout-dddqn")
    return ps.explain(agent, ps.play(agent, STEPS, seed=3), methods=METHODS, lag=(0, 2))


@pytest.fixture(scope="module")
def report(maps: ps.Maps, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("report") / "report.html"
    table = {"title": "Scores <b>", "columns": ["method", "score"], "rows": [["gradient", 0.25]]}
    other = {"title": "Others", "columns": ["method", "score"], "rows": [["none", None]], "note": "Of nothing."}
    notes = [{"step": 5, "text": "here </script> it begins"}]
    contents = write_report(path, Document(maps.episode, maps, extras=Extras(tables=[table, other], notes=notes)))
    assert contents.windows is None
    return path.as_uri()


@pytest.fixture
def page(browser: Any, report: str) -> Any:
    found = opened(browser, report)
    yield found
    assert found.errors == []
    outside = [url for url in found.requests if not url.startswith(("file:", "blob:", "data:"))]
    assert outside == []
    assert sum(url.startswith("file:") for url in found.requests) == 1
    found.page.context.close()


def card(page: Opened, index: int) -> Any:
    return page.page.locator("article.panel").nth(index)


def picture(page: Opened, index: int) -> bytes:
    return bytes(page.do("i => [...policyscope.panels.cards[i].context.getImageData(0, 0, 200, 120).data]", index))


# -- scrubbing ----------------------------------------------------------------------------------------------------


def test_keys_wheel_slider_and_timeline_move_through_the_episode(page: Opened) -> None:
    assert page.step == 0
    page.page.keyboard.press("ArrowRight")
    assert page.step == 1
    page.page.keyboard.press("Shift+ArrowRight")
    assert page.step == 11
    page.page.keyboard.press("End")
    assert page.step == STEPS - 1
    page.page.keyboard.press("Home")
    assert page.step == 0
    card(page, 1).locator("canvas").hover()
    page.page.mouse.wheel(0, 100)
    page.until("policyscope.state.step === 1")
    page.page.locator("input.scrub").fill("40")
    assert page.step == 40
    box = page.page.locator("canvas.lanes").bounding_box()
    place = page.do("policyscope.timeline.x(20)")
    page.page.mouse.click(box["x"] + place, box["y"] + 60)
    assert page.step == 20


def test_a_drag_over_the_timeline_scrubs_and_with_shift_makes_a_loop(page: Opened) -> None:
    box = page.page.locator("canvas.lanes").bounding_box()
    places = [box["x"] + page.do(f"policyscope.timeline.x({row})") for row in (10, 25)]
    page.page.mouse.move(places[0], box["y"] + 60)
    page.page.mouse.down()
    page.page.mouse.move(places[1], box["y"] + 60, steps=4)
    page.page.mouse.up()
    assert page.step == 25
    page.page.keyboard.down("Shift")
    page.page.mouse.move(places[0], box["y"] + 60)
    page.page.mouse.down()
    page.page.mouse.move(places[1], box["y"] + 60, steps=4)
    page.page.mouse.up()
    page.page.keyboard.up("Shift")
    assert page.do("policyscope.state.loop") == [10, 25]


def test_playing_shows_every_step_of_a_loop_and_stays_in_it(page: Opened) -> None:
    page.do("policyscope.state.set({loop: [10, 14], step: 10, rate: 60})")
    page.do(
        """globalThis.seen = new Set(); policyscope.state.on(() => seen.add(policyscope.state.step));
        policyscope.toggle()"""
    )
    page.until("seen.size >= 5")
    page.page.keyboard.press("Space")
    assert page.do("policyscope.playing") is False
    assert page.do("[...seen].sort()") == [10, 11, 12, 13, 14]


def test_playing_ends_with_the_episode(page: Opened) -> None:
    page.do("policyscope.jump(66); policyscope.state.set({rate: 60}); policyscope.toggle()")
    page.until(f"policyscope.state.step === {STEPS - 1} && !policyscope.playing")


# -- what is drawn ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_values_drawn_are_the_maps(page: Opened, maps: ps.Maps, method: str) -> None:
    panel = maps.select(method=method)[0]
    page.do("key => policyscope.state.set({panels: [{key}]})", key_of(panel))
    for step in (0, 33, STEPS - 1):
        page.at(step)
        drawn = np.array(page.do("[...policyscope.painter.values]")).reshape(84, 84)
        wanted = maps[panel][step]
        largest = np.abs(maps[panel].stored[step]).max()
        # A byte a value, as signed roots: a step is widest at the largest values, 2/127 of it.
        assert np.abs(drawn - wanted).max() <= largest * 1.02 / 127 + 1e-12


@pytest.mark.parametrize(
    ("norm", "scope", "reference"),
    [
        ("frame", "frame", "q995"),
        ("max", "frame", "max"),
        ("episode", "episode", "q995"),
        ("paper", "paper", "q995"),
        ("paper_episode", "paper_episode", "q995"),
    ],
)
@pytest.mark.parametrize("method", ["gradient", "grad_cam"])
def test_scales_are_those_of_the_rendered_film(
    page: Opened, maps: ps.Maps, norm: str, scope: Any, reference: Any, method: str
) -> None:
    panel = maps.select(method=method)[0]
    page.do("([key, norm]) => policyscope.state.set({panels: [{key}], norm, gain: 2})", [key_of(panel), norm])
    page.at(20)
    if norm.endswith("episode"):
        page.until("policyscope.store.episode(policyscope.state.panels[0].key) !== undefined")
    found = page.do(
        """() => { const {painter, panels, store, state} = policyscope; const key = state.panels[0].key;
        const {scale, clipped} = painter.map(panels.cards[0].context, store.chunk(`maps/${key}`, 20), 20,
        panels.cards[0].signed, state.norm, store.episode(key), 2, panels.coloursOf({}, true), true);
        return {scale, clipped}; }"""
    )
    wanted = normalise(maps[panel][20:21], panel.signed, scope, episode_statistics(maps, panel), 2.0, reference)
    assert found["scale"] == pytest.approx(float(wanted.scale[0]), rel=1e-3)
    assert found["clipped"] == pytest.approx(float(wanted.clipped[0]), abs=0.004)


def test_the_colours_of_a_panel_lie_on_its_palette(page: Opened) -> None:
    """Full strength is the palette's last colour, zero is transparent, and the paper's is half red or green."""
    blue = page.do("[...new Uint8Array(policyscope.panels.coloursOf({opacity: 1}, true).buffer)]")
    assert blue[:3] == [0xD0, 0xEC, 0xFF]
    assert blue[-4:-1] == [0xFF, 0xE9, 0xAD]
    assert blue[4 * 256 + 3] == 0
    paper = page.do("[...new Uint8Array(policyscope.panels.coloursOf({opacity: 0.92, palette: 'paper'}, true).buffer)]")
    assert paper[:3] == [255, 0, 0]
    assert paper[-4:-1] == [0, 255, 0]
    assert paper[-1] == pytest.approx(127, abs=2)


@pytest.mark.parametrize(
    "change",
    [{"gain": 4}, {"opacity": 0.3}, {"ground": "colour"}, {"palette": "paper"}, {"norm": "paper"}, {"step": 30}],
)
def test_every_setting_changes_the_picture_at_once(page: Opened, change: dict[str, Any]) -> None:
    before = picture(page, 2)
    assert any(before[::4])
    page.do("change => policyscope.state.set(change)", change)
    page.ready()
    page.do("policyscope.drawNow()")
    assert picture(page, 2) != before


def test_a_panel_can_have_a_look_of_its_own(page: Opened) -> None:
    others = picture(page, 2)
    assert any(others[::4])
    page.do("policyscope.state.setPanel(1, {gain: 1, opacity: 0.9, norm: 'frame', palette: 'safe'})")
    page.do("policyscope.state.set({selected: 1}); policyscope.controls.change('gain', 5); policyscope.drawNow()")
    assert picture(page, 2) == others
    assert page.do("[policyscope.state.gain, policyscope.state.panels[1].gain]") == [1, 5]


def test_what_the_network_saw_is_shown_lag_by_lag(page: Opened, maps: ps.Maps) -> None:
    page.do("policyscope.state.set({panels: [{key: 'input~~~~2~'}]})")
    page.at(40)
    drawn = page.do(
        """() => { const {store, painter} = policyscope; const chunk = store.chunk('inputs', 40);
        const made = document.createElement('canvas'); made.width = made.height = 84;
        const index = chunk.before === null ? (40 - chunk.first) * chunk.lags + 2 : 40 - chunk.first + chunk.before - 2;
        made.getContext('2d').drawImage(chunk.bitmap, (index % chunk.columns) * 84,
        Math.floor(index / chunk.columns) * 84, 84, 84, 0, 0, 84, 84);
        return [...made.getContext('2d').getImageData(0, 0, 84, 84).data].filter((_, i) => i % 4 === 0); }"""
    )
    assert np.array_equal(np.array(drawn).reshape(84, 84), maps.episode.observations[40][-3])


def test_the_value_under_the_pointer_is_told_in_every_panel(page: Opened, maps: ps.Maps) -> None:
    page.at(12)
    page.do("policyscope.point({x: 50.2, y: 70.9}); policyscope.drawNow()")
    text = card(page, 1).locator(".told").inner_text()
    wanted = float(maps[maps.select(method="gradient")[0]][12, 70, 50])
    scale = float(np.abs(maps[maps.select(method="gradient")[0]][12]).max())
    assert float(text.removeprefix("= ")) == pytest.approx(wanted, abs=0.012 * scale)


# -- panels -------------------------------------------------------------------------------------------------------


def test_panels_are_added_changed_moved_enlarged_and_removed(page: Opened) -> None:
    count = page.do("policyscope.state.panels.length")
    page.page.keyboard.press("a")
    assert page.do("policyscope.state.panels.length") == count + 1
    card(page, 1).locator("select.method").select_option("full_grad_pp")
    assert page.do("policyscope.state.panels[1].key").startswith("full_grad_pp~")
    before = page.do("policyscope.state.panels.map(p => p.key)")
    card(page, 2).locator("button.icon").click()
    card(page, 2).get_by_role("menuitem", name="Move left").click()
    after = page.do("policyscope.state.panels.map(p => p.key)")
    assert after == [before[0], before[2], before[1], *before[3:]]
    page.page.keyboard.press("e")
    assert page.do("policyscope.state.panels[policyscope.state.selected].wide") is True
    page.page.keyboard.press("Delete")
    assert page.do("policyscope.state.panels.length") == count


def test_two_panels_can_be_subtracted(page: Opened, maps: ps.Maps) -> None:
    a, b = (key_of(maps.select(method=m, lag=0)[0]) for m in ("gradient", "guided_backprop"))
    page.do("([key, minus]) => policyscope.state.set({panels: [{key, minus}]})", [a, b])
    page.at(8)
    assert page.do("policyscope.panels.cards[0].badge.textContent") == "minus Guided backprop"
    different = picture(page, 0)
    page.do("key => policyscope.state.set({panels: [{key, minus: key}]})", a)
    page.at(8)
    assert page.do("Math.max(...policyscope.painter.pixels) >>> 24") == 0
    assert picture(page, 0) != different


def test_the_lags_that_are_there_can_be_chosen_and_no_others(page: Opened) -> None:
    choices = card(page, 1).locator("select.lag option")
    assert choices.all_inner_texts() == ["t-0", "t-2"]
    card(page, 1).locator("select.lag").select_option("2")
    assert page.do("policyscope.state.panels[1].key").split("~")[4] == "2"


# -- timeline, moments, questions, notes --------------------------------------------------------------------------


def test_series_are_the_episodes_own(page: Opened, maps: ps.Maps) -> None:
    drawn = page.do("Object.fromEntries(policyscope.timeline.series.map(c => [c.group + '/' + c.name, [...c.values]]))")
    assert np.allclose(drawn["reward/reward"], maps.episode.rewards)
    assert drawn["action/action"] == maps.episode.actions.tolist()
    assert np.allclose(drawn["stream:value/value"], maps.episode.streams["value"][:, 0])
    assert np.allclose(drawn["stream:q/LEFT"], maps.episode.streams["q"][:, 3], rtol=1e-6)


def test_moments_are_jumped_to(page: Opened) -> None:
    steps = sorted(set(page.do("[...policyscope.manifest.markers, ...policyscope.notes].map(m => m.step)")))
    assert len(steps) > 3
    page.do("policyscope.jump(0)")
    page.page.keyboard.press("]")
    assert page.step == next(step for step in steps if step > 0)
    page.page.get_by_role("tab", name="Moments").click()
    button = page.page.locator(".moments button").first
    button.click()
    assert page.step == int(re.match(r"\d+", button.inner_text())[0])


def test_steps_at_which_a_box_is_looked_at_are_those_of_the_maps(page: Opened, maps: ps.Maps) -> None:
    panel = maps.select(method="guided_backprop", lag=0)[0]
    page.do(
        "key => policyscope.state.set({panels: [{key}], selected: 0, box: [60, 20, 20, 40], tab: 'ask'})", key_of(panel)
    )
    page.page.get_by_role("button", name="Find such steps").click()
    page.until("!!document.querySelector('.chips') || document.querySelector('#page-ask .error')")
    size = np.abs(np.asarray(maps[panel]))
    shares = size[:, 60:80, 20:60].sum((1, 2)) / size.sum((1, 2))
    found = {int(text) for text in page.page.locator(".chips button").all_inner_texts()}
    assert found >= set(np.flatnonzero(shares > 0.31).tolist())
    assert found <= set(np.flatnonzero(shares > 0.29).tolist())


def test_a_box_is_drawn_with_the_mouse(page: Opened) -> None:
    box = card(page, 1).locator("canvas").bounding_box()
    page.page.mouse.move(box["x"] + 40, box["y"] + 60)
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 120, box["y"] + 130, steps=5)
    page.page.mouse.up()
    _, _, height, width = page.do("policyscope.state.box")
    assert height > 10
    assert width > 10
    assert page.do("policyscope.state.tab") == "ask"
    page.page.keyboard.press("Escape")
    assert page.do("policyscope.state.box") is None


def test_notes_travel_in_a_copy_of_the_file(page: Opened, browser: Any, tmp_path: Path) -> None:
    page.at(9)
    page.page.get_by_role("tab", name="Notes").click()
    page.page.locator("textarea").fill("the ball <b>is lost</b>")
    page.page.get_by_role("button", name="Add to this step").click()
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name=re.compile("Save a copy")).click()
    copy = tmp_path / "copy.html"
    download.value.save_as(copy)
    again = opened(browser, copy.as_uri())
    assert again.do("policyscope.notes") == [
        {"step": 5, "text": "here </script> it begins"},
        {"step": 9, "text": "the ball <b>is lost</b>"},
    ]
    assert again.errors == []


def test_tables_of_other_commands_are_read_in_the_report(page: Opened) -> None:
    page.page.get_by_role("tab", name="Results").click()
    page.page.get_by_role("button", name="Scores <b>").click()
    reader = page.page.get_by_role("dialog", name="tables and figures")
    assert reader.locator("td").all_inner_texts() == ["gradient", "0.25"]
    page.page.keyboard.press("ArrowDown")
    assert reader.locator("td").all_inner_texts() == ["none", "\u2013"]
    assert "Of nothing." in reader.inner_text()
    step = page.step
    page.page.keyboard.press("End")
    assert page.step == step
    page.page.keyboard.press("Escape")
    assert not reader.is_visible()


# -- files, addresses, people -------------------------------------------------------------------------------------


def test_a_link_opens_the_same_view(page: Opened, browser: Any, report: str) -> None:
    page.do(
        """() => { const {state} = policyscope; state.set({step: 31, norm: 'paper', gain: 2.5, ground: 'colour',
        palette: 'paper', loop: [5, 40], box: [1, 2, 30, 40], theme: 'dark', tab: 'ask'});
        state.setPanel(1, {wide: true, gain: 3, norm: 'frame', opacity: 0.5, palette: 'viridis'});
        state.setPanel(2, {minus: state.panels[1].key}); }"""
    )
    page.until("location.hash.includes('step=31')")
    other = opened(browser, page.do("location.href"))
    shown = "(({listeners, ...values}) => values)(policyscope.state)"
    assert other.do(shown) == page.do(shown)
    assert other.errors == []


def test_an_address_that_makes_no_sense_opens_all_the_same(browser: Any, report: str) -> None:
    found = opened(browser, f"{report}#step=99999&gain=x&box=1&panels=gradient~~~,%3Cb%3E&loop=a_b&norm=none&hidden=")
    assert found.step == STEPS - 1
    assert found.do("policyscope.state.gain") == 1
    assert found.errors == []


def test_png_and_gif_of_the_view_are_saved(page: Opened, tmp_path: Path) -> None:
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="PNG").click()
    download.value.save_as(tmp_path / "view.png")
    with Image.open(tmp_path / "view.png") as image:
        assert image.size[0] > 1000
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 500
    page.do("policyscope.state.set({loop: [3, 8]})")
    with page.page.expect_download() as download:
        page.page.get_by_role("button", name="GIF").click()
    download.value.save_as(tmp_path / "view.gif")
    with Image.open(tmp_path / "view.gif") as film:
        assert film.n_frames == 6
        frames = []
        for index in range(6):
            film.seek(index)
            frames.append(np.asarray(film.convert("RGB"), np.int16))
    assert all(np.abs(a - b).max() > 20 for a, b in pairwise(frames))
    assert page.step == 0


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (1920, 1080), (390, 844)])
def test_nothing_hangs_over_the_edge_at_any_width(browser: Any, report: str, width: int, height: int) -> None:
    found = opened(browser, report, width, height)
    assert found.do("document.documentElement.scrollWidth") <= width
    assert found.do("Math.min(...policyscope.panels.cards.map(c => c.canvas.clientWidth))") > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_that_can_be_pressed_has_a_name_and_text_has_contrast(
    browser: Any, report: str, scheme: str
) -> None:
    found = opened(browser, report, color_scheme=scheme)
    nameless = found.do(
        """() => [...document.querySelectorAll('button, select, input, textarea')].filter((node) =>
        !(node.getAttribute('aria-label') || node.textContent.trim() || node.title
        || node.closest('label')?.textContent.trim()))
        .map((node) => node.outerHTML.slice(0, 90))"""
    )
    assert nameless == []
    colours = found.do(
        """() => { const style = getComputedStyle(document.querySelector('.app'));
        return Object.fromEntries(['ink', 'quiet', 'card', 'ground', 'accent', 'on-accent', 'bad', 'lane'].map(
        (name) => [name, style.getPropertyValue('--' + name).trim()])); }"""
    )
    for text, ground in [
        ("ink", "card"),
        ("quiet", "card"),
        ("quiet", "ground"),
        ("on-accent", "accent"),
        ("bad", "card"),
    ]:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_the_help_explains_and_closes(page: Opened) -> None:
    page.page.keyboard.press("?")
    assert page.page.locator("dialog.help").is_visible()
    assert "saliency map" in page.page.locator("dialog.help").inner_text()
    page.page.keyboard.press("Escape")
    assert not page.page.locator("dialog.help").is_visible()


def test_a_first_look_is_explained_once(browser: Any, report: str) -> None:
    found = opened(browser, report)
    assert "What does this agent look at?" in found.page.locator(".hello").inner_text()
    found.page.get_by_role("button", name="Got it").click()
    assert found.page.locator(".hello").count() == 0
    found.page.reload()
    found.ready()
    assert not found.page.locator(".hello").is_visible()


def test_a_report_that_left_steps_out_says_so_and_passes_over_them(browser: Any, maps: ps.Maps, tmp_path: Path) -> None:
    contents = write_report(tmp_path / "small.html", Document(maps.episode, maps), megabytes=0.75)
    assert (tmp_path / "small.html").stat().st_size <= 0.75e6
    assert contents.windows is not None
    found = opened(browser, (tmp_path / "small.html").as_uri())
    held = {step for window in contents.windows for step in range(16 * window, min(16 * window + 16, STEPS))}
    missing = next(step for step in range(STEPS) if step not in held)
    found.at(missing)
    assert found.step in held
    found.page.get_by_role("tab", name="Run").click()
    assert f"{len(held)} of {STEPS} steps" in found.page.locator("#page-run").inner_text()
    assert found.errors == []


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours such as #rrggbb or #rgb."""

    def luminance(colour: str) -> float:
        digits = colour.lstrip("#")
        digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
        parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
