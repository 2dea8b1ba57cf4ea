"""The measures that are taken of each frame, all in one walk along the episode."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from policyscope.evaluation import inversion, recognition, sharpness, stability
from policyscope.evaluation.inversion import Reference
from policyscope.evaluation.magnitude import Magnitudes
from policyscope.evaluation.marks import Marks
from policyscope.storage import Array


@dataclass(frozen=True)
class Chunk:
    """Rows in a row of an episode, with their maps.

    Attributes:
        before: (1, H, W) raw map of the row before the first one, by one method.
        maps: (n, H, W) of the rows.
        follows: (n,) bool: the row before belongs to the same game.
        scale: What the whole episode's maps show in full colour.
        marks: Where kinds of objects are, or None where nothing is known of objects.
        centres: (1 + n, S, 2) of the things that are followed, in the row before the first one too, or None.
        kind_of: (S,) slot -> kind.
        guided: By guided backpropagation of the same target, which says where the agent looks; None for itself.
        perturbed: By its perturbation map, zero where none was made; None where there is none at all.
    """

    before: Array
    maps: Array
    follows: Array
    scale: float
    marks: Marks | None = None
    centres: Array | None = None
    kind_of: Array = field(default_factory=lambda: np.zeros(0, int))
    guided: Reference | None = None
    perturbed: Reference | None = None

    @cached_property
    def sizes(self) -> Magnitudes:
        """Of the rows."""
        return Magnitudes.of(self.maps)

    @cached_property
    def all_sizes(self) -> Array:
        """(1 + n, H, W): those, and of the row before the first one."""
        return np.concatenate([Magnitudes.of(self.before).values, self.sizes.values])

    @cached_property
    def by_frame(self) -> Array:
        """(1 + n, H, W): brightness where each frame is normalised by itself."""
        scales = np.concatenate([stability.scales(self.before), stability.scales(self.sizes)])
        return stability.shown(self.all_sizes, scales)

    @cached_property
    def by_episode(self) -> Array:
        """(1 + n, H, W): brightness where the whole episode has one scale."""
        return stability.shown(self.all_sizes, self.scale)


@dataclass(frozen=True)
class Measure:
    """A number a frame.

    Attributes:
        group: Of the table it stands in.
        words: What it is, for a table's head.
        of: From a chunk to (n,), or (n, K) where ``kinds``.
        kinds: Whether there is one for each kind of object.
        better: 1 where more is better, -1 where less is, 0 where neither.
        chance: What a map that knows nothing scores; NaN where that depends.
    """

    group: str
    words: str
    of: Callable[[Chunk], Array]
    kinds: bool = False
    better: int = 0
    chance: float = float("nan")


def _next(values: Array, chunk: Chunk) -> Array:
    """Only where the frame before is of the same game."""
    shape = (-1, *[1] * (values.ndim - 1))
    return np.where(chunk.follows.reshape(shape), values, np.nan)


def _covered(function: Callable[[Magnitudes, Marks], Array]) -> Callable[[Chunk], Array]:
    def of(chunk: Chunk) -> Array:
        assert chunk.marks is not None
        return function(chunk.sizes, chunk.marks)

    return of


def _visible(bright: str) -> Callable[[Chunk], Array]:
    def of(chunk: Chunk) -> Array:
        assert chunk.marks is not None
        return stability.visible(getattr(chunk, bright)[1:], chunk.marks)

    return of


def _followed(chunk: Chunk) -> Array:
    """The mean over the things of a kind."""
    assert chunk.marks is not None
    assert chunk.centres is not None
    around = stability.surroundings(chunk.all_sizes, chunk.centres)
    slots = stability.likeness(around[1:], around[:-1])
    known = np.isfinite(slots)
    found = np.full((len(slots), chunk.marks.coverage.shape[1]), np.nan)
    for kind in range(found.shape[1]):
        mine = known[:, chunk.kind_of == kind]
        total = np.where(mine, slots[:, chunk.kind_of == kind], 0).sum(axis=1)
        found[:, kind] = np.where(mine.any(axis=1), total / np.maximum(mine.sum(axis=1), 1), np.nan)
    return _next(found, chunk)


def _against(function: Callable[[Magnitudes, Reference], Array], reference: str) -> Callable[[Chunk], Array]:
    return lambda chunk: function(chunk.sizes, getattr(chunk, reference))


def _change(function: Callable[[Array, Array], Array], bright: str) -> Callable[[Chunk], Array]:
    return lambda chunk: _next(function(getattr(chunk, bright)[1:], getattr(chunk, bright)[:-1]), chunk)


MEASURES: Mapping[str, Measure] = {
    "gain": Measure(
        "recognition", "share of the energy on it / share of the area", _covered(recognition.gain), True, 1, 1.0
    ),
    "pointing": Measure("recognition", "strongest pixel on it", _covered(recognition.pointing), True, 1),
    "precision": Measure("recognition", "average precision", _covered(recognition.average_precision), True, 1),
    "seen": Measure("stability", "frames on which it is seen", _visible("by_episode"), True, 1),
    "seen_by_frame": Measure("stability", "the same, each frame normalised by itself", _visible("by_frame"), True, 1),
    "followed": Measure("stability", "likeness along its track", _followed, True, 1, 0.0),
    "flicker": Measure("stability", "light that is elsewhere", _change(stability.flicker, "by_episode"), better=-1),
    "flicker_by_frame": Measure(
        "stability", "the same, each frame normalised by itself", _change(stability.flicker, "by_frame"), better=-1
    ),
    "flash": Measure("stability", "change of all light", _change(stability.flash, "by_episode"), better=-1),
    "flash_by_frame": Measure(
        "stability", "the same, each frame normalised by itself", _change(stability.flash, "by_frame"), better=-1
    ),
    "entropy": Measure("sharpness", "entropy, 1 is everywhere", lambda c: sharpness.entropy(c.sizes), better=-1),
    "half_area": Measure(
        "sharpness", "area with half of the energy", lambda c: sharpness.half_area(c.sizes), better=-1
    ),
    "blob_width": Measure(
        "sharpness", "width of the strongest blob, pixels", lambda c: sharpness.blob_width(c.sizes), better=-1
    ),
    "inverted": Measure(
        "inversion", "frames low where perturbation is high", _against(inversion.inverted, "perturbed"), better=-1
    ),
    "contrast": Measure(
        "inversion", "contrast of there and elsewhere", _against(inversion.contrast, "perturbed"), better=1, chance=0.0
    ),
    "inverted_guided": Measure(
        "inversion", "frames low where guided backprop is high", _against(inversion.inverted, "guided"), better=-1
    ),
    "contrast_guided": Measure(
        "inversion", "contrast of there and elsewhere", _against(inversion.contrast, "guided"), better=1, chance=0.0
    ),
}
"""Name -> measure, in the order of the tables."""


def measured(chunk: Chunk) -> dict[str, Array]:
    """All measures that a chunk has what is needed for: name -> (n,) or (n, K) float32."""
    needs = {
        "followed": chunk.centres is not None,
        "inverted": chunk.perturbed is not None,
        "contrast": chunk.perturbed is not None,
        "inverted_guided": chunk.guided is not None,
        "contrast_guided": chunk.guided is not None,
    }
    return {
        name: np.asarray(measure.of(chunk), np.float32)
        for name, measure in MEASURES.items()
        if needs.get(name, True) and not (measure.kinds and chunk.marks is None)
    }
