"""Do maps tell actions apart, and does what an action's map marks matter to that action more than to the others?

The paper looked at Grad-CAM and G1 Grad-CAM and found no visible relation between a map and the action (section 4.2).
Two numbers a frame replace looking:

* *separation*: how far the maps of two actions differ, ``1 - rho`` (Spearman, absolute values) and the total variation
  of the maps over their sums, means over all pairs. Beside them stand the same numbers between a map and that of the
  same action after noise too small to see (the least that could be met) and in another state (what difference means).
* *specificity*: hide what the map of action ``a`` marks, and see by how much the centred output of each action ``b``
  changes: ``E_ab``. ``(mean E_aa - mean E_ab) / (mean E_aa + mean E_ab)`` over ``a != b`` is 0 where all actions have
  the same map, whatever it is, and 1 where hiding what a map marks changes its own action alone. Actions that are
  easily changed, and maps that mark much, cancel. *support* is ``mean E_aa - mean E_ab`` of changes with their sign:
  positive where what the map marks speaks for its action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import TargetError
from policyscope.evaluation.action_guided import RULES, contrasts
from policyscope.evaluation.hiding import Baseline, Hiding, chunks, ranks, top
from policyscope.evaluation.magnitude import flat, magnitude
from policyscope.evaluation.method_maps import flat_map, maps_of, method_of
from policyscope.evaluation.similarity import average_ranks
from policyscope.evaluation.statistics import Interval, summary
from policyscope.saliency import plan, targets
from policyscope.saliency.passes import Passes
from policyscope.saliency.record import differentiating
from policyscope.saliency.request import default_stream
from policyscope.storage import Array

SHARE = 0.02
NOISE = 0.01
"""Standard deviation of the noise, as a share of the range of the input: two or three grey values of 256."""
CONTRAST = " of the contrast"
_ROWS = 8


class ActionMapsOf(Protocol):
    """From rows (n,), seen with some noise, to name -> maps (n, actions, H, W)."""

    def __call__(self, rows: Array, noise: float = 0.0) -> Mapping[str, Array]:
        """The maps."""


class ActionMaps:
    """Maps of every action by many methods: one watched pass.

    Args:
        agent: Whose network is explained.
        episode: Its states.
        names: Methods (``grad_cam``, ``grad_cam@3``), which explain an action's own output, or its contrast with the
            others where ``of the contrast`` follows; and ``action_guided.RULES``.
        stream: The outputs that actions are chosen by.
    """

    def __init__(
        self,
        agent: Agent,
        episode: Episode,
        names: Iterable[str] = ("gradient", "guided_backprop", *RULES),
        *,
        stream: str | None = None,
    ) -> None:
        self.agent, self.names = agent, tuple(names)
        self._passes, self._stream = Passes(agent, episode), stream or default_stream(agent)
        for name in self.names:
            if name not in RULES and method_of(name.removesuffix(CONTRAST))[0] not in plan.METHODS:
                known = ", ".join((*plan.METHODS, *RULES))
                raise TargetError(f"no method {name!r} that explains each action; there are: {known}")

    def __call__(self, rows: Array, noise: float = 0.0) -> dict[str, Array]:
        """Name -> (n, actions, H, W) float32."""
        with differentiating():
            trace = self._passes.watched(rows, window=1, inputs=self._noisy(rows, noise) if noise else None)
            values = targets.entries(targets.stream_of(trace.outputs, self._stream), trace.states, self._stream)
            found: dict[str, list[Array]] = {name: [] for name in self.names}
            for suffix, outputs in (("", values), (CONTRAST, contrasts(values))):
                own = {
                    name: name.removesuffix(CONTRAST)
                    for name in self.names
                    if name not in RULES and name.endswith(CONTRAST) == bool(suffix)
                }
                for action in range(values.shape[1]) if own else ():
                    maps = maps_of(trace, outputs[:, action], self.agent, own.values())
                    for name, method in own.items():
                        found[name].append(maps[method])
            for name in self.names:
                if name in RULES:
                    found[name] = [flat_map(one, self.agent).numpy() for one in RULES[name](trace, values)]
        return {name: np.stack(maps, axis=1) for name, maps in found.items()}

    def _noisy(self, rows: Array, noise: float) -> Tensor:
        own = self._passes.window(rows, 1)[0] if self.agent.memory_size else self._passes.pictures(rows)
        generator = torch.Generator().manual_seed(int(rows[0]))
        return own + noise * float(own.amax() - own.amin()) * torch.randn(own.shape, generator=generator).to(own)


@dataclass(frozen=True)
class Discrimination:
    """How maps tell actions apart, of each frame.

    Attributes:
        rows: (n,) of the episode.
        separation: Name -> (n, 2): ``1 - rho`` and total variation, means over pairs of actions.
        noise: Name -> (n, 2): between the same action's maps after noise too small to see.
        elsewhere: Name -> (n, 2): between the same action's maps in two states.
        effect: Name -> (n, actions, actions): ``E_ab``, in standard deviations of the centred outputs; NaN in the row
            of an action whose map is flat.
        drop: Name -> (n, actions, actions): the same with its sign, positive where the output fell.
    """

    rows: Array
    separation: dict[str, Array]
    noise: dict[str, Array]
    elsewhere: dict[str, Array]
    effect: dict[str, Array]
    drop: dict[str, Array]

    def specificity(self, name: str) -> Array:
        """``(own - others) / (own + others)`` of each frame (n,); NaN where nothing changed."""
        own, others = self._own_and_others(self.effect[name])
        total = own + others
        return np.where(total > 0, (own - others) / np.where(total > 0, total, 1), np.nan)

    def advantage(self, name: str) -> Array:
        """``own - others`` (n,): by how much more the action's output changes, in standard deviations."""
        own, others = self._own_and_others(self.effect[name])
        return np.asarray(own - others)

    def support(self, name: str) -> Array:
        """The same with signs (n,): positive where hiding what an action's map marks makes that action less likely."""
        own, others = self._own_and_others(self.drop[name])
        return np.asarray(own - others)

    def summaries(self, name: str) -> dict[str, Interval]:
        """All of it with intervals."""
        return {
            "separation": summary(self.separation[name][:, 0]),
            "noise": summary(self.noise[name][:, 0]),
            "elsewhere": summary(self.elsewhere[name][:, 0]),
            "variation": summary(self.separation[name][:, 1]),
            "specificity": summary(self.specificity(name)),
            "support": summary(self.support(name)),
        }

    @staticmethod
    def _own_and_others(effects: Array) -> tuple[Array, Array]:
        """Means of ``E_aa`` and of ``E_ab`` (n,) over the actions whose map is not flat; NaN where one alone is."""
        known: Array = np.asarray(np.isfinite(effects).all(axis=2))
        both = known[:, :, None] & known[:, None, :]
        inside = np.where(both, effects, 0)
        number = known.sum(axis=1)
        own = np.trace(inside, axis1=1, axis2=2)
        others = inside.sum(axis=(1, 2)) - own
        enough = number > 1
        number = np.maximum(number, 2)
        return np.where(enough, own / number, np.nan), np.where(enough, others / (number * (number - 1)), np.nan)


def discrimination(
    agent: Agent,
    episode: Episode,
    rows: Array,
    maps: ActionMapsOf,
    *,
    share: float = SHARE,
    baseline: Baseline = "background",
    seed: int = 0,
) -> Discrimination:
    """Both numbers of each of a source's maps.

    Args:
        agent: Whose actions are explained.
        episode: What it saw.
        rows: (n,) of the episode.
        maps: Of every action.
        share: Of the pixels that are hidden.
        baseline: What stands in for them.
        seed: Of the order of ties.
    """
    hiding = Hiding(agent, episode, baseline=baseline, temperature=1.0)
    spread = float(_centred(hiding.states(rows).original.acting).std()) or 1.0
    parts: list[dict[str, dict[str, Array]]] = []
    for number, chunk in enumerate(chunks(rows, _ROWS)):
        own, noisy = maps(chunk), maps(chunk, NOISE)
        states = hiding.states(chunk)
        before = _centred(states.original.acting)
        found: dict[str, dict[str, Array]] = {}
        for name, found_maps in own.items():
            count, actions = found_maps.shape[:2]
            stacked = found_maps.reshape(count * actions, *found_maps.shape[2:])
            masks = top(ranks(stacked, seed=seed + number), share)
            index = np.repeat(np.arange(count), actions)
            after = _centred(states.answered(index, masks).acting).reshape(count, actions, -1)
            drops = (before[:, None] - after) / spread
            drops[flat(magnitude(stacked)).reshape(count, actions)] = np.nan
            found[name] = {
                "separation": separation(found_maps),
                "noise": _apart(found_maps, noisy[name]),
                "elsewhere": _apart(found_maps, np.roll(found_maps, 1, axis=0)),
                "drop": drops,
            }
        parts.append(found)

    def joined(what: str) -> dict[str, Array]:
        return {name: np.concatenate([part[name][what] for part in parts]) for name in parts[0]}

    drop = joined("drop")
    effect = {name: np.abs(values) for name, values in drop.items()}
    return Discrimination(rows, joined("separation"), joined("noise"), joined("elsewhere"), effect, drop)


def separation(maps: Array) -> Array:
    """How far the maps of different actions differ, (n, actions, H, W) -> (n, 2): ``1 - rho`` and total variation.

    Means over all pairs of actions whose maps are not flat; NaN where there is none.
    """
    rank, shares = _ready(maps)
    first, second = np.triu_indices(maps.shape[1], 1)
    if not len(first):
        return np.full((len(maps), 2), np.nan)
    rho = np.einsum("nap,nbp->nab", rank, rank, optimize=True)[:, first, second]
    variation = [0.5 * np.abs(shares[:, a] - shares[:, b]).sum(axis=1) for a, b in zip(first, second, strict=True)]
    return np.stack([_mean(1 - rho), _mean(np.stack(variation, axis=1))], axis=1)


def _apart(one: Array, other: Array) -> Array:
    """The same of each action's map in one set and in another, means over actions, (n, 2)."""
    (rank, shares), (rank_other, shares_other) = _ready(one), _ready(other)
    rho = (rank * rank_other).sum(axis=2)
    variation = 0.5 * np.abs(shares - shares_other).sum(axis=2)
    return np.stack([_mean(1 - rho), _mean(variation)], axis=1)


def _mean(values: Array) -> Array:
    """The mean over what is known of each row, (n, k) -> (n,) float64."""
    known = np.isfinite(values)
    count = known.sum(axis=1)
    return np.where(count > 0, np.where(known, values, 0).sum(axis=1, dtype=np.float64) / np.maximum(count, 1), np.nan)


def _ready(maps: Array) -> tuple[Array, Array]:
    """Centred ranks of length 1, and sizes that add up to 1, (n, actions, H W) float32 each; NaN of a flat map."""
    count, actions = maps.shape[:2]
    sizes = magnitude(maps).reshape(count, actions, -1)
    total = sizes.sum(axis=2, keepdims=True)
    shares = np.where(total > 0, sizes / np.where(total > 0, total, 1), np.nan)
    rank = average_ranks(sizes.reshape(count * actions, 1, -1))
    rank = rank - rank.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.sqrt((rank**2).sum(axis=1, keepdims=True))
    unit = np.where(norm > 0, rank / np.where(norm > 0, norm, 1), np.nan).astype(np.float32)
    return unit.reshape(sizes.shape), shares


def _centred(values: Array) -> Array:
    """Outputs (…, actions) without what all actions share: of Q-values advantages, of logits log-odds."""
    centred: Array = values - values.mean(axis=-1, keepdims=True)
    return centred
