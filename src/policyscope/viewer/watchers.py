"""Who looks at something that changes, and how they hear of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Watchers:
    """A version that grows, and those who wait for the next one. Any thread may do anything.

    Attributes:
        version: Grows with everything that one who looks would want to know.
    """

    def __init__(self) -> None:
        self.version = 0
        self._waiting: set[Callable[[], None]] = set()
        self._looked = -math.inf
        self._lock = threading.Lock()

    @contextmanager
    def watching(self, changed: Callable[[], None]) -> Iterator[None]:
        """Calls a function, in another thread, whenever the version grows."""
        with self._lock:
            self._waiting.add(changed)
        try:
            yield
        finally:
            with self._lock:
                self._waiting.discard(changed)
            self.look()

    def look(self) -> None:
        """Somebody looks, now."""
        self._looked = time.monotonic()

    def looked(self, seconds: float) -> bool:
        """Whether anybody does, or did a short while ago."""
        return bool(self._waiting) or time.monotonic() - self._looked < seconds

    def changed(self) -> None:
        """Tells everybody."""
        with self._lock:
            self.version += 1
            waiting = list(self._waiting)
        for call in waiting:
            call()
