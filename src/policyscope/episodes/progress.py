"""A progress bar for a game."""

from __future__ import annotations

from types import TracebackType

from rich import progress
from rich.console import Console

from policyscope.episodes.atari import Outcome


class Progress:
    """Shows steps, steps a second, the running game's return, and the time that is left."""

    def __init__(self, steps: int, done: int = 0) -> None:
        self._bar = progress.Progress(
            progress.TextColumn("playing"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]} steps/s · return {task.fields[score]:g}"),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._done, self._score = done, 0.0
        self._task = self._bar.add_task("", total=steps, completed=done, rate="…", score=0.0)

    def update(self, done: int, outcome: Outcome) -> None:
        """After each step."""
        self._score += outcome.reward
        # Drawing is the bar's own business, ten times a second; telling it each step would still cost time.
        if done % 16 == 0 or done == self._bar.tasks[0].total:
            speed = self._bar.tasks[0].speed
            rate = f"{speed:.0f}" if speed else "…"
            self._bar.update(self._task, completed=done, rate=rate, score=self._score)
        if outcome.game_over:
            self._score = 0.0

    def __enter__(self) -> Progress:
        self._bar.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.__exit__(kind, error, trace)
