"""The report: a run in one HTML file that opens anywhere, offline.

Where the whole episode does not fit into the size that was asked for, values get fewer levels; where that is not
enough, the steps around the moments are chosen, and the page says what was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from policyscope.errors import RunError
from policyscope.storage import disk_errors, replacing
from policyscope.viewer.document import Document
from policyscope.viewer.encoding import LEVELS
from policyscope.viewer.page import block, page

MEGABYTES = 15.0
WINDOW = 16
"""Rows that are kept or left out together."""
FEW_LEVELS = 31
_FEWEST_WINDOWS = 12
_FEWEST_PANELS = 6
_SAMPLES = 6

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Contents:
    """What goes into a report.

    Attributes:
        windows: Which windows of ``WINDOW`` rows; None for all.
        panels: Keys of the panels.
        levels: Of each sign of a map's values.
        told: What was left out, in a sentence; empty where nothing was.
    """

    windows: tuple[int, ...] | None
    panels: tuple[str, ...]
    levels: int
    told: str = ""


def write_report(
    path: Path, document: Document, megabytes: float = MEGABYTES, progress: Progress | None = None
) -> Contents:
    """Writes a report.

    Args:
        path: The HTML file.
        document: The run.
        megabytes: Largest size of the file.
        progress: Called with (windows done, windows in all, text).

    Returns:
        What went into it.

    Raises:
        RunError: Not even a few steps fit.
    """
    text, contents = report_html(document, megabytes, progress)
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(text, encoding="utf-8")
    return contents


def report_html(
    document: Document, megabytes: float = MEGABYTES, progress: Progress | None = None, *, address: bool = True
) -> tuple[str, Contents]:
    """The text of a report, and what went into it; see :func:`write_report`."""
    document = replace(document, window=WINDOW)
    manifest = document.manifest()
    fixed = block("manifest", manifest) + block("series", document.bundle("series"))
    room = int(megabytes * 1e6) - len(page("", "file", fixed)) - 2000
    contents = chosen(document, manifest, room)
    document = replace(document, levels=contents.levels)
    manifest = _reduced(manifest, contents)
    order = by_worth(-(-len(document) // WINDOW), manifest["markers"])
    blocks: list[str] = [block(f"stats/{key}", document.statistics(key)) for key in contents.panels]
    room -= sum(map(len, blocks))
    kept: list[int] = []
    for done, window in enumerate(order):
        made = [block(key, document.bundle(key)) for key in _keys(window, contents.panels)]
        room -= sum(map(len, made))
        if room < 0:
            break
        blocks += made
        kept.append(window)
        if progress:
            progress(done + 1, len(order), "writing")
    if not kept:
        raise RunError(
            f"not even {WINDOW} steps of {len(contents.panels)} panels fit into {megabytes:g} MB; ask for more"
        )
    whole = len(kept) == len(order)
    told = contents.told if whole else _told(len(document), kept, contents)
    contents = replace(contents, windows=None if whole else tuple(sorted(kept)), told=told)
    manifest |= {"windows": None if whole else sorted(kept), "left_out": told or None}
    first = block("manifest", manifest) + block("series", document.bundle("series"))
    return page(f"{manifest['title']} · policyscope", "file", first + "".join(blocks), address=address), contents


def chosen(document: Document, manifest: dict[str, Any], room: int) -> Contents:
    """Levels and panels for which enough of an episode fits; the windows are chosen while they are written."""
    count = -(-len(document) // WINDOW)
    panels = _in_order(manifest)
    samples = sorted({int(i) for i in np.linspace(0, count - 1, min(_SAMPLES, count))})
    pictures = _mean(document, samples, ("screens", "inputs"))
    sizes = {key: _mean(document, samples, (f"maps/{key}",)) for key in panels}
    if count * (pictures + sum(sizes.values())) <= 0.97 * room:
        return Contents(None, tuple(panels), LEVELS)
    coarse = replace(document, levels=FEW_LEVELS)
    sizes = {key: _mean(coarse, samples, (f"maps/{key}",)) for key in panels}
    kept = list(panels)
    while len(kept) > _FEWEST_PANELS and room / (pictures + sum(sizes[k] for k in kept)) < min(_FEWEST_WINDOWS, count):
        kept.pop()
    told = f"values have {FEW_LEVELS} levels of each sign"
    if len(kept) < len(panels):
        told += f"; {len(panels) - len(kept)} of {len(panels)} panels are left out"
    return Contents(None, tuple(kept), FEW_LEVELS, told)


def by_worth(count: int, markers: Sequence[dict[str, Any]]) -> list[int]:
    """Windows in the order in which they are taken: the first, those of the markers (of each kind in turn), the
    windows before them, which lead up to the moment, and then the rest, evenly spread.
    """
    kinds: dict[str, list[int]] = {}
    for marker in markers:
        kinds.setdefault(marker["kind"], []).append(int(marker["step"]) // WINDOW)
    turns = max((len(steps) for steps in kinds.values()), default=0)
    marked = [steps[turn] for turn in range(turns) for steps in kinds.values() if turn < len(steps)]
    spread = sorted(range(count), key=_halving)
    return list(dict.fromkeys(w for w in [0, *marked, *(m - 1 for m in marked), *spread] if 0 <= w < count))


def _halving(index: int) -> float:
    """Van der Corput's sequence backwards: any first part of the order is spread evenly."""
    return int(f"{index:020b}"[::-1], 2)


def _keys(window: int, panels: Sequence[str]) -> list[str]:
    return [f"screens/{window}", f"inputs/{window}", *(f"maps/{key}/{window}" for key in panels)]


def _mean(document: Document, windows: Sequence[int], kinds: Sequence[str]) -> float:
    """Mean size of some windows as they stand in the file, in bytes."""
    sizes = [sum(len(document.bundle(f"{kind}/{w}")) for kind in kinds) for w in windows]
    return 4 / 3 * float(np.mean(sizes)) + 80 * len(kinds)


def _in_order(manifest: dict[str, Any]) -> list[str]:
    """All panels, those that are shown first before the others."""
    every = [panel["key"] for panel in manifest["panels"]]
    return list(dict.fromkeys([*(key for key in manifest["first"] if key in every), *every]))


def _reduced(manifest: dict[str, Any], contents: Contents) -> dict[str, Any]:
    panels = [panel for panel in manifest["panels"] if panel["key"] in contents.panels]
    return {**manifest, "panels": panels, "computes": False, "asks": False}


def _told(steps: int, kept: Sequence[int], contents: Contents) -> str:
    held = sum(min(WINDOW, steps - window * WINDOW) for window in kept)
    rest = f"; {contents.told}" if contents.told else ""
    return f"{held} of {steps} steps, those around the moments{rest}. policyscope view has all of it."
