"""The probe: what a network that is being trained looks at, in a few numbers, on states that stay the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent, Streams
from policyscope.agents.custom import Guess
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.saliency import targets
from policyscope.saliency.record import differentiating
from policyscope.saliency.rectifiers import Point, Rule
from policyscope.saliency.trace import Trace
from policyscope.storage import Array
from policyscope.training.probe import layers, measures
from policyscope.training.probe.film import FRAMES, add_gif, film
from policyscope.training.probe.layers import Scalars
from policyscope.training.probe.outputs import UNEXPLAINED, USUAL, of_outputs
from policyscope.training.probe.sheet import Pictures, columns, joined, looked, sheet
from policyscope.training.probe.states import Forward, ProbeStates, described, in_a_row, spread_over

_AT_ONCE = 16
"""States of a film that go through the network at once."""


class SaliencyProbe:
    """Measures a network on fixed states, with the weights that it has when it is called.

    One watched forward pass serves all; each stream goes back once under each rule. The network is left as it was:
    its mode, its gradients and the state of the random numbers. What each scalar means, its formula and what healthy
    looks like is in ``docs/callbacks.md``.

    Attributes:
        agent: The network and how it is fed; ``agent.network`` is the one that is trained.
        streams: The streams that are measured.
        step: The training step of the last call.

    Args:
        agent: Who is measured.
        observations: (n, *observation_shape) as recorded (before the protocol scales them); (n, window,
            *observation_shape) for a network with a memory, which begins each window empty.
        streams: Names of streams; by default all but attention and spread.
        selection: What is explained of a stream with several entries: ``greedy``, ``contrast`` or ``sum``.
        forward: How the network is called, ``forward(network, inputs)``; by default ``network(inputs)``. The agent's
            ``read`` makes streams of what it returns.
        film: Observations of steps that follow each other, for films; left out, a film shows the states.

    Raises:
        ProtocolError: The network does not take the observations.
        TargetError: It has no such stream.

    Example:
        >>> probe = SaliencyProbe(agent, episode.observations[:64])
        >>> probe(step=10_000)["saliency/value/zero_share"]
        0.0
    """

    def __init__(
        self,
        agent: Agent,
        observations: Array | Tensor,
        *,
        streams: Sequence[str] | None = None,
        selection: str = "greedy",
        forward: Forward | None = None,
        film: Array | Tensor | None = None,
    ) -> None:
        self.agent, self.selection, self.step = agent, selection, 0
        self._states = ProbeStates(agent, observations, forward)
        self._film = self._states if film is None else ProbeStates(agent, film, forward)
        self.streams = self._checked(streams)
        # path -> the ranks of the maps
        self._start: dict[str, Tensor] = {}
        self._before: dict[str, Tensor] = {}

    @classmethod
    def for_module(
        cls,
        network: nn.Module,
        observations: Array | Tensor,
        *,
        read: Callable[[Any], Streams] | None = None,
        forward: Forward | None = None,
        streams: Sequence[str] | None = None,
        selection: str = "greedy",
        stack: int | None = None,
        scale: float = 1.0,
        film: Array | Tensor | None = None,
    ) -> SaliencyProbe:
        """A probe of any torch module, as one's own training loop has it.

        Args:
            network: The module; it stays in the mode that it is in.
            observations: (n, C, H, W), (n, H, W, C) or, frames apart in time, (n, lags, C, H, W), as the module
                is given them in training.
            read: From what the module returns to its streams by name. Left out, a single tensor is ``q``, and of a
                pair the one with a single column is ``value`` and the other ``policy``.
            forward: How it is called, where that is not ``network(observations)``.
            streams: Names of the streams to measure.
            selection: As for the class.
            stack: Frames in the channels; by default channels that are a multiple of three are coloured frames.
            scale: What observations are divided by first; 1 where the module does so itself, or is given floats.
            film: As for the class.
        """
        name = type(network).__name__
        protocol = described(observations, name, stack, scale)
        agent = Agent(network, protocol, (), (), read=read or Guess(), source=name)
        return cls(agent, observations, streams=streams, selection=selection, forward=forward, film=film)

    @classmethod
    def for_episode(
        cls, agent: Agent, episode: Episode, states: int | None = None, window: int = 10, **options: Any
    ) -> SaliencyProbe:
        """A probe on states of an episode, evenly spread, and a film of steps in its middle.

        Args:
            agent: Who is measured.
            episode: Where the states are from, whoever has played it.
            states: How many; by default 64, or 16 where each is several frames that are apart in time.
            window: Frames that a network with a memory is unrolled over.
            options: As for the class.
        """
        options = {"film": in_a_row(agent, episode, FRAMES, window)} | options
        return cls(agent, spread_over(agent, episode, states, window), **options)

    def __call__(self, step: int = 0) -> dict[str, float]:
        """Measures; the names are the same at each call.

        Args:
            step: Of the training, for the picture's heading.
        """
        self.step = step
        with self._untouched():
            trace = self._states.trace(self.agent.network)
            outputs: Streams = trace.outputs
            scalars, ranked = self._of_streams(trace)
            scalars |= layers.activity(trace, outputs.values())
            detached = {name: values.detach() for name, values in outputs.items()}
            scalars |= of_outputs(detached, self.agent.continuous is None)
            self._start = self._start or ranked
            before, self._before = self._before or ranked, ranked
            for path, now in ranked.items():
                scalars[f"{path}/change"] = measures.change(now, before[path])
                scalars[f"{path}/change_from_start"] = measures.change(now, self._start[path])
            values = torch.stack([v.detach().float() for v in scalars.values()]).tolist()
        return dict(sorted(zip(scalars, values, strict=True), key=lambda item: _order(item[0])))

    def log(self, writer: Any, step: int, picture: bool = False, film: bool = False) -> dict[str, float]:
        """Measures, and writes to anything with ``add_scalar`` (and ``add_image``), such as a SummaryWriter.

        Args:
            writer: Films are written to TensorBoard's own SummaryWriter alone.
            step: Of the training.
            picture: Write :meth:`picture` as well.
            film: Write :meth:`film` as well.
        """
        scalars = self(step)
        for name, value in scalars.items():
            writer.add_scalar(name, value, step)
        if picture and hasattr(writer, "add_image"):
            writer.add_image("saliency/maps", self.picture(), step, dataformats="HWC")
        if film:
            add_gif(writer, "saliency/film", self.film(), step)
        return scalars

    def picture(self, states: int = 4, layer: str | int = 1) -> Array:
        """Screens and maps of a few states, the same each time: (H, W, 3) uint8.

        Args:
            states: Rows of the sheet.
            layer: The layer of Grad-CAM.
        """
        rows = np.linspace(0, len(self._states) - 1, min(states, len(self._states))).round().astype(int)
        return sheet(self._drawn(self._states, rows, layer), self.step)

    def film(self, frames: int = FRAMES, layer: str | int = 1) -> Array:
        """Screens and maps of steps that follow each other, the same each time: (n, H, W, 3) uint8.

        All maps of a column have one scale, so that the film does not flicker.

        Args:
            frames: At most so many.
            layer: The layer of Grad-CAM.
        """
        rows = np.arange(min(frames, len(self._film)))
        return film(self._drawn(self._film, rows, layer, together=True), self.step)

    def _drawn(self, states: ProbeStates, rows: Array, layer: str | int, together: bool = False) -> list[Pictures]:
        def newest(gradient: Tensor) -> Tensor:
            return states.by_frame(gradient)[:, -1].sum(dim=1)

        parts = []
        with self._untouched():
            for some in np.array_split(rows, -(-len(rows) // _AT_ONCE)):
                trace = states.trace(self.agent.network, some)
                parts.append(looked(trace, {s: self._target(trace, s) for s in self.streams}, newest, layer))
        return columns(joined(parts), states.screens(rows), together)

    def start_from(self, network: nn.Module) -> None:
        """Takes this network's maps as the start from now on, such as those of a copy made before training."""
        with self._untouched():
            self._start = self._of_streams(self._states.trace(network))[1]

    def state_dict(self) -> dict[str, Tensor]:
        """What a resumed training needs beside the same observations: the maps at the start and at the last call."""
        kept = {"start": self._start, "before": self._before}
        return {f"{when}:{path}": maps.cpu() for when, found in kept.items() for path, maps in found.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continues where ``state_dict`` was taken."""
        self._start, self._before = (
            {
                path.removeprefix(when): maps.to(self.agent.device)
                for path, maps in state.items()
                if path.startswith(when)
            }
            for when in ("start:", "before:")
        )

    def _of_streams(self, trace: Trace) -> tuple[Scalars, dict[str, Tensor]]:
        """The scalars of all streams' maps, and path -> the ranks of these maps."""
        places = self._states.places.to(trace.leaf.device)
        points = layers.output_points(trace)
        # per change of a pixel from black to white, whatever the network's inputs are divided by
        unit = self._states.full / self.agent.protocol.scale
        scalars: Scalars = {}
        ranked: dict[str, Tensor] = {}
        for stream in self.streams:
            target, path = self._target(trace, stream), f"saliency/{stream}"
            gradient, at_layers = _gradients(trace, target, "standard", points)
            guided, _ = _gradients(trace, target, "guided", [])
            sizes = self._states.by_frame(gradient.abs()).sum(dim=2)
            scalars[f"{path}/gradient_norm"] = measures.norm([gradient], trace.states) * unit
            shares = measures.lag_shares(sizes).flip(0)
            scalars |= {f"{path}/lag_share/t-{lag}": share for lag, share in enumerate(shares)}
            scalars |= layers.gradient_norms(trace, stream, at_layers)
            of_guided = self._states.by_frame(guided.abs()).sum(dim=(1, 2))
            for of_rule, maps in ((path, sizes.sum(dim=1)), (f"{path}/guided", of_guided)):
                scalars[f"{of_rule}/zero_share"] = measures.zero_share(maps)
                scalars[f"{of_rule}/area_half"] = measures.area_half(maps)
                if self._states.places.any():
                    scalars[f"{of_rule}/on_moving"] = measures.on_moving(maps, places)
                ranked[of_rule] = measures.ranks(maps)
        return scalars, ranked

    def _target(self, trace: Trace, stream: str) -> Tensor:
        return targets.select(trace.outputs[stream], self.selection, trace.states, stream)

    def _checked(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        """The streams to measure, after one state has gone through the network."""
        with self._untouched():
            outputs = self._states.streams()
        usual = [name for name in USUAL if name in outputs]
        others = [name for name in outputs if name not in USUAL and not name.startswith(UNEXPLAINED)]
        names = tuple(wanted or usual + others)
        if not names:
            raise TargetError(f"the network of {self.agent.source} has no stream to measure")
        for name in names:
            if name not in outputs:
                raise TargetError(f"no stream {name!r} to measure; the network has: {', '.join(outputs)}")
            targets.select(outputs[name], self.selection, 1, name)
        return names

    @contextmanager
    def _untouched(self) -> Iterator[None]:
        """Gradients on, and random numbers that go on afterwards as if nothing had been run."""
        device = self.agent.device
        with torch.random.fork_rng([device] if device.type == "cuda" else []), differentiating():
            yield


def _gradients(trace: Trace, target: Tensor, rule: Rule, points: list[Point]) -> tuple[Tensor, list[Tensor | None]]:
    """The gradient at the input and at points; zero where the target is cut off from the input, which is a finding."""
    try:
        found = trace.gradients(target, rule, points, keep=False)
    except TargetError as error:
        if error.__cause__ is not None:  # it is not cut off: it could not be told
            raise
        arrived: Sequence[Tensor | None] = [None] * len(points)
        if target.requires_grad and points:
            edges = [p.edge for p in points]
            arrived = torch.autograd.grad(target.sum(), edges, retain_graph=True, allow_unused=True)
        return torch.zeros_like(trace.leaf), list(arrived)
    return found.input, [found.at(p) for p in points]


def _order(name: str) -> tuple[int, str]:
    """Saliency first."""
    groups = ("saliency", "policy", "q", "value", "advantage", "attention", "layers")
    return groups.index(name.split("/")[0]), name
