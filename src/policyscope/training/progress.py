"""How far a training is: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping

from rich import progress
from rich.console import Console


class Progress:
    """Steps a second, return and time left."""

    def __init__(self, steps: int, done: int, minutes: float) -> None:
        """Prepares to show.

        Args:
            steps: Of the whole run.
            done: Of them, before this process.
            minutes: Time limit of this process; 0 for none.
        """
        self._steps, self._console = steps, Console(stderr=True)
        self._limit = 60 * minutes or math.inf
        self._began = time.monotonic()
        self._seen = deque([(self._began, done)], maxlen=50)
        self._shown = 0.0
        columns = (
            progress.TextColumn("training"),
            progress.BarColumn(),
            progress.TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TextColumn("return {task.fields[score]}"),
            progress.TextColumn("{task.fields[left]}"),
        )
        self._bar = progress.Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("", total=steps, completed=done, rate="", score="-", left="")

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """A remark."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def show(self, step: int, score: float) -> None:
        """Moves the bar; cheap enough for every step."""
        now = time.monotonic()
        if now - self._shown < 0.5:
            return
        self._shown = now
        self._seen.append((now, step))
        if self._console.is_terminal:
            rate, left = self._pace(step)
            self._bar.update(
                self._task, completed=step, rate=f"{rate:,.0f}/s", score=_number(score), left=f"{_span(left)} left"
            )

    def line(self, step: int, score: float, values: Mapping[str, float]) -> None:
        """One line of a log, where no bar can be drawn."""
        if not self._console.is_terminal:
            rate, left = self._pace(step)
            more = "  ".join(f"{name} {_number(value)}" for name, value in values.items() if "/" not in name)
            self.say(f"{step:>11,}  {rate:5,.0f}/s  {_span(left)} left  return {_number(score)}  {more}".rstrip())

    def _pace(self, step: int) -> tuple[float, float]:
        now = time.monotonic()
        then, before = self._seen[0]
        rate = (step - before) / max(now - then, 1e-9)
        return rate, min((self._steps - step) / max(rate, 1e-9), self._limit - (now - self._began))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _span(seconds: float) -> str:
    if seconds == math.inf:
        return "?"
    minutes = int(max(seconds, 0) // 60)
    return f"{minutes // 60}h{minutes % 60:02d}" if minutes >= 60 else f"{minutes}min"
