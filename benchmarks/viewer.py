"""How fast the page draws, and how large its files are.

    python benchmarks/viewer.py [--steps 1000] [--long 10000]

A run of the shipped agent is explained, written as a report and opened in headless Chromium. Printed are milliseconds
from a new step to the finished picture with 6 and 12 panels, the pictures a second while it plays, the time until the
page can be used, the size of the file, and the same for a long episode whose numbers (not its maps) are in the page.
Needs Chromium (Debian's package) and the extra ``test``.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import tyro
from playwright.sync_api import Page, sync_playwright

import policyscope as ps
from policyscope.viewer.document import Document
from policyscope.viewer.report import write_report

SWITCH = """async (count) => {
  const view = globalThis.policyscope, times = [];
  for (let i = 0; i < count; i++) {
    const step = (i * 7) % view.manifest.steps;
    while (!view.ready(step)) await new Promise((resume) => setTimeout(resume, 1));
    const began = performance.now();
    view.state.set({step});
    view.drawNow();
    view.panels.cards.forEach((card) => card.context.getImageData(0, 0, 1, 1));
    times.push(performance.now() - began);
  }
  return times;
}"""
"""Reading a pixel back makes the browser finish what it was told to draw."""

PLAY = """async (seconds) => {
  const view = globalThis.policyscope;
  view.state.set({step: 0, rate: 120, loop: [0, view.manifest.steps - 1]});
  view.toggle();
  const [began, drawn] = [performance.now(), view.drawn];
  await new Promise((resume) => setTimeout(resume, 1000 * seconds));
  view.toggle();
  return (view.drawn - drawn) / ((performance.now() - began) / 1000);
}"""


@dataclass
class Options:
    steps: int = 1000
    """Of the run whose maps are in the file."""
    long: int = 10_000
    """Of the episode whose numbers alone are."""
    switches: int = 200
    """Changes of the step that are timed."""


def main(options: Options) -> None:
    agent = ps.load_agent("zoo:breakout-dddqn")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        episode = ps.play(agent, options.steps, seed=1)
        methods = ["gradient", "guided_backprop", "grad_cam", "guided_grad_cam", "g1_grad_cam", "full_grad_pp"]
        for count, streams in ((6, ("q",)), (12, ("q", "value"))):
            maps = ps.explain(agent, episode, methods=methods, stream=streams)
            path = Path(folder, f"{count}.html")
            write_report(path, Document(episode, maps), megabytes=200)
            page, ready = opened(browser.new_page(viewport={"width": 1600, "height": 1000}), path)
            page.evaluate("keys => policyscope.state.set({panels: keys.map((key) => ({key}))})", keys_of(page))
            times = page.evaluate(SWITCH, options.switches)
            rate = page.evaluate(PLAY, 5)
            print(
                f"{count:2} panels, {options.steps} steps: {median(times):.1f} ms a switch "
                f"(95 %: {np.quantile(times, 0.95):.1f}), {rate:.0f} pictures/s playing, "
                f"ready in {ready:.2f} s, {path.stat().st_size / 1e6:.1f} MB"
            )
            page.close()
            if count == 6:
                small = Path(folder, "300.html")
                part = ps.explain(agent, episode[:300], methods=methods)
                write_report(small, Document(part.episode, part))
                print(f" 6 panels, 300 steps: {small.stat().st_size / 1e6:.1f} MB")
        long = ps.play(agent, options.long, seed=2)
        few = ps.explain(agent, long[: options.long], methods=["gradient"])
        path = Path(folder, "long.html")
        contents = write_report(path, Document(long, few))
        page, ready = opened(browser.new_page(viewport={"width": 1600, "height": 1000}), path)
        began = time.perf_counter()
        page.evaluate("policyscope.timeline.stale = true; policyscope.timeline.draw()")
        redrawn = 1000 * (time.perf_counter() - began)
        held = len(contents.windows) * 16 if contents.windows else options.long
        print(
            f" {options.long} steps: {path.stat().st_size / 1e6:.1f} MB with {held} of them, ready in {ready:.2f} s, "
            f"timeline redrawn in {redrawn:.0f} ms"
        )
        browser.close()


def opened(page: Page, path: Path) -> tuple[Page, float]:
    began = time.perf_counter()
    page.goto(path.as_uri())
    while not page.evaluate("!!(globalThis.policyscope?.timeline.groups && policyscope.ready(0))"):
        time.sleep(0.01)
    return page, time.perf_counter() - began


def keys_of(page: Page) -> list[str]:
    keys: list[str] = page.evaluate("policyscope.names.stored")
    return keys


if __name__ == "__main__":
    main(tyro.cli(Options))
