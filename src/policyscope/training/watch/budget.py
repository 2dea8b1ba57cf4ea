"""A share of the time that watching may take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

CREDIT = 1.5
"""Seconds up front, so that what is wrong from the start is seen at the start."""
_AIM = 0.9
"""Of the budget: what cannot be put off, being told, needs room too."""


class Budget:
    """Counts what watching costs, and says when there is room for more.

    That is its share of the time; early on 1.5 seconds and half of the share, which is more until 150 seconds with a
    share of 2 %. A training of any length beyond that pays no more than the share.

    Attributes:
        spent: Seconds.
    """

    def __init__(self, share: float, credit: float = CREDIT) -> None:
        """Begins to count.

        Args:
            share: Of the time from now on.
            credit: Seconds up front.
        """
        self.share, self.credit, self.spent = share, credit if share else 0.0, 0.0
        self._began = time.perf_counter()
        self._costs: dict[str, float] = {}
        self._sums: dict[str, float] = {}

    def allows(self, what: str, part: float = 1.0) -> bool:
        """Whether something fits, by what it cost lately; its first time always does.

        Args:
            what: Is to be done.
            part: Of all the room that this may take, so that what is done often leaves some to what is done rarely.
        """
        expected = self._costs.get(what)
        if expected is None:
            return True
        share = self.share * self.seconds
        room = _AIM * max(share, self.credit + share / 2)
        return self.spent + expected <= room and self._sums[what] + expected <= part * room

    @contextmanager
    def counted(self, what: str) -> Iterator[None]:
        """Counts what is done in the block."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            took = time.perf_counter() - begun
            self.spent += took
            before = self._costs.get(what, took)
            self._costs[what] = min(took, 2 * before)  # one that waited for a disk is no reason to put off the next
            self._sums[what] = self._sums.get(what, 0.0) + took

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began

    @property
    def taken(self) -> float:
        """Share of the time that was taken so far."""
        return self.spent / max(self.seconds, 1e-9)
