"""Recognition of what moves, by several methods, and the step at which it rises: before the reward, or not.

The score of a method is the share of its map on places where something moves between the last two frames, over their
share of the area: 1 is chance (``probe.measures.on_moving``). What an untrained network scores by chance is measured on
networks whose weights were shuffled, each tensor within itself, which keeps their sizes and nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent, Streams
from policyscope.errors import TargetError
from policyscope.evaluation.rising import SHUFFLES, Noise, shuffled
from policyscope.saliency import plan, targets
from policyscope.saliency.record import differentiating
from policyscope.storage import Array
from policyscope.training.probe import measures
from policyscope.training.probe.states import Forward, ProbeStates

METHODS = ("gradient", "guided_backprop", "grad_cam", "g1_grad_cam")
ACTING = ("policy", "q", "advantage")


class Recognition:
    """Scores of a network on fixed states.

    Args:
        agent: Who is measured; ``agent.network`` is the one that is trained.
        observations: As for ``SaliencyProbe``.
        forward: As there.
        layer: Of the Grad-CAMs.

    Attributes:
        moves: Whether anything moves in any of the states; else there are no scores.
    """

    def __init__(
        self, agent: Agent, observations: Array | Tensor, forward: Forward | None = None, layer: str | int = 1
    ) -> None:
        self.agent, self._layer = agent, layer
        self._states = ProbeStates(agent, observations, forward)
        self.moves = bool(self._states.places.any())
        self._streams = _streams(self._states.streams())

    def __call__(self, network: nn.Module | None = None) -> dict[str, float]:
        """``recognition/STREAM/METHOD`` -> score, of the acting stream and the value.

        Args:
            network: Another one than the agent's, of the same kind.
        """
        if not self.moves:
            return {}
        network = network or self.agent.network
        device = next(network.parameters()).device
        found: dict[str, float] = {}
        with torch.random.fork_rng([device] if device.type == "cuda" else []), differentiating():
            trace = self._states.trace(network)
            places = self._states.places.to(device)
            for stream in self._streams:
                target = targets.select(trace.outputs[stream], "greedy", trace.states, stream)
                try:
                    made = plan.compute(trace, target, METHODS, self._layer)
                except TargetError:  # cut off from the input: it recognises nothing
                    found |= {f"recognition/{stream}/{name}": 0.0 for name in METHODS}
                    continue
                for name, maps in made.items():
                    flat = self._flat(maps, plan.METHODS[name].shape == "input")
                    found[f"recognition/{stream}/{name}"] = float(measures.on_moving(flat, places))
        return found

    def noise(self, seed: int = 0) -> dict[str, Noise]:
        """What networks with this one's weights, shuffled, score; of the untrained one, before it learns."""
        generator = torch.Generator().manual_seed(seed)
        scores = [self(shuffled(self.agent.network, generator)) for _ in range(SHUFFLES)] if self.moves else []
        names = scores[0] if scores else {}
        return {name: Noise.of([one[name] for one in scores]) for name in names}

    def _flat(self, maps: Tensor, signed: bool) -> Tensor:
        if signed:
            return self._states.by_frame(maps.abs()).sum(dim=(1, 2))
        return maps.sum(dim=1) if maps.ndim == 4 else maps


def _streams(outputs: Streams) -> list[str]:
    acting = next((name for name in ACTING if name in outputs), None)
    return [name for name in (acting, "value") if name is not None and name in outputs]
