"""The newest rows of a game that is being played, for pages that follow it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from policyscope.storage import Array
from policyscope.viewer.bundle import bundle, unbundle
from policyscope.viewer.document import Document, packed_panel, packed_series
from policyscope.viewer.series import columns

ROWS = 32
"""Rows that a page gets at once; those before it asks for by their window."""

KEPT = 256
"""Rows whose maps are kept for pages that are late."""


class Newest:
    """Maps of the rows that were explained last. One thread puts, any thread takes."""

    def __init__(self) -> None:
        self._rows: OrderedDict[tuple[int, int], dict[str, Array]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, track: int, start: int, maps: Mapping[str, Array]) -> None:
        """Keeps maps (n, h, w) of rows from ``start`` on, by panel."""
        with self._lock:
            for panel, rows in maps.items():
                for index, row in enumerate(rows):
                    self._rows.setdefault((track, start + index), {})[panel] = row
            while len(self._rows) > KEPT:
                self._rows.popitem(last=False)

    def take(self, track: int, panel: str, start: int, stop: int) -> Array | None:
        """Maps of rows, if all of them are here."""
        with self._lock:
            found = [self._rows.get((track, row), {}).get(panel) for row in range(start, stop)]
        known = [row for row in found if row is not None]
        return np.stack(known) if found and len(known) == len(found) else None


def newest_bundle(document: Document, since: int, stop: int, maps: Mapping[str, Array | None]) -> bytes:
    """The newest rows in one piece: what :class:`~policyscope.viewer.document.Document` has for them, one by one.

    Args:
        document: Of the track.
        since: The first row whose numbers are wanted; pictures and maps are those of the last few rows alone.
        stop: Behind the last row.
        maps: Panel -> maps (n, h, w) of those rows; a panel without them is left out.
    """
    first = first_of(since, stop)
    items: list[dict[str, Any]] = []
    parts: list[bytes] = []

    def add(key: str, data: bytes) -> None:
        header, pieces = unbundle(data)
        items.append({**header, "key": key, "parts": len(pieces)})
        parts.extend(pieces)

    if since < stop:
        add("series", newest_series(document, since, stop))
        add("screens", document.screens(first, stop))
        add("inputs", document.observations(first, stop))
        for panel, rows in maps.items():
            if rows is not None:
                add(f"maps/{panel}", packed_panel(rows, document.inputs.size, first, document.levels))
    return bundle({"first": first, "count": stop - first, "items": items}, parts)


def newest_series(document: Document, since: int, stop: int) -> bytes:
    """Numbers of the newest rows and of the one before them, whose next state was not known yet when it was sent.

    Worked out from these rows alone, however long the game is; the columns are those of the whole.
    """
    episode = document.episode
    first = max(since - 1, 0)
    context = max(first - 1, 0)
    wanted = [(column.name, column.group) for column in columns(episode[:1])]
    found = {(column.name, column.group): column.values for column in columns(episode[context:stop])}
    unknown = np.full(stop - context, np.nan, np.float32)
    values = np.stack([found.get(column, unknown)[first - context :] for column in wanted])
    return packed_series(wanted, values, first)


def first_of(since: int, stop: int) -> int:
    """The first row whose pictures and maps are sent to a page that knows the rows before ``since``."""
    return min(max(since, stop - ROWS, 0), stop)
