"""How fast the live viewer is: a game that is played and explained while one looks, and maps made on request.

    python benchmarks/live.py [--agent zoo:breakout-dddqn]

A viewer's process is started and its page opened in headless Chromium. Printed are the different steps that the page
showed in a second while four panels were explained, at the default rate and as fast as it goes, and the time from the
choice of a panel that nobody computed to its picture (a window of 32 steps). Needs Chromium and the extras ``view`` and
``test``.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

import tyro
from playwright.sync_api import Browser, Page, sync_playwright

SHOWN = """async (seconds) => {
  const view = globalThis.policyscope, seen = new Set();
  view.state.on((changed) => { if (changed.has("step")) seen.add(view.state.step); });
  const before = view.live.status.steps, began = performance.now();
  await new Promise((resume) => setTimeout(resume, 1000 * seconds));
  const passed = (performance.now() - began) / 1000;
  return [seen.size / passed, (view.live.status.steps - before) / passed];
}"""
PANELS = (
    "gradient~value~taken~~0~",
    "grad_cam~q~greedy~body.2~~",
    "full_grad~advantage~taken~~~",
    "g2_grad_cam~q~1~body.0~0~",
)
REQUEST = """async (key) => {
  const view = globalThis.policyscope, began = performance.now();
  view.state.set({panels: [{key}]});
  while (!view.ready(view.state.step)) await new Promise((resume) => setTimeout(resume, 2));
  view.drawNow();
  return performance.now() - began;
}"""


@dataclass
class Options:
    agent: str = "zoo:breakout-dddqn"
    seconds: float = 10


def main(options: Options) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for rate in (15, 0):
            with watched(browser, options.agent, "--rate", str(rate), "--out", f"{folder}/{rate}") as page:
                until(page, "policyscope.manifest.steps > 30")
                shown, played = page.evaluate(SHOWN, options.seconds)
                asked = f"{rate} steps/s asked" if rate else "as fast as it goes"
                print(f"4 panels, {asked}: {played:.0f} steps/s played and explained, {shown:.0f} of them shown")
                if not rate:
                    continue
                page.get_by_role("button", name="pause the game").click()
                page.evaluate("policyscope.jump(40)")
                times = [page.evaluate(REQUEST, key) for key in PANELS]
                print(
                    f"a panel that nobody computed: {median(times):.0f} ms (slowest of {len(times)}: {max(times):.0f})"
                )
        browser.close()


@contextmanager
def watched(browser: Browser, *words: str) -> Iterator[Page]:
    line = [sys.executable, "-m", "policyscope.cli", "view", *words, "--no-open", "--port", "0"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        address = next(found[0] for text in process.stdout if (found := re.search(r"http://\S+", text)))
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.goto(address)
        until(page, "!!(globalThis.policyscope?.timeline.groups)")
        yield page
        page.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def until(page: Page, script: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not page.evaluate(script):
        if time.monotonic() > ends:
            raise SystemExit(f"never came true: {script}")
        time.sleep(0.05)


if __name__ == "__main__":
    main(tyro.cli(Options))
