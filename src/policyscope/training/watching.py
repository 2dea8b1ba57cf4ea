"""What the network looks at while it learns: the probe's scalars beside the returns, on states met at the start.

``RUN/saliency.csv`` has them by step, ``RUN/saliency.png`` the maps of the last time, ``RUN/saliency.gif`` a film of
them, made now and then, and TensorBoard all; ``RUN/saliency.safetensors`` keeps the states, so that a resumed run
measures the same ones. Among the scalars is the recognition of what moves, by several methods; ``RUN/recognition.json``
has what it is in an untrained network.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from policyscope.agents.protocol import Protocol
from policyscope.storage import disk_errors, replacing, write_json
from policyscope.training.checkpoints import agent_of
from policyscope.training.curve import Curve
from policyscope.training.games import Games
from policyscope.training.probe import SaliencyProbe
from policyscope.training.probe.film import FRAMES, add_gif, gif
from policyscope.training.watch.recognition import Recognition

_STATES, _SEQUENCES = 64, 16
_AT_ONCE, _APART = 8, 25  # states of so many games are kept, each so many steps of theirs
_KEPT, _FILM = "observations", "film"


class Watching:
    """Gathers states as a run begins, and measures its network on them now and then."""

    def __init__(self, folder: Path, every: int, step: int, board: Any = None, films: int = 10) -> None:
        """Prepares, or finds what a run kept when it stopped.

        Args:
            folder: Of the run.
            every: Steps between measurements; 0 for none.
            step: Where the run is.
            board: TensorBoard's writer, if there is one.
            films: Every how many measurements a film is made; 0 for none.
        """
        self._folder, self._every, self._board = folder, every, board
        self._curve = Curve(folder / "saliency.csv", step) if every else None
        self._next = (step // every + 1) * every if step and every else 0
        self._calls, self._gathered = 0, list[np.ndarray[Any, Any]]()
        self._measured = step // every if every else 0  # a resumed run goes on counting
        self._films, self._in_a_row = films, deque[np.ndarray[Any, Any]](maxlen=FRAMES)
        self._probe: SaliencyProbe | None = None
        self._recognition: Recognition | None = None
        self._start: dict[str, Tensor] = {}

    def __call__(self, step: int, network: nn.Module, games: Games, protocol: Protocol) -> dict[str, float] | None:
        """Gathers or measures, if it is time to.

        Args:
            step: Where the run is.
            network: What is trained.
            games: What it plays.
            protocol: How it sees them.

        Returns:
            What was measured, if it was time to.
        """
        if not self._every:
            return None
        if self._probe is None:
            self._prepare(network, games, protocol)
        if self._probe is not None and step >= self._next:
            self._next = (step // self._every + 1) * self._every
            return self._measure(self._probe, step, network)
        return None

    def _prepare(self, network: nn.Module, games: Games, protocol: Protocol) -> None:
        file = self._folder / "saliency.safetensors"
        if not self._gathered and file.exists():
            kept = load_file(file)
            states = {name: kept.pop(name) for name in (_KEPT, _FILM) if name in kept}  # early runs have no film
            self._probe = self._made(network.recipe, network.state_dict(), protocol, states)  # type: ignore[arg-type]
            self._probe.load_state_dict(kept)
            return
        if not self._start:
            self._start = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
        self._calls += 1
        seen = games.observations[:, -protocol.stack :]
        seen = seen[:, :, None] if protocol.layout == "time" else seen
        self._in_a_row.append(seen[0].copy())
        if self._calls % _APART:
            return
        first = self._calls // _APART * _AT_ONCE
        rows = np.arange(first, first + min(_AT_ONCE, len(seen))) % len(seen)
        self._gathered.append(seen[rows])
        wanted = _SEQUENCES if protocol.layout == "time" else _STATES
        if sum(map(len, self._gathered)) >= wanted:
            found = {_KEPT: np.concatenate(self._gathered)[:wanted], _FILM: np.stack(self._in_a_row)}
            states = {name: torch.from_numpy(array) for name, array in found.items()}
            self._probe = self._made(network.recipe, self._start, protocol, states)  # type: ignore[arg-type]
            self._probe.start_from(self._probe.agent.network)
            assert self._recognition is not None
            noise = {name: vars(one) for name, one in self._recognition.noise().items()}
            with disk_errors(self._folder):
                write_json(self._folder / "recognition.json", noise)
            self._start = {}

    def _made(
        self,
        recipe: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        protocol: Protocol,
        states: dict[str, Tensor],
    ) -> SaliencyProbe:
        self._states = states
        agent = agent_of(recipe, weights, protocol, "greedy", {})
        self._recognition = Recognition(agent, states[_KEPT])
        return SaliencyProbe(agent, states[_KEPT], film=states.get(_FILM))

    def _measure(self, probe: SaliencyProbe, step: int, network: nn.Module) -> dict[str, float]:
        weights = {name: value.detach().float().cpu() for name, value in network.state_dict().items()}
        probe.agent.network.load_state_dict(weights)
        assert self._recognition is not None
        scalars, picture = probe(step) | self._recognition(), probe.picture()
        film = probe.film() if self._films and self._measured % self._films == 0 else None
        self._measured += 1
        with disk_errors(self._folder):
            assert self._curve is not None
            self._curve.add({"step": step, **scalars})
            with replacing(self._folder / "saliency.png") as part:
                Image.fromarray(picture).save(part, format="png")
            if film is not None:
                with replacing(self._folder / "saliency.gif") as part:
                    part.write_bytes(gif(film))
            with replacing(self._folder / "saliency.safetensors") as part:
                save_file({**self._states, **probe.state_dict()}, part)
        if self._board is not None:
            for name, value in scalars.items():
                self._board.add_scalar(name, value, step)
            self._board.add_image("saliency/maps", picture, step, dataformats="HWC")
            if film is not None:
                add_gif(self._board, "saliency/film", film, step)
        return scalars
