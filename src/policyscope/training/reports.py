"""What a run tells while it goes: rows of its curve, TensorBoard's files, and a bar or lines in the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from policyscope.storage import disk_errors
from policyscope.training.curve import Curve, draw
from policyscope.training.progress import Progress


class Reports:
    """A row now and then, to wherever somebody may look.

    Attributes:
        board: TensorBoard's writer; None where it is not wanted or not installed.
        progress: What the terminal shows.
    """

    def __init__(self, folder: Path, step: int, every: int, progress: Progress, tensorboard: bool) -> None:
        """Opens the curve and the board.

        Args:
            folder: Of the run.
            step: Where the run is; what was told of later steps is dropped.
            every: Steps between rows.
            progress: What the terminal shows.
            tensorboard: Write TensorBoard's files too, if it is installed.
        """
        self.progress, self.board = progress, _board(folder / "tensorboard", step) if tensorboard else None
        self._folder, self._every, self._next = folder, every, step + every
        with disk_errors(folder):
            self._curve = Curve(folder / "curve.csv", step)

    def __call__(
        self, step: int, seconds: float, score: float, games: int, values: Mapping[str, float | Sequence[Tensor]]
    ) -> None:
        """Moves the bar, and tells the rest if a row is due.

        Args:
            step: Where the run is.
            seconds: That it took.
            score: Mean return of the last games.
            games: Games finished.
            values: More numbers, or recent ones whose mean is told; names with a slash go to TensorBoard alone.
        """
        self.progress.show(step, score)
        if step < self._next:
            return
        self._next = step + self._every
        numbers = {name: value if isinstance(value, float) else _mean(value) for name, value in values.items()}
        row = {"step": step, "seconds": seconds, "games": games, "return": score, **numbers}
        with disk_errors(self._folder):
            self._curve.add({name: value for name, value in row.items() if "/" not in name})
        self.progress.line(step, score, numbers)
        if self.board is not None:
            for name, value in row.items():
                if name not in ("step", "games") and math.isfinite(value):
                    self.board.add_scalar(name if "/" in name else f"train/{name}", value, step)

    def close(self, title: str) -> None:
        """Ends TensorBoard's files, and draws the curve if matplotlib is there and a checkpoint was kept.

        Args:
            title: Above the picture.
        """
        if self.board is not None:
            self.board.close()
        if (self._folder / "train.json").exists() and find_spec("matplotlib") is not None:
            draw(self._folder / "curve.csv", self._folder / "curve.png", title)


def _mean(values: Sequence[Tensor]) -> float:
    return float(torch.stack(list(values)).mean()) if values else math.nan


def _board(folder: Path, from_step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=from_step or None)
