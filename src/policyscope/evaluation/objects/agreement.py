"""How well boxes agree with what the screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from policyscope.evaluation.objects.look import Look
from policyscope.evaluation.objects.scene import Objects
from policyscope.storage import Array

AROUND = 3
"""Pixels around a box in which a thing is looked for: one that is further off is not the same."""
RIGHT = 0.5
"""Intersection over union from which a box counts as right."""


@dataclass(frozen=True)
class Agreement:
    """How a kind's boxes agree with the screen.

    Attributes:
        kind: Which.
        boxes: How many there were.
        drawn: Share of boxes near which anything of the kind's colours is drawn: the rest is flicker, or hidden.
        right: Of the drawn ones, the share whose intersection over union with what is drawn is a half or more.
        overlap: Their mean intersection over union.
        filled: Share of a box's pixels that have the colours, of drawn ones.
        found: Of the pixels that have the colours where they can be nothing else, the share inside boxes.
    """

    kind: str
    boxes: int
    drawn: float
    right: float
    overlap: float
    filled: float
    found: float


def agreement(objects: Objects, screens: Any, looks: dict[str, Look]) -> list[Agreement]:
    """Compares boxes with colours on the screen, for each kind whose look is known.

    What is drawn around a box is bounded by the pixels of the kind's colours in it and ``AROUND`` pixels around, less
    those inside other boxes of a kind with the same colours.

    Args:
        objects: Where things are said to be.
        screens: (N, H, W, 3) uint8 of the same frames.
        looks: Kind -> how it looks.
    """
    found = []
    for kind, look in looks.items():
        if kind not in objects.kinds:
            continue
        alike = [k for k, other in looks.items() if k in objects.kinds and _shares_colours(other, look, screens)]
        found.append(_of_kind(objects, np.asarray(screens), kind, alike, look))
    return found


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of boxes (…, 4), (…) float64."""
    low, high = np.maximum(first[..., :2], second[..., :2]), np.minimum(first[..., 2:], second[..., 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=-1)
    both = [np.prod(boxes[..., 2:] - boxes[..., :2], axis=-1) for boxes in (first, second)]
    ratio: Array = common / (both[0] + both[1] - common)
    return ratio


def _of_kind(objects: Objects, screens: Array, kind: str, alike: list[str], look: Look) -> Agreement:
    x0, y0, x1, y1 = look.area
    mask = look.mask(screens)
    outside = np.ones(mask.shape[1:], bool)
    outside[y0:y1, x0:x1] = False
    mask[:, outside] = False
    others = np.flatnonzero(np.isin(objects.kind_of, [objects.kinds.index(k) for k in alike]))
    ours = np.flatnonzero(objects.kind_of == objects.kinds.index(kind))
    count = drawn = inside = coloured = 0
    ratios: list[float] = []
    fills: list[float] = []
    for seen, boxes in zip(mask, objects.boxes, strict=True):
        cut = np.clip(np.rint(boxes), [x0, y0, x0, y0], [x1, y1, x1, y1])
        there = {int(s): cut[s].astype(int) for s in others if (cut[s, 2:] > cut[s, :2]).all()}
        covered = np.zeros_like(seen)
        for left, top, right, bottom in there.values():
            covered[top:bottom, left:right] = True
        coloured, inside = coloured + int(seen.sum()), inside + int((seen & covered).sum())
        for slot in ours:
            if slot not in there:
                continue
            count += 1
            left, top, right, bottom = there[int(slot)]
            tight = _tight(seen, covered, there[int(slot)])
            if tight is None:
                continue
            drawn += 1
            ratios.append(float(overlaps(there[int(slot)].astype(float), tight)))
            fills.append(float(seen[top:bottom, left:right].mean()))
    nothing = float("nan")
    return Agreement(
        kind=kind,
        boxes=count,
        drawn=drawn / count if count else nothing,
        right=float(np.mean(np.array(ratios) >= RIGHT)) if ratios else nothing,
        overlap=float(np.mean(ratios)) if ratios else nothing,
        filled=float(np.mean(fills)) if fills else nothing,
        found=inside / coloured if coloured else nothing,
    )


def _tight(seen: Array, covered: Array, box: Array) -> Array | None:
    """The box around what is seen in a box, or up to ``AROUND`` pixels around it where no other box is."""
    left, top = np.maximum(box[:2] - AROUND, 0)
    own = np.zeros((box[3] + AROUND - top, box[2] + AROUND - left), bool)
    own[box[1] - top : box[3] - top, box[0] - left : box[2] - left] = True
    place = slice(top, box[3] + AROUND), slice(left, box[2] + AROUND)
    own = own[: seen[place].shape[0], : seen[place].shape[1]]
    window = seen[place] & (own | ~covered[place])
    down, across = np.flatnonzero(window.any(axis=1)), np.flatnonzero(window.any(axis=0))
    if not len(down):
        return None
    return np.array([left + across[0], top + down[0], left + across[-1] + 1, top + down[-1] + 1], float)


def _shares_colours(one: Look, other: Look, screens: Any) -> bool:
    if one is other:
        return True
    some = np.asarray(screens[:: max(1, len(screens) // 8)][:8])
    first, second = one.mask(some), other.mask(some)
    return bool((first & second).any())
