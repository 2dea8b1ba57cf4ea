"""A coarse grid over the picture: what moves in each cell, and what gradient falls on it, over a whole episode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from policyscope.diagnosis.examination import Examination
from policyscope.errors import TargetError
from policyscope.rendering.sources import frames as apart
from policyscope.rendering.sources import value_range
from policyscope.saliency import targets
from policyscope.saliency.lags import by_lag
from policyscope.saliency.record import differentiating
from policyscope.saliency.trace import Trace
from policyscope.storage import Array

GRID = 12
"""Cells a side: larger than the stride of any usual first layer, smaller than a third of the picture by far."""
STATES, STATES_IN_TIME, BATCH = 192, 48, 24
CHANGED, MOST = 0.02, 0.5
"""Of the range between black and white; and the share of a picture beyond which a change is a new scene."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Region:
    """Cells that touch each other.

    Attributes:
        cells: (GRID, GRID) bool.
    """

    cells: Array

    @property
    def box(self) -> Box:
        """(top, left, height, width) in cells."""
        rows, columns = (np.flatnonzero(self.cells.any(axis=axis)) for axis in (1, 0))
        top, left = int(rows[0]), int(columns[0])
        return top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1

    def words(self, size: tuple[int, int]) -> str:
        """Where it is in an observation of some height and width, such as ``upper third, rows 0 to 13 of 84``."""
        top, left, height, width = self.box
        parts = []
        for first, long, length, names in (
            (top, height, size[0], ("upper", "middle", "lower")),
            (left, width, size[1], ("left", "middle", "right")),
        ):
            thirds = range(int(3 * first / GRID), int(3 * (first + long - 1) / GRID) + 1)
            rows = "rows" if names[0] == "upper" else "columns"
            span = f"{rows} {length * first // GRID} to {length * (first + long) // GRID - 1} of {length}"
            if len(thirds) == 3:
                parts.append(span if long < GRID else f"all {rows}")
            else:
                parts.append(f"{' and '.join(names[third] for third in thirds)} third, {span}")
        return "; ".join(parts)


class Cells:
    """States of an episode on the grid.

    Attributes:
        rows: (n,) of the episode, spread over it, each with one before it in the same episode.
        size: Height and width of the observation.
    """

    def __init__(self, examination: Examination) -> None:
        self._examination = examination
        protocol = examination.agent.protocol
        follows = np.flatnonzero(~examination.episode.starts)
        most = STATES_IN_TIME if protocol.layout == "time" else STATES
        chosen = np.linspace(0, len(follows) - 1, min(most, len(follows))).round().astype(int)
        self.rows: Array = follows[np.unique(chosen)] if len(follows) else follows
        shape = protocol.observation_shape
        self.size = (shape[0], shape[1]) if protocol.layout == "channels_last" else (shape[-2], shape[-1])

    @cached_property
    def newest(self) -> tuple[Array, Array]:
        """The newest frame of each state and of the one before it, (n, H, W, colours) float32 from 0 to 1."""
        episode, protocol = self._examination.episode, self._examination.agent.protocol
        now, before = (
            apart(np.asarray(episode.observations[rows]), protocol)[:, 0] for rows in (self.rows, self.rows - 1)
        )
        low, high = value_range(now)
        return (now.astype(np.float32) - low) / (high - low), (before.astype(np.float32) - low) / (high - low)

    @cached_property
    def motion(self) -> Array:
        """(n, GRID, GRID): the share of each cell's pixels that change from the frame before; 0 in new scenes."""
        now, before = self.newest
        changed = (np.abs(now - before) > CHANGED).any(axis=-1)
        changed[changed.mean(axis=(1, 2)) > MOST] = False
        return _pooled(torch.from_numpy(changed).float())

    @cached_property
    def still(self) -> Array:
        """(GRID, GRID) bool: cells in which nothing differs between any two of the states."""
        now, _ = self.newest
        differs = (now.max(axis=0) - now.min(axis=0) > CHANGED).any(axis=-1)
        return np.asarray(_pooled(torch.from_numpy(differs[None]).float())[0] == 0)

    def gradients(self, stream: str, selection: str = "greedy") -> Array:
        """(n, GRID, GRID): a stream's gradient on each cell over the mean of its state: 1 is an equal share.

        It is the mean absolute value, over all frames and colours; zero where no gradient reaches the input.
        """
        return self._each(lambda trace: self._size(trace, stream, selection))

    def _each(self, measure: Callable[[Trace], Tensor]) -> Array:
        parts = []
        for first in range(0, len(self.rows), BATCH):
            with differentiating():
                trace = self._examination.passes.watched(self.rows[first : first + BATCH])
                parts.append(_pooled(measure(trace)))
        cells = np.concatenate(parts)
        mean = cells.mean(axis=(1, 2), keepdims=True)
        return np.asarray(np.divide(cells, mean, out=np.zeros_like(cells), where=mean > 0))

    def _size(self, trace: Trace, stream: str, selection: str) -> Tensor:
        values = targets.stream_of(trace.outputs, stream)
        chosen = "sum" if values.numel() == trace.states else selection
        try:
            found = trace.gradients(targets.select(values, chosen, trace.states, stream), "standard").input
        except TargetError:
            return torch.zeros(trace.states, *trace.image_size)
        return by_lag(found, self._examination.agent).abs().sum(dim=(1, 2)).float().cpu()


def regions(cells: Array) -> list[Region]:
    """Cells (GRID, GRID) bool as regions whose cells touch, the largest first."""
    count, labels = cv2.connectedComponents(np.ascontiguousarray(cells, np.uint8), connectivity=4)
    return sorted((Region(labels == label) for label in range(1, count)), key=lambda r: -int(r.cells.sum()))


def _pooled(maps: Tensor) -> Array:
    """(n, H, W) -> means over cells (n, GRID, GRID) float64."""
    return np.asarray(F.adaptive_avg_pool2d(maps[:, None], GRID)[:, 0].double().numpy())
