"""A share of the time that watching may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_AIM = 0.9
"""Of the budget: what cannot be put off, being told, needs room too."""


class Budget:
    """Counts what watching costs, and says when there is room for more.

    Attributes:
        spent: Seconds.
    """

    def __init__(self, share: float) -> None:
        """Begins to count.

        Args:
            share: Of the time from now on.
        """
        self.share, self.spent = share, 0.0
        self._began = time.perf_counter()
        self._costs: dict[str, float] = {}

    def allows(self, what: str) -> bool:
        """Whether something fits, by what it cost lately; its first time always does."""
        expected = self._costs.get(what, 0.0)
        room = _AIM * self.share * (time.perf_counter() - self._began)
        return self.spent + expected <= room or what not in self._costs

    @contextmanager
    def counted(self, what: str) -> Iterator[None]:
        """Counts what is done in the block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self.spent += took
            self._costs[what] = (self._costs.get(what, took) + took) / 2

    @property
    def taken(self) -> float:
        """Share of the time that was taken so far."""
        return self.spent / max(time.perf_counter() - self._began, 1e-9)
