"""An observation that is not what its protocol makes of the screen: moved, turned, cropped, coarse, late, inverted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from policyscope.agents.protocol import Protocol
from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Where
from policyscope.diagnosis.pictures import strip
from policyscope.episodes.picture import picture as picture_of
from policyscope.storage import Array

NEAR = 8.0
"""Grey levels of 255 by which two pixels may differ and be the same."""
MOST, HARDLY = 0.6, 0.2
"""Shares of the pixels that a change would alter. What moves within a step agrees with neither picture."""
FEWEST = 20
"""Such pixels a state, below which a change cannot be told from none."""
POOR = 0.5
"""Share of the content that must agree at least: with max-pooling over two screens, of which one is recorded, only what
moves or flickers differs."""
RESTLESS = 0.5


@dataclass(frozen=True)
class Change:
    """A way in which pictures go wrong: what it makes of the right picture, (H, W, colours), and what to try."""

    words: str
    make: Callable[[Array], Array]
    advice: str


def picture(examination: Examination) -> Iterator[Finding]:
    """Compares the newest frame with what the protocol makes of the recorded screen, pixel by pixel.

    Pictures that went wrong in known ways are tried against the right one, on the pixels where the two differ by more
    than 8 of 255 levels: a way is the finding if most of these pixels are as it says and hardly any as they should be.
    Else, on what is not background (where either departs from its commonest value), less than half agreement is.
    Where the picture is right, pixels that changed since the step before tell whether it comes late. Grave.
    """
    episode, protocol = examination.episode, examination.agent.protocol
    if episode.screens is None or protocol.ready or not len(examination.pairs):
        return
    rows = examination.pairs + 1
    expected, before = (_expected(examination, r) for r in (rows, rows - 1))
    seen = _seen(examination, rows)
    if seen.shape != expected.shape:
        return
    shown = int(np.abs(expected - before).reshape(len(rows), -1).sum(axis=1).argmax())

    def finding(words: str, advice: str, share: float) -> Finding:
        return Finding(
            "picture",
            "grave",
            Where("observation", lag=0),
            f"the newest frame {words}: {share:.0%} of what is on the screen is where the protocol puts it "
            "(healthy: all but what is moving)",
            advice,
            "certain" if share < POOR else "likely",
            {"agreement": share},
            strip(
                np.stack([expected[shown], seen[shown]]).astype(np.uint8),
                ["as the protocol makes it", "as the agent saw it"],
                f"the picture of step {int(rows[shown])}",
            ),
        )

    if float(seen.max() - seen.min()) < 1:
        yield finding("is blank", "look at what the environment hands out: a buffer that is never written", 0.0)
        return
    right = _agreement(expected, seen)
    ways = [(np.stack([c.make(e) for e in expected]), c) for c in (*CHANGES, _moved(expected, seen))]
    ways += list(_otherwise(examination, rows))
    best, change = max(((_explained(expected, seen, made), c) for made, c in ways), key=lambda found: found[0])
    if best > MOST:
        yield finding(change.words, change.advice, right)
    elif right < POOR:
        changing = float((np.abs(np.diff(seen, axis=0)) > NEAR).mean())
        words = "has noise on it" if changing > RESTLESS else "is not what the protocol makes of the screen"
        yield finding(words, NOISE if changing > RESTLESS else OTHER, right)
    else:
        late = _late(expected, seen, before)
        if late is not None:
            yield finding(f"is that of the step before in {late:.0%} of the pixels that changed since", LATE, right)


NOISE = "look for noise or augmentation that is meant for training"
OTHER = "compare crop, size, colours and scaling with those that the agent learnt with"
LATE = "the observation that a step returns must be the one after its action: look at what is handed on, and when"
CROP = "look at the crop: rows and columns are counted on the screen, (top, left, height, width), before it is resized"
COARSE = "the picture was made smaller than the network's input and enlarged: resize once, from the screen"


def _cropped(share: float) -> Change:
    def make(image: Array) -> Array:
        height, width = image.shape[:2]
        top, left = round(height * share), round(width * share)
        inner = np.ascontiguousarray(image[top : height - top, left : width - left])
        return np.asarray(cv2.resize(inner, (width, height), interpolation=cv2.INTER_AREA)).reshape(image.shape)

    return Change(f"is cropped, {share:.0%} of each side are missing", make, CROP)


def _coarse(times: int) -> Change:
    def make(image: Array) -> Array:
        height, width = image.shape[:2]
        small = cv2.resize(image, (width // times, height // times), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)).reshape(image.shape)

    return Change(f"is coarse, 1/{times} of its size enlarged", make, COARSE)


CHANGES = (
    Change("is mirrored, left and right change places", lambda i: i[:, ::-1], "look for a flip, or an augmentation"),
    Change("is upside down", lambda i: i[::-1], "look for a flip, or an axis that is counted from below"),
    Change("is turned by 180 degrees", lambda i: i[::-1, ::-1], "look for a flip of both axes"),
    Change(
        "has rows and columns exchanged",
        lambda i: i.swapaxes(0, 1) if i.shape[0] == i.shape[1] else i,
        "pictures are (height, width), OpenCV's sizes (width, height): a transpose may be one too many",
    ),
    Change("is inverted, black is white", lambda i: 255 - i, "look for 255 - x, or a palette"),
    Change("has its colours in another order", lambda i: i[..., ::-1], "OpenCV reads pictures as BGR"),
    *map(_cropped, (0.05, 0.1, 0.125, 0.15, 1 / 6, 0.2, 0.25)),
    *map(_coarse, (2, 3, 4)),
)
"""Known ways to go wrong."""


OTHER_VALUES: tuple[dict[str, Any], ...] = (
    {"crop": None},
    {"crop": (34, 0, 160, 160)},
    {"colour": "grey"},
    {"colour": "mean"},
    {"colour": "rec709"},
    {"resize": "area"},
    {"resize": "bilinear"},
    {"resize": "nearest"},
    {"stretch": True},
    {"stretch": False},
)
"""Values of a protocol that are mistaken for each other."""


def _otherwise(examination: Examination, rows: Array) -> Iterator[tuple[Array, Change]]:
    """What protocols would make of the screens that differ in one value."""
    protocol = examination.agent.protocol
    if protocol.colour == "rgb":
        return
    for values in OTHER_VALUES:
        (name, value), *_ = values.items()
        screens = examination.episode.screens
        atari = screens is not None and screens.shape[1:3] == (210, 160)
        if getattr(protocol, name) == value or (name == "crop" and not atari):
            continue
        words = f"is what a protocol with {name} = {value!r} makes, not {getattr(protocol, name)!r}"
        advice = f"give the agent and the environment the same {name}: the one that it learnt with"
        yield _expected(examination, rows, replace(protocol, **values)), Change(words, lambda image: image, advice)


def _expected(examination: Examination, rows: Array, protocol: Protocol | None = None) -> Array:
    """What a protocol makes of screens, (n, H, W, colours) float32."""
    screens, protocol = examination.episode.screens, protocol or examination.agent.protocol
    assert screens is not None
    return np.stack([picture_of([screen], protocol) for screen in screens[rows]]).astype(np.float32)


def _seen(examination: Examination, rows: Array) -> Array:
    """The newest frames in levels of 255."""
    seen = examination.frames(rows)[:, -1].astype(np.float32)
    return seen * 255 if seen.max() <= 1 else seen


def _content(pictures: Array) -> Array:
    """Where pictures depart from their commonest value."""
    values, counts = np.unique(np.rint(pictures), return_counts=True)
    content: Array = np.abs(pictures - values[counts.argmax()]) > NEAR
    return content


def _agreement(expected: Array, seen: Array) -> float:
    """Share of the content of either on which they agree."""
    content = _content(expected) | _content(seen)
    return float((np.abs(expected - seen) <= NEAR)[content].mean()) if content.any() else 1.0


def _explained(expected: Array, seen: Array, changed: Array) -> float:
    """Share of the pixels that a change would alter which are as it says; 0 if some of them are as they should be."""
    told = np.abs(changed - expected) > NEAR
    if told.sum() < FEWEST * len(expected):
        return 0.0
    wrong, right = (float((np.abs(seen - p) <= NEAR)[told].mean()) for p in (changed, expected))
    return wrong if right < HARDLY else 0.0


def _moved(expected: Array, seen: Array) -> Change:
    """A picture that is moved as a whole, by the shift that correlates best."""
    a, b = (np.fft.rfft2(p - p.mean(), axes=(1, 2)) for p in (expected, seen))
    product = (np.conj(a) * b).sum(axis=(0, 3))
    height, width = expected.shape[1:3]
    peak = np.fft.irfft2(product, s=(height, width))
    down, right = (int(at) for at in np.unravel_index(int(peak.argmax()), peak.shape))
    down, right = down - height * (down > height // 2), right - width * (right > width // 2)

    def make(image: Array) -> Array:
        moved = np.zeros_like(image)
        rows, columns = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        moved[rows, columns] = np.roll(image, (down, right), axis=(0, 1))[rows, columns]
        return moved

    words = f"is moved by {down} rows and {right} columns"
    return Change(words, make, "look at the crop, and at what pads or rolls the picture")


def _late(expected: Array, seen: Array, before: Array) -> float | None:
    """Share of the pixels that changed within the last step which are as they were before; None if most are new."""
    changed = np.abs(expected - before) > NEAR
    new, old = (changed & (np.abs(seen - p) <= NEAR) for p in (expected, before))
    told = new ^ old
    # A maximum over two screens may keep some of what was: only a clear majority of the old is late.
    if told.sum() < len(seen) or old[told].mean() < 0.8:
        return None
    return float(old[told].mean())
