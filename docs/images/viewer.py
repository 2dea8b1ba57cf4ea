"""Takes the pictures of docs/viewer.md: a finished run, one that was evaluated, and a live game, in headless Chromium.

    python docs/images/viewer.py             # all of them
    python docs/images/viewer.py judged      # some

Needs Chromium (Debian's package) and the extras ``view`` and ``test``.
"""

from __future__ import annotations

import io
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
AGENT = "zoo:breakout-a3c"
QUESTIONS = """() => {
  const panels = ['screen~~~~~', 'guided_backprop~policy~taken~~0~', 'guided_backprop~value~taken~~0~',
    'sarfa~policy~taken~~0~', 'input~~~~all~'].map((key) => ({key}));
  panels.splice(3, 0, {key: 'guided_backprop~policy~taken~~0~', minus: 'gradient~policy~taken~~0~'});
  policyscope.state.set({step: 133, tab: 'ask', box: [58, 8, 24, 30], panels});
}"""
READY = "!!(globalThis.policyscope?.timeline.groups && policyscope.ready(policyscope.state.step))"


def main() -> None:
    wanted = sys.argv[1:] or list(PICTURES)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name in wanted:
            PICTURES[name](browser, folder)
        browser.close()


def finished(browser: Browser, folder: str) -> None:
    """A run: the page as it is, on a telephone, greeting, and answering."""
    run = f"{folder}/run"
    command("explain", AGENT, "--steps", "400", "--seed", "2", "--stream", "policy,value", "--no-render", "--out", run)
    command("report", run, "--megabytes", "30")
    report = Path(run, "report.html").resolve().as_uri()
    moment = "#step=133&tab=moments"
    with shown(browser, f"{report}{moment}", (1600, 1000), "dark") as page:
        taken(page, "viewer-dark")
    with shown(browser, f"{report}#step=0", (1280, 800), "light", greeted=True) as page:
        taken(page, "viewer-first-look")
    with shown(browser, f"{report}{moment}", (390, 844), "light") as page:
        taken(page, "viewer-phone")
    with served(run) as address, shown(browser, address, (1600, 1000), "light") as page:
        page.evaluate(QUESTIONS)
        page.get_by_role("button", name="Hide it").click()
        until(page, "!!document.querySelector('#page-ask .answer table')")
        taken(page, "viewer-questions")


def judged(browser: Browser, folder: str) -> None:
    """A run that was evaluated: lanes of scores, and what is to be trusted of each panel."""
    run = f"{folder}/judged"
    command("evaluate", AGENT, "--steps", "400", "--seeds", "2", "--parts", "frames,faithfulness,sanity", "--out", run)
    with served(run) as address, shown(browser, f"{address}#step=133", (1600, 1000), "light") as page:
        page.evaluate("policyscope.state.set({selected: 2})")
        page.evaluate("document.querySelector('.lanes-scroll').scrollTop = 1e6")
        taken(page, "viewer-judged")


def live(browser: Browser, folder: str) -> None:
    """A game that was branched."""
    with (
        served(AGENT, "--out", f"{folder}/live", "--seed", "4") as address,
        shown(browser, address, (1600, 1000), "dark") as page,
    ):
        until(page, "policyscope.manifest.steps > 150", 120)
        page.get_by_role("button", name="pause the game").click()
        page.evaluate("policyscope.jump(100)")
        page.get_by_label("another action").select_option("2")
        page.get_by_role("button", name="branch here").click()
        until(page, "policyscope.live.status.track === 1 && policyscope.manifest.steps > 0")
        page.get_by_role("button", name="go on playing").click()
        until(page, "policyscope.manifest.steps > 45", 120)
        page.get_by_role("button", name="pause the game").click()
        until(page, "!policyscope.live.status.playing")
        page.evaluate("policyscope.state.set({panels: policyscope.state.panels.slice(0, 3)})")
        page.get_by_label("compare with").select_option("0")
        until(page, "policyscope.state.panels.some((panel) => panel.track === 0)")
        page.evaluate("policyscope.jump(30)")
        time.sleep(2)
        taken(page, "viewer-live")


PICTURES: dict[str, Callable[[Browser, str], None]] = {"finished": finished, "judged": judged, "live": live}


def command(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "policyscope.cli", *words], check=True)


@contextmanager
def served(*words: str) -> Iterator[str]:
    """A viewer's address, as long as it is needed."""
    line = [sys.executable, "-m", "policyscope.cli", "view", *words, "--no-open", "--port", "0"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield next(found[0] for text in process.stdout if (found := re.search(r"http://\S+", text)))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


@contextmanager
def shown(browser: Browser, address: str, size: tuple[int, int], scheme: Any, greeted: bool = False) -> Iterator[Page]:
    """A page, with the introduction only where it is wanted."""
    page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.goto(address)
    until(page, READY)
    if not greeted:
        page.get_by_role("button", name="Got it").click()
    yield page
    page.close()


def until(page: Page, script: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not page.evaluate(script):
        if time.monotonic() > ends:
            raise SystemExit(f"never came true: {script}")
        time.sleep(0.05)


def taken(page: Page, name: str) -> None:
    time.sleep(0.7)
    until(page, READY)
    file = HERE / f"{name}.webp"
    with Image.open(io.BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").save(file, quality=88, method=6)
    print(f"{file.name}: {file.stat().st_size >> 10} kB")


if __name__ == "__main__":
    main()
