"""Game objects: what is where on the console's screen, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from policyscope.storage import Array

SCREEN = (210, 160)
"""Height and width of most consoles' screens."""


class Thing(NamedTuple):
    """One thing followed over time, as a game's extractor finds it.

    Attributes:
        kind: What it is (``ball``); several things may be of one kind.
        slot: Which one it is (``fish 2.1``).
        boxes: (N, 4) x0, y0, x1, y1 in screen pixels, x1 and y1 exclusive; NaN where it is not there.
    """

    kind: str
    slot: str
    boxes: Array


class Scene(NamedTuple):
    """What an extractor makes of a console's RAM.

    Attributes:
        things: In a fixed order.
        facts: Name -> (N,) integers that are no things: ``score``, ``lives``, ``oxygen`` …
    """

    things: list[Thing]
    facts: dict[str, Array]


@dataclass(frozen=True)
class Objects:
    """The objects of a stretch of play.

    Attributes:
        game: ale-py's name.
        kinds: Names of the kinds.
        slots: Names of the things followed over time, so that a slot's boxes are a track.
        kind_of: (S,) int64: slot -> kind.
        boxes: (N, S, 4) float32: x0, y0, x1, y1 in screen pixels, x1 and y1 exclusive; NaN where a thing is not there.
            A box is where a thing *is*: a sprite that the console draws every other frame has one in every frame.
        screen: Height and width that the boxes refer to.
        facts: Name -> (N,) int64: numbers that the game keeps (``score``, ``lives``, ``oxygen`` …).
    """

    game: str
    kinds: tuple[str, ...]
    slots: tuple[str, ...]
    kind_of: Array
    boxes: Array
    screen: tuple[int, int] = SCREEN
    facts: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of_scene(cls, game: str, scene: Scene, screen: tuple[int, int]) -> Objects:
        """The things of a scene side by side."""
        kinds = tuple(dict.fromkeys(thing.kind for thing in scene.things))
        return cls(
            game=game,
            kinds=kinds,
            slots=tuple(thing.slot for thing in scene.things),
            kind_of=np.array([kinds.index(thing.kind) for thing in scene.things], np.int64),
            boxes=np.stack([thing.boxes for thing in scene.things], axis=1).astype(np.float32),
            screen=screen,
            facts={name: np.asarray(values, np.int64) for name, values in scene.facts.items()},
        )

    @property
    def present(self) -> Array:
        """(N, S) bool: which things are there."""
        there: Array = ~np.isnan(self.boxes[..., 0])
        return there

    def of_kind(self, kind: str) -> Array:
        """Boxes of a kind, (N, s, 4).

        Raises:
            KeyError: There is no such kind; the text lists those that there are.
        """
        if kind not in self.kinds:
            raise KeyError(f"no kind {kind!r} in {self.game}; there are {', '.join(self.kinds)}")
        boxes: Array = self.boxes[:, self.kind_of == self.kinds.index(kind)]
        return boxes

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Any) -> Objects:
        """The objects of some frames: a slice, a mask or an array of rows."""
        facts = {name: values[rows] for name, values in self.facts.items()}
        return replace(self, boxes=self.boxes[rows], facts=facts)
