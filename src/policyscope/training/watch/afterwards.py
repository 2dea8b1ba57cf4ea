"""A training that nobody watched, examined by what it left: its checkpoints and its curves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from policyscope.diagnosis.finding import Finding, Where
from policyscope.errors import RunError
from policyscope.training.watch.detected import Detected
from policyscope.training.watch.following import checkpoints, follow

SILENT = re.compile(r"saliency/([^/]+)/zero_share")


def afterwards(folder: Path) -> list[Detected]:
    """What checkpoints and curves say: weights that are no numbers or do not move, streams that see nothing.

    Args:
        folder: Of a training run, or of checkpoints named ``agent-STEP.safetensors``.

    Raises:
        RunError: A checkpoint cannot be read.
    """
    return sorted([*_weights(checkpoints(folder)), *_curves(folder)], key=lambda one: (one.finding.order, one.first))


def _weights(files: Iterable[Path]) -> Iterator[Detected]:
    before: dict[str, Tensor] | None = None
    for file in files:
        try:
            now = {name: value.float() for name, value in load_file(file).items() if value.is_floating_point()}
        except (SafetensorError, OSError, ValueError) as error:
            raise RunError(f"{file} is no checkpoint that can be read: {error}") from error
        number = re.search(r"(\d+)$", file.stem)
        step = int(number[1]) if number else 0
        if not all(bool(torch.isfinite(value).all()) for value in now.values()):
            found = Finding(
                "not-finite",
                "grave",
                Where("training", region="weights"),
                f"a weight of {file.name} is not a number",
                "go on from the checkpoint before it, with a smaller learning rate or clipped gradients",
                "certain",
            )
            yield Detected(found, step, step)
            return
        if before is not None and now.keys() == before.keys() and all(torch.equal(now[k], before[k]) for k in now):
            found = Finding(
                "learning-rate",
                "grave",
                Where("training", region="weights"),
                f"the weights of {file.name} are those of the checkpoint before it: nothing was learnt in between",
                "look at whether the optimiser has this network's weights, at its learning rate, and at step()",
                "certain",
            )
            yield Detected(found, step, step)
            return
        before = now


def _curves(folder: Path) -> Iterator[Detected]:
    if not (folder / "saliency.csv").exists():
        return
    for name, points in follow(folder).scalars.items():
        stream = SILENT.fullmatch(name)
        late = [step for step, value in points[-2:] if value == 1]
        if stream and len(late) == 2:
            found = Finding(
                "dead-stream",
                "grave",
                Where("training", stream=stream[1]),
                "in the last two measurements no gradient of this stream reaches the input in any state",
                f"look for detach() or dead rectifiers; layers/…/gradient_norm/{stream[1]} in saliency.csv says "
                "where it "
                "stops",
                "certain",
            )
            yield Detected(found, int(late[0]), int(late[1]))
