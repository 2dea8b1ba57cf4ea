"""The page as `policyscope view` serves it: maps on request, questions, two pages at once, a game that is played."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests_browser import Opened, chromium, needs_browser, opened, viewed

import policyscope as ps
from policyscope.viewer.panels import key_of

pytestmark = needs_browser

STEPS = 70


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view") / "run"
    agent = ps.load_agent("zoo:breakout-dddqn")
    episode = ps.play(agent, STEPS, seed=3, out=folder)
    ps.explain(agent, episode, methods=["gradient", "grad_cam"], out=folder)
    note = {"options": {"agent": {"agent": "zoo:breakout-dddqn"}}, "observations": None}
    (folder / "run.json").write_text(json.dumps(note))
    return folder


@pytest.fixture(scope="module")
def page(browser: Any, run: Path) -> Iterator[Opened]:
    with viewed(str(run), "--against", "zoo:breakout-dddqn-early") as (address, _):
        found = opened(browser, address)
        yield found
        assert found.errors == []
        host = address.split("/?")[0]
        assert [url for url in found.requests if not url.startswith((host, "blob:", "data:"))] == []


def drawn(page: Opened, panel: ps.Panel, step: int, agent: str = "") -> np.ndarray[Any, Any]:
    page.do("key => policyscope.state.set({panels: [{key}], selected: 0})", key_of(panel, agent))
    page.at(step)
    return np.array(page.do("[...policyscope.painter.values]")).reshape(84, 84)


def test_the_token_leaves_the_address_and_works_once(page: Opened, browser: Any) -> None:
    first = next(url for url in page.requests if "token=" in url)
    assert "token" not in page.do("location.href")
    context = browser.new_context()
    answer = context.request.get(first)
    assert answer.status == 403
    assert "once" in answer.text()


@pytest.mark.parametrize(
    ("method", "stream", "action", "layer", "lag"),
    [
        ("gradient", "value", "taken", None, 2),
        ("guided_backprop", "q", "2-3", None, 0),
        ("g1_grad_cam", "q", "greedy", "body.2", None),
        ("full_grad_pp", "q", "contrast", None, None),
    ],
)
def test_maps_that_were_not_stored_are_those_of_explain(
    page: Opened, run: Path, method: str, stream: str, action: str, layer: str | None, lag: int | None
) -> None:
    agent, episode = ps.load_agent("zoo:breakout-dddqn"), ps.Episode.open(run)
    maps = ps.explain(agent, episode, [method], stream, action, layer or 1, lag or 0)
    panel = maps.panels[0]
    sizes = np.abs(np.asarray(maps[panel].stored)).max(axis=(1, 2))
    step = int(sizes.argmax())  # a map can be zero everywhere, and then nothing is drawn
    assert np.abs(drawn(page, panel, step) - maps[panel][step]).max() <= sizes[step] * 1.02 / 127


def test_another_checkpoint_explains_the_same_episode(page: Opened, run: Path) -> None:
    episode = ps.Episode.open(run)
    maps = ps.explain(ps.load_agent("zoo:breakout-dddqn-early"), episode, ["gradient"])
    found = drawn(page, maps.panels[0], 40, "b")
    assert np.abs(found - maps["gradient"][40]).max() <= np.abs(maps["gradient"][40]).max() * 1.02 / 127
    assert page.page.locator("select.agent").first.locator("option").count() == 2


def test_an_action_is_explained_or_contrasted_with_a_click(page: Opened) -> None:
    page.do("policyscope.state.set({panels: [{key: 'gradient~q~taken~~0~'}], selected: 0, tab: 'step'})")
    page.at(30)
    taken = page.do("policyscope.timeline.column('action').values[30]")
    section = page.page.locator(".bars section", has=page.page.locator("h3", has_text=re.compile("^q$")))
    section.get_by_role("button", name="LEFT", exact=True).click()
    assert page.do("policyscope.state.panels[0].key") == "gradient~q~3~~0~"
    other = next(index for index in range(4) if index != taken)
    section.locator(".against").nth(other).click()
    assert page.do("policyscope.state.panels[0].key") == f"gradient~q~{taken}-{other}~~0~"
    page.ready()


def test_hiding_a_region_tells_what_changes(page: Opened, run: Path) -> None:
    page.do("policyscope.state.set({panels: [{key: 'gradient~q~taken~~0~'}], box: [0, 0, 84, 84], tab: 'ask'})")
    page.at(25)
    page.page.get_by_label("how it is hidden").select_option("zero")
    page.page.get_by_role("button", name="Hide it").click()
    page.until("!!document.querySelector('#page-ask .answer table') || document.querySelector('#page-ask .error')")
    text = page.page.locator("#page-ask .answer").first.inner_text()
    agent = ps.load_agent("zoo:breakout-dddqn")
    with torch.no_grad():
        blank = agent(agent.prepare(np.zeros((1, 4, 84, 84), np.uint8)))[0]["value"]
    row = next(line for line in text.splitlines() if line.startswith("value\t"))
    before, after = (float(row.split("\t")[i]) for i in (1, 3))
    assert before == pytest.approx(float(ps.Episode.open(run).streams["value"][25, 0]), abs=6e-3)
    assert after == pytest.approx(float(blank), abs=6e-3)
    assert page.page.locator("#page-ask img").is_visible()


def test_two_pages_at_once_keep_each_others_notes(page: Opened, browser: Any, run: Path) -> None:
    link = page.do("policyscope.source.post('/link', {}).then(found => found.url)")
    other = opened(browser, link)
    page.do("policyscope.setNotes([...policyscope.notes, {step: 3, text: 'from one'}])")
    other.do("policyscope.setNotes([...policyscope.notes, {step: 9, text: 'from the other'}])")
    other.until("policyscope.notes.length === 2")
    kept = json.loads((run / "notes.json").read_text())
    assert [note["text"] for note in kept] == ["from one", "from the other"]
    assert other.errors == []


def test_a_live_game_is_watched_steered_branched_and_becomes_a_run(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "live"
    with viewed("zoo:breakout-dddqn", "--seed", "5", "--out", str(folder), "--rate", "30") as (address, process):
        page = opened(browser, address)
        page.until("policyscope.manifest.steps > 12", 60)
        # the method is changed while it plays
        page.page.locator("article.panel").nth(1).locator("select.method").select_option("full_grad_pp")
        page.until("policyscope.live.status.panels.some(key => key.startsWith('full_grad_pp'))", 60)
        page.page.get_by_role("button", name="pause the game").click()
        page.until("!policyscope.live.status.playing")
        steps = page.do("policyscope.live.status.steps")
        page.page.get_by_role("button", name="one step").click()
        page.until(f"policyscope.manifest.steps === {steps + 1}")
        # back, and on from there with another action
        page.at(6)
        page.ready()
        page.page.get_by_label("another action").select_option("3")
        page.page.get_by_role("button", name="branch here").click()
        page.until("policyscope.live.status.track === 1 && policyscope.manifest.steps > 0", 60)
        page.page.get_by_role("button", name="go on playing").click()
        page.until("policyscope.manifest.steps > 6", 60)
        page.page.get_by_role("button", name="pause the game").click()
        page.until("!policyscope.live.status.playing")
        page.page.get_by_label("compare with").select_option("0")
        page.until("policyscope.state.panels.some(panel => panel.track === 0)")
        page.do("policyscope.jump(0)")
        page.until("policyscope.live.rowIn(0) === 6")
        # a human plays
        page.page.get_by_role("button", name="take over").click()
        page.until("policyscope.live.status.human")
        before = page.do("policyscope.manifest.steps")
        page.page.get_by_role("button", name="go on playing").click()
        page.page.keyboard.down("ArrowRight")
        held = "policyscope.timeline.column('action').values.slice(" + str(before) + ").filter((a) => a === 2).length"
        page.until(f"{held} >= 4", 60)
        page.page.keyboard.up("ArrowRight")
        page.page.get_by_role("button", name="give it back").click()
        page.until("!policyscope.live.status.human")
        actions = page.do("[...policyscope.timeline.column('action').values]")
        assert actions[0] == 3
        first = actions.index(2, before)
        assert actions[first : first + 4] == [2, 2, 2, 2]
        assert page.errors == []
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=120)[0]
    episode = ps.Episode.open(folder)
    assert len(episode) == steps + 1, told
    again = ps.play(ps.load_agent("zoo:breakout-dddqn"), steps + 1, seed=5)
    assert np.array_equal(np.asarray(episode.observations), np.asarray(again.observations))
    branch = ps.Episode.open(folder / "branches" / "1")
    assert branch.actions is not None
    assert branch.actions[0] == 3
    assert np.array_equal(branch.observations[0], episode.observations[6])
    maps = ps.Maps(folder)
    assert len(maps) == len(episode)
    assert "full_grad_pp" in {panel.method for panel in maps.panels}
