"""Weights & Biases: the probe's scalars, and now and then a picture or a film, in one row of a run's history."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policyscope.errors import MissingExtraError
from policyscope.storage import Array
from policyscope.training.probe import SaliencyProbe
from policyscope.training.probe.film import gif


def log(probe: SaliencyProbe, run: Any, step: int, picture: bool = False, film: bool = False) -> dict[str, float]:
    """Measures, and logs to a run.

    Args:
        probe: The states.
        run: What ``wandb.init`` returned, or the module ``wandb`` itself.
        step: Of the training.
        picture: Log the sheet as well, as an image.
        film: Log the film as well, as a GIF.

    Raises:
        MissingExtraError: A picture or a film was asked for, and Weights & Biases is not installed.

    Example:
        >>> run = wandb.init(project="pong")
        >>> log(probe, run, step, picture=step % 100_000 == 0, film=step % 500_000 == 0)
    """
    scalars = probe(step)
    send(run, scalars, step, probe.picture() if picture else None, probe.film() if film else None)
    return scalars


def send(
    run: Any, scalars: Mapping[str, float], step: int, picture: Array | None = None, film: Array | None = None
) -> None:
    """Gives a run what was measured and drawn.

    Args:
        run: What ``wandb.init`` returned.
        scalars: Name -> value.
        step: Of the training.
        picture: (H, W, 3) uint8.
        film: (n, H, W, 3) uint8.
    """
    row: dict[str, Any] = dict(scalars)
    if picture is None and film is None:
        run.log(row, step=step)
        return
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("wandb", "wandb", "pictures in Weights & Biases") from error
    if picture is not None:
        row["saliency/maps"] = wandb.Image(picture)
    with TemporaryDirectory(prefix="policyscope-") as folder:
        if film is not None:
            path = Path(folder) / "film.gif"
            path.write_bytes(gif(film))
            row["saliency/film"] = wandb.Video(str(path))
        run.log(row, step=step)  # which copies the file
