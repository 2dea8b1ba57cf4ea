"""What a map is around the things of a kind, and what that says of the Laplacian hypothesis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from policyscope.evaluation.fits import Fit, difference
from policyscope.evaluation.operators import OPERATORS, SOBEL
from policyscope.evaluation.profiles import block_draws, ring_intervals
from policyscope.evaluation.statistics import NOTHING, Interval, summary
from policyscope.storage import Array

LEAST_CEILING = 0.5
"""What half of the frames must tell of the other half before anything is said of a shape."""
LEAST_EXPLAINED = 0.5
"""Of the mean map's variance, below which a shape is not called a Laplacian's, whatever explains less."""
OPERATOR_NAMES = (*OPERATORS, SOBEL)


@dataclass(frozen=True)
class Ring:
    """The ring around a thing that is most opposite to its middle, chosen on even frames and measured on odd ones.

    Attributes:
        radius: In observation pixels.
        depth: How strong it is, as a share of the middle and positive where its sign is the other one.
        far: The same of the outermost ring: as deep as the ring where there is no ring but a ground.
    """

    radius: int
    depth: Interval
    far: float


@dataclass(frozen=True)
class Around:
    """What a map is around the things of a kind, on one input frame.

    Attributes:
        agent: Who.
        stream: What was explained.
        kind: Of thing.
        lag: The input frame, 0 the newest.
        at: ``then``: around where the thing was in that frame; ``now``: around where it is in the newest.
        rings: (n, R) means over rings around the centre, in standard deviations of the frame's whole map.
        core: (n,) a frame's mean over the things themselves, in standard deviations of the map.
        surround: (n,) over the band of three pixels around them.
        fits: Of families of shapes to the mean map.
        ceiling: What half of the frames explain of the others.
        mean: (P, P) the mean map.
        acts_by: The stream that the agent acts by: ``q`` where its loss saw the chosen action's value alone.
    """

    agent: str
    stream: str
    kind: str
    lag: int
    at: str
    rings: Array
    core: Array
    surround: Array
    fits: dict[str, Fit]
    ceiling: Interval
    mean: Array
    acts_by: str = ""

    @property
    def opposition(self) -> Interval:
        """How opposite core and surround are."""
        return opposition(self.core, self.surround)

    @property
    def profile(self) -> list[Interval]:
        """The mean of each ring."""
        return ring_intervals(self.rings[:, None])

    @property
    def ring(self) -> Ring:
        """The ring that is most opposite to the middle."""
        return deepest_ring(self.rings)

    @property
    def transition(self) -> Interval:
        """How far the map falls or rises from core to surround, in standard deviations of the map."""
        return summary(np.abs(self.core - self.surround))

    @property
    def laplacian(self) -> Fit:
        """The better of the two Laplacians of Gaussians: of a point, or of the thing's shape."""
        return self._better("laplacian of gaussian")

    @property
    def blob(self) -> Fit:
        """The better of the two Gaussians."""
        return self._better("gaussian")

    @property
    def operator(self) -> Fit:
        """The best of the operators on the thing's own picture."""
        return max((self.fits[name] for name in OPERATOR_NAMES), key=_explained)

    @property
    def lead(self) -> Interval:
        """How much more of the variance the Laplacian of Gaussian explains than the best of its rivals."""
        return difference(self.laplacian, max(self.blob, self.operator, key=_explained))

    @property
    def verdict(self) -> str:
        """What this says of the hypothesis, in a few words."""
        if not self.ceiling.mean >= LEAST_CEILING:
            return "no stable shape"
        opposite = self.opposition.against() == "higher"
        explains = self.laplacian.explained.mean >= LEAST_EXPLAINED
        if opposite and explains and self.lead.against() == "higher":
            return "Laplacian"
        if opposite:
            return "opposite surround, shape not a Laplacian's alone"
        return "no opposite surround" if self.opposition.against() == "lower" else "opposite surround not sure"

    def _better(self, name: str) -> Fit:
        return max(self.fits[name], self.fits[f"{name}, shaped"], key=_explained)


def opposition(core: Array, surround: Array, draws: int = 1000) -> Interval:
    """How opposite two means over frames are: (|c - s| - |c + s|) / (|c| + |s|), between -1 and 1.

    1 says that they are as strong and of opposite sign, 0 that one of them is zero, -1 that they are the same. The
    interval is a block bootstrap's, of both means together.

    Args:
        core: (n,) NaN where the thing is not there.
        surround: (n,).
        draws: Bootstrap samples.
    """
    known = np.isfinite(core) & np.isfinite(surround)
    if known.sum() < 5:
        return Interval(float("nan"), float("nan"), float("nan"), int(known.sum()))
    c, s = core[known], surround[known]
    rows = block_draws(c - s, draws)
    values = opposition_of(c[rows].mean(axis=1), s[rows].mean(axis=1))
    low, high = np.nanquantile(values, (0.025, 0.975))
    return Interval(float(opposition_of(c.mean(), s.mean())), float(low), float(high), int(known.sum()))


def deepest_ring(rings: Array, draws: int = 1000) -> Ring:
    """Finds the ring that is most opposite to the middle.

    Args:
        rings: (n, R) means over rings, frame by frame, NaN where the thing is not there.
        draws: Bootstrap samples, in blocks.
    """
    # Where a centre lies between four pixels, none is within half a pixel of it.
    rings = np.where(np.isfinite(rings[:, :1]) | (np.arange(rings.shape[1]) > 0), rings, rings[:, 1:2])
    there = np.isfinite(rings[:, 0])
    even = rings[there & (np.arange(len(rings)) % 2 == 0)]
    odd = rings[there & (np.arange(len(rings)) % 2 == 1)]
    if min(len(even), len(odd)) < 10:
        return Ring(0, NOTHING, float("nan"))
    chosen = int(np.nanargmin(np.sign(even[:, 0].mean()) * np.nanmean(even, axis=0)))
    whole = np.nanmean(odd, axis=0)
    if not whole[0]:
        return Ring(0, NOTHING, float("nan"))
    depths = -whole / whole[0]
    # A ring may reach beyond the picture in some frames.
    pairs = odd[np.isfinite(odd[:, chosen])][:, [0, chosen]]
    drawn = pairs[block_draws(pairs[:, 1], draws)].mean(axis=1)
    drawn = drawn[drawn[:, 0] != 0]
    low, high = np.quantile(-drawn[:, 1] / drawn[:, 0], (0.025, 0.975))
    depth = Interval(float(depths[chosen]), float(low), float(high), len(pairs))
    return Ring(chosen, depth, float(depths[-1]))


def opposition_of(core: Any, surround: Any) -> Any:
    """The formula of ``opposition``, on numbers or arrays."""
    total = np.abs(core) + np.abs(surround)
    return (np.abs(core - surround) - np.abs(core + surround)) / np.where(total > 0, total, np.nan)


def _explained(one: Fit) -> float:
    return one.explained.mean if np.isfinite(one.explained.mean) else -np.inf
