"""A part of the picture that gets no gradient although something moves there, and gradients where nothing ever is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from policyscope.diagnosis.cells import Cells, Region, regions
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.intervals import interval
from policyscope.diagnosis.pictures import beside, over_row
from policyscope.storage import Array

FAINT = 0.05
"""Of an equal share. The corners of a picture, which a convolution covers least, have a tenth and more of it."""
MUCH = 0.1
"""Of all motion: where a tenth of what moves is not looked at, that is hardly the score alone."""
OFTEN = 5
"""States in which something moves in a cell, below which nothing is said of it."""
BLOCK = 4


def blind_region(examination: Examination) -> Iterator[Finding]:
    """The gradient of the acting stream on each cell of a 12 x 12 grid, in the states in which something moves there.

    r(cell) is the mean over these states of the mean |gradient| on the cell over that on the whole picture: 1 is an
    equal share. A cell is blind where r is below 0.05. The blind cells are a warning if they hold a tenth of all motion
    (share of pixels that change between two frames, over the episode), else a note, since the score moves too and need
    not be seen. A note as well where cells in which nothing ever changes get more than an equal share.
    """
    stream = examination.acting
    if stream not in examination.streams or not np.isfinite(examination.streams[stream]).all():
        return
    cells = Cells(examination)
    if len(cells.rows) < 2 * OFTEN:
        return
    gradients = cells.gradients(stream)
    if not gradients.any():
        return  # nothing reaches the input at all, which another rule says
    moves = cells.motion > 0
    often = moves.sum(axis=0) >= OFTEN
    shares = (gradients * moves).sum(axis=0) / np.maximum(moves.sum(axis=0), 1)
    blind = often & (shares < FAINT)
    if blind.any():
        yield _blind(examination, cells, gradients, blind)
    yield from _phantom(examination, cells, gradients)


def _blind(examination: Examination, cells: Cells, gradients: Array, blind: Array) -> Finding:
    stream, motion = examination.acting, cells.motion.sum(axis=0)
    held = float(motion[blind].sum() / motion.sum())
    moves = (cells.motion > 0) & blind

    def share(rows: Array) -> float:
        counts = moves[rows].sum()
        return float((gradients[rows] * moves[rows]).sum() / counts) if counts else float("nan")

    found = regions(blind)
    largest = max(found, key=lambda region: float(motion[region.cells].sum()))
    middle, (_, high) = share(np.arange(len(gradients))), interval(share, len(gradients), BLOCK)
    nothing = not gradients[:, blind].any()
    words = "no gradient at all" if nothing else f"{middle:.1%} [at most {high:.1%}] of an equal share of the gradient"
    others = f" and {len(found) - 1} other places" if len(found) > 1 else ""
    return Finding(
        "blind_region",
        "warning" if held >= MUCH else "note",
        Where("network", stream=stream, region=largest.words(cells.size) + others),
        f"{held:.0%} of all that moves is where {stream} has {words} in {len(gradients)} states "
        "(healthy: about as much as elsewhere, 100 %)",
        "look whether the observation is cropped, masked or overlaid there and whether a layer loses its edge; if the "
        "agent just never learnt to look there, train it with more of what happens there"
        if held >= MUCH
        else "nothing, if what moves there does not matter, as a score",
        "certain" if nothing else "likely" if high < FAINT else "possible",
        {"motion": held, "share": middle},
        _picture(examination, cells, gradients, found),
    )


def _phantom(examination: Examination, cells: Cells, gradients: Array) -> Iterator[Finding]:
    still = cells.still
    if still.sum() < 2 or still.all():
        return
    low, high = interval(lambda rows: float(gradients[rows][:, still].mean()), len(gradients), BLOCK)
    middle = float(gradients[:, still].mean())
    if not low > 1:
        return
    region = max(regions(still), key=lambda region: float(gradients[:, region.cells].mean(axis=0).sum()))
    yield Finding(
        "blind_region",
        "note",
        Where("network", stream=examination.acting, region=region.words(cells.size)),
        f"where nothing ever changes ({still.mean():.0%} of the picture) {examination.acting} has {middle:.1f} "
        f"[{low:.1f}, {high:.1f}] times an equal share of the gradient (healthy: below 1: there is nothing to see)",
        "the network is sensitive where it has no reason to be: it has learnt little yet, or its gradients are noise; "
        "trust perturbation methods more than gradients there",
        "likely",
        {"share where nothing changes": middle},
        _picture(examination, cells, gradients, [region]),
    )


def _picture(examination: Examination, cells: Cells, gradients: Array, found: list[Region]) -> Array:
    row = int(cells.rows[len(cells.rows) // 2])
    boxes = [region.box for region in found[:4]]
    motion, size = cells.motion.mean(axis=0), gradients.mean(axis=0)
    return beside(
        [
            over_row(examination.episode, row, motion, False, "What moves", boxes=boxes),
            over_row(examination.episode, row, size, False, f"Gradient of {examination.acting}", boxes=boxes),
        ],
        f"Over {len(cells.rows)} states of the episode",
    )
