"""A stopwatch for training loops: starts after the warm-up, stops at the end of the iteration that fills the time."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Agent steps, and the time that they took: of a clock on the wall, and of this process on the processor."""

    steps: int
    wall: float
    processor: float


class Stopwatch:
    """To be asked before each iteration whether to go on.

    Attributes:
        pace: What was measured; None before the first iteration after the warm-up is over.
    """

    def __init__(self, seconds: float, warm_up: int) -> None:
        """Prepares.

        Args:
            seconds: To measure for.
            warm_up: Steps before that.
        """
        self._seconds, self._warm_up = seconds, warm_up
        self._start: Pace | None = None
        self.pace: Pace | None = None

    def going(self, steps: int) -> bool:
        """Whether to go on after so many steps in all."""
        now = Pace(steps, time.perf_counter(), time.process_time())
        if self._start is None:
            if steps >= self._warm_up:
                self._start = now
            return True
        start = self._start
        self.pace = Pace(steps - start.steps, now.wall - start.wall, now.processor - start.processor)
        return self.pace.wall < self._seconds
