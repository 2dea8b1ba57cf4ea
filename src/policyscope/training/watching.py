"""What the network looks at while it learns: the probe's scalars beside the returns, on states met at the start.

``RUN/saliency.csv`` has them by step, ``RUN/saliency.png`` the maps of the last time, TensorBoard both;
``RUN/saliency.safetensors`` keeps the states, so that a resumed run measures the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from policyscope.agents.protocol import Protocol
from policyscope.storage import disk_errors, replacing
from policyscope.training.checkpoints import agent_of
from policyscope.training.curve import Curve
from policyscope.training.games import Games
from policyscope.training.probe import SaliencyProbe

_STATES, _SEQUENCES = 64, 16
_AT_ONCE, _APART = 8, 25  # states of so many games are kept, each so many steps of theirs
_KEPT = "observations"


class Watching:
    """Gathers states as a run begins, and measures its network on them now and then."""

    def __init__(self, folder: Path, every: int, step: int, board: Any = None) -> None:
        """Prepares, or finds what a run kept when it stopped.

        Args:
            folder: Of the run.
            every: Steps between measurements; 0 for none.
            step: Where the run is.
            board: TensorBoard's writer, if there is one.
        """
        self._folder, self._every, self._board = folder, every, board
        self._curve = Curve(folder / "saliency.csv", step) if every else None
        self._next = (step // every + 1) * every if step and every else 0
        self._calls, self._gathered = 0, list[np.ndarray[Any, Any]]()
        self._probe: SaliencyProbe | None = None
        self._start: dict[str, Tensor] = {}

    def __call__(self, step: int, network: nn.Module, games: Games, protocol: Protocol) -> None:
        """Gathers or measures, if it is time to.

        Args:
            step: Where the run is.
            network: What is trained.
            games: What it plays.
            protocol: How it sees them.
        """
        if not self._every:
            return
        if self._probe is None:
            self._prepare(network, games, protocol)
        if self._probe is not None and step >= self._next:
            self._next = (step // self._every + 1) * self._every
            self._measure(self._probe, step, network)

    def _prepare(self, network: nn.Module, games: Games, protocol: Protocol) -> None:
        file = self._folder / "saliency.safetensors"
        if not self._gathered and file.exists():
            kept = load_file(file)
            self._probe = self._made(network.recipe, network.state_dict(), protocol, kept.pop(_KEPT).numpy())  # type: ignore[arg-type]
            self._probe.load_state_dict(kept)
            return
        if not self._start:
            self._start = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        self._calls += 1
        if self._calls % _APART:
            return
        seen = games.observations[:, -protocol.stack :]
        first = self._calls // _APART * _AT_ONCE
        rows = np.arange(first, first + min(_AT_ONCE, len(seen))) % len(seen)
        self._gathered.append(seen[rows][:, :, None] if protocol.layout == "time" else seen[rows].copy())
        wanted = _SEQUENCES if protocol.layout == "time" else _STATES
        if sum(map(len, self._gathered)) >= wanted:
            observations = np.concatenate(self._gathered)[:wanted]
            self._probe = self._made(network.recipe, self._start, protocol, observations)  # type: ignore[arg-type]
            self._probe.start_from(self._probe.agent.network)
            self._start = {}

    def _made(
        self, recipe: Mapping[str, Any], weights: Mapping[str, Tensor], protocol: Protocol, observations: Any
    ) -> SaliencyProbe:
        self._observations = torch.from_numpy(observations)
        return SaliencyProbe(agent_of(recipe, weights, protocol, "greedy", {}), observations)

    def _measure(self, probe: SaliencyProbe, step: int, network: nn.Module) -> None:
        weights = {name: value.detach().float().cpu() for name, value in network.state_dict().items()}
        probe.agent.network.load_state_dict(weights)
        scalars, picture = probe(step), probe.picture()
        with disk_errors(self._folder):
            assert self._curve is not None
            self._curve.add({"step": step, **scalars})
            with replacing(self._folder / "saliency.png") as part:
                Image.fromarray(picture).save(part, format="png")
            with replacing(self._folder / "saliency.safetensors") as part:
                save_file({_KEPT: self._observations, **probe.state_dict()}, part)
        if self._board is not None:
            for name, value in scalars.items():
                self._board.add_scalar(name, value, step)
            self._board.add_image("saliency/maps", picture, step, dataformats="HWC")
