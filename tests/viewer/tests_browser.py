"""A headless Chromium that keeps an account of what a page asks for."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (Debian's package: chromium)")


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; `wait_for_function` needs eval, which the page's policy forbids, so tests poll with `evaluate`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page that was opened, and all that it asked for and complained of."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def do(self, script: str, argument: Any = None) -> Any:
        return self.page.evaluate(script, argument)

    def until(self, script: str, seconds: float = 20.0) -> Any:
        ends = time.monotonic() + seconds
        while True:
            value = self.page.evaluate(script)
            if value or time.monotonic() > ends:
                assert value, f"never came true: {script}; the page says {self.errors}"
                return value
            time.sleep(0.02)

    def ready(self) -> None:
        self.until("!!(globalThis.policyscope?.timeline.groups && policyscope.ready(policyscope.state.step))")

    def settled(self) -> None:
        """Until the page is laid out and drawn: a layout and the drawing after it take an animation frame each."""
        frame = "() => new Promise(requestAnimationFrame)"
        for _ in range(3):
            self.do(frame)
        self.do("policyscope.drawNow()")

    def at(self, step: int) -> None:
        self.do("step => policyscope.jump(step)", step)
        self.ready()
        self.do("policyscope.drawNow()")

    @property
    def step(self) -> int:
        return int(self.do("policyscope.state.step"))


def opened(browser: Any, address: str, width: int = 1280, height: int = 800, **options: Any) -> Opened:
    context = browser.new_context(viewport={"width": width, "height": height}, accept_downloads=True, **options)
    found = Opened(context.new_page())
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.on("pageerror", lambda error: found.errors.append(str(error)))
    found.page.on("console", lambda message: found.errors.append(message.text) if message.type == "error" else None)
    found.page.goto(address)
    found.ready()
    found.settled()
    return found


@contextmanager
def viewed(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A viewer's process and its address."""
    command = [sys.executable, "-m", "policyscope.cli", "view", *words, "--no-open", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        told = []
        for line in process.stdout:
            told.append(line)
            address = re.search(r"http://\S+", line)
            if address:
                break
        else:
            raise AssertionError("".join(told))
        yield address[0], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
