"""What a fault is: a bug of some kind, the agents it can be put into, and where it ought to be found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.diagnosis.finding import Where
from policyscope.storage import Array


@dataclass
class View:
    """What the observation pipeline has when it hands an observation on.

    Attributes:
        stack: (frames, H, W, colours), oldest first, as it ought to be.
        before: The stack of the step before, of an earlier episode too; None at first.
        steps: Steps since the episode began.
        first: The stack that was seen first of all.
        random: Chance.
    """

    stack: Array
    before: Array | None
    steps: int
    first: Array
    random: np.random.Generator


@dataclass(frozen=True)
class Place:
    """Where a fault ought to be found: any one of these counts.

    Attributes:
        part: Of the agent (see ``finding.Where``); several where a bug shows in either.
        streams: Names; empty where it is not of one stream.
        layers: Module paths; empty where it is of no layer.
    """

    part: tuple[str, ...]
    streams: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()

    def holds(self, where: Where) -> bool:
        """Whether a finding's place is this one: the part, and the stream or the layer where there is one."""
        if where.part not in self.part:
            return False
        return not (self.streams or self.layers) or where.stream in self.streams or where.layer in self.layers


@dataclass(frozen=True)
class Fault:
    """A kind of bug.

    Attributes:
        name: Of the kind.
        about: What was done wrong, in words.
        place: Where it ought to be found in an agent; None where the bug cannot be put into it.
        network: Agent -> the same with a broken network; the given one stays as it was.
        view: The observation that the broken pipeline makes, (frames, H, W, colours).
        forgets: Whether a recurrent agent's memory is lost at each step (True) or kept across ends (False).
        ends: Whether it shows at an episode's end alone.
        action: From (action that was chosen, streams) to the one that is taken.
    """

    name: str
    about: str
    place: Callable[[Agent], Place | None]
    network: Callable[[Agent], Agent] | None = None
    view: Callable[[View], Array] | None = None
    forgets: bool | None = None
    action: Callable[[int, dict[str, Any]], int] | None = None
    ends: bool = False
