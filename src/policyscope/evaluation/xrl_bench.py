"""XRL-Bench's five measures of saliency over images (Xiong et al., 2024), so that results stand beside its tables.

The formulas are those of its code (github fuxiAILab/xrl-bench, ``ImageAIM``, ``ImageAUM``, ``ImagePGI``, ``ImagePGU``,
``ImageRIS`` and ``utils/perturbation.py``), in which a feature is a pixel, in all channels at once, ranked by the
absolute value of the map:

* **AIM**, **AUM**: of the states in which the ``k`` most (least) important pixels were set to zero, the share in which
  the greedy action is still the one that was taken. Lower is better for AIM, higher for AUM.
* **PGI**, **PGU**: ``|Q(s, a) - Q(s', a)|`` of the action taken, with the ``k`` most (least) important pixels replaced
  by those of the picture blurred by a Gaussian of sigma 5; pixels that are black in all channels stay
  (``zero_perturbed=False``). Higher is better for PGI, lower for PGU.
* **RIS**: ``||(w - w') / clip(w)|| / ||(x - x') / clip(x)||``, where ``x'`` is the whole picture blurred by sigma 5,
  ``w'`` its map and ``clip`` is from below at 0.001; the largest over states. Lower is better.

The versions of their code differ: the first add Gaussian noise, a later one sets pixels to zero under that name, the
last one blurs, which is followed. The code takes one ``k`` (50 in its examples); the leaderboard's numbers are areas
under the curve over ``k``, whose range the stored code does not tell: ``area`` integrates over the range that is asked
for. Signed weights are clipped by their sign, as the code does, so that where ``w`` is negative a difference is divided
by 0.001.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.evaluation.hiding import Hiding, States, chunks, explained_actions, ranks
from policyscope.evaluation.method_maps import MethodMaps
from policyscope.saliency.perturbation import gaussian_blur
from policyscope.storage import Array

K = 50
SIGMA, CLIP = 5.0, 0.001
MEASURES = ("AIM", "AUM", "PGI", "PGU", "RIS")
BEST_ON_BREAKOUT = {"AIM": 0.162, "AUM": 0.655, "PGI": 1.812, "PGU": 0.347, "RIS": 0.109}
"""The best of each column of its leaderboard (areas under the curve; another agent, its own explainers)."""
_ROWS = 16


@dataclass(frozen=True)
class XrlBench:
    """Values of each frame.

    Attributes:
        rows: (n,) of the episode.
        ks: Numbers of pixels.
        values: Name -> measure -> (n, ks), for RIS (n,).
    """

    rows: Array
    ks: tuple[int, ...]
    values: dict[str, dict[str, Array]]

    def at(self, name: str, measure: str, k: int = K) -> Array:
        """Values (n,) at one number of pixels; XRL-Bench's number is their mean, for RIS their maximum."""
        found = self.values[name][measure]
        return found if found.ndim == 1 else np.asarray(found[:, self.ks.index(k)])

    def area(self, name: str, measure: str) -> Array:
        """The area under the curve over k, divided by the range of k, (n,)."""
        found = self.values[name][measure]
        if found.ndim == 1 or len(self.ks) < 2:
            return found.reshape(len(found), -1)[:, 0]
        return np.asarray(np.trapezoid(found, self.ks, axis=1) / (self.ks[-1] - self.ks[0]))


def xrl_bench(agent: Agent, episode: Episode, rows: Array, maps: MethodMaps, *, ks: Sequence[int] = (K,)) -> XrlBench:
    """The five measures of each of a source's maps.

    Args:
        agent: Who looks; of one with a policy, logits stand for Q-values.
        episode: What it saw and did.
        rows: (n,) of the episode.
        maps: Whose maps are judged; it explains the action taken.
        ks: Numbers of pixels, growing.
    """
    to_zero = Hiding(agent, episode, baseline="zero", temperature=1.0)
    to_blur = Hiding(agent, episode, baseline="blur", sigma=SIGMA, temperature=1.0)
    parts: dict[str, dict[str, list[Array]]] = {name: {m: [] for m in MEASURES} for name in maps.names}
    for number, chunk in enumerate(chunks(rows, _ROWS)):
        zeroed, blurred = to_zero.states(chunk), to_blur.states(chunk)
        actions = explained_actions(episode, chunk, zeroed.original)
        seen = blurred.seen
        lit = (seen != 0).flatten(1, -3).any(dim=1).cpu().numpy()
        other = gaussian_blur(seen, SIGMA)
        before, after = maps(chunk), maps(chunk, other)
        apart = _relative(*(part.flatten(1).double().cpu().numpy() for part in (seen, other)))
        for name, own in before.items():
            order = ranks(own, seed=number)
            found = _fidelity(zeroed, blurred, order, lit, actions, ks)
            found["RIS"] = _relative(*(part[name].reshape(len(chunk), -1).astype(float) for part in (before, after)))
            found["RIS"] = np.where(apart > 0, found["RIS"] / np.where(apart > 0, apart, 1), np.nan)
            for measure in MEASURES:
                parts[name][measure].append(found[measure])
    joined = {name: {m: np.concatenate(list_) for m, list_ in own.items()} for name, own in parts.items()}
    return XrlBench(rows, tuple(ks), joined)


def _fidelity(
    zeroed: States, blurred: States, order: Array, lit: Array, actions: Array, ks: Sequence[int]
) -> dict[str, Array]:
    """AIM, AUM, PGI and PGU of some states, each (n, ks)."""
    count, pixels = len(order), order[0].size
    index, each = np.tile(np.arange(count), 2 * len(ks)), np.arange(count)
    masks = np.concatenate([order < k for k in ks] + [order >= pixels - k for k in ks])
    greedy = zeroed.answered(index, masks).acting.argmax(axis=1).reshape(2, len(ks), count)
    kept = (greedy == actions).astype(float).swapaxes(1, 2)
    own = blurred.original.acting[each, actions]
    values = blurred.answered(index, masks & lit[index]).acting[np.arange(len(index)), actions[index]]
    gaps = np.abs(values.reshape(2, len(ks), count) - own).swapaxes(1, 2)
    return {"AIM": kept[0], "AUM": kept[1], "PGI": gaps[0], "PGU": gaps[1]}


def _relative(one: Array, other: Array) -> Array:
    """``||(one - other) / max(one, 0.001)||`` of each row (n, k) -> (n,)."""
    found: Array = np.linalg.norm((one - other) / np.maximum(one, CLIP), axis=1)
    return found


def leaderboard(results: XrlBench, k: int | None = None) -> dict[str, dict[str, float]]:
    """What XRL-Bench would print: means over states at ``k``, or areas over ``k`` where it is None; RIS's maximum."""
    rows = {}
    for name in results.values:
        values = {m: results.area(name, m) if k is None else results.at(name, m, k) for m in MEASURES}
        rows[name] = {m: float(np.nanmax(v) if m == "RIS" else v.mean()) for m, v in values.items()}
    return rows
