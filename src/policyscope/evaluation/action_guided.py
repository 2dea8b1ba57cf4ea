"""Guided backpropagation that tells actions apart, which the paper names as future work, and the rules it was chosen
from.

Guided backpropagation of an action's output hardly depends on the action: what all actions share (a dueling network's
value stream, features that raise every logit) goes back with it. Every rule here starts from an action's *contrast*
with the others, or takes what they share away afterwards. The guided rule clips negative gradients, so that guiding
``c`` and guiding ``-c`` give different maps: what speaks for an action, and what against it.

How they were compared, and with which result, is told in docs/discrimination.md; :func:`action_guided_backprop` is the
rule that was chosen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from policyscope.saliency.trace import Trace

SMOOTH = 5

ActionRule = Callable[[Trace, Tensor], list[Tensor]]
"""From a trace and the outputs (B, k) that actions are chosen by to one input-shaped map for each of the k actions."""


def action_guided_backprop(trace: Trace, values: Tensor, actions: Tensor | int, *, signed: bool = False) -> Tensor:
    """Action-discriminative guided backpropagation: where more speaks for an action than against it.

    With ``c`` the action's output minus the mean of the others', ``G`` guided backpropagation and ``u`` a map over
    the sum of its absolute values: ``max(|u(G(c))| - |u(G(-c))|, 0)``. The guided rule clips the negative gradient of
    ``c`` at the first rectifier it meets, so that ``G(c)`` is what raises the action above the others, ``G(-c)`` what
    raises the others above it, and what raises both (the value, the picture's edges) goes out. For an actor's logits,
    Q-values or advantages alike: what all actions share is no part of ``c``. Two backward passes.

    Args:
        trace: The watched pass.
        values: (B, k) what actions are chosen by, with its graph.
        actions: (B,) or one for all.
        signed: Keep the negative part: where more speaks against the action.

    Returns:
        The input's shape, one map a frame and channel; each state's sizes are shares, so that states compare.
    """
    chosen = torch.as_tensor(actions, device=values.device).long().reshape(-1).expand(len(values))
    contrast = contrasts(values).gather(1, chosen[:, None]).squeeze(1)
    found = _unit(guided(trace, contrast)).abs() - _unit(guided(trace, -contrast)).abs()
    return found if signed else found.clamp(min=0)


def guided(trace: Trace, target: Tensor) -> Tensor:
    """Guided backpropagation of a target (B,), which is let go of."""
    found = trace.gradients(target, "guided", points=[], keep=False).input
    return found.detach()


def contrasts(values: Tensor) -> Tensor:
    """Each entry minus the mean of the others, (B, k)."""
    others = (values.sum(dim=1, keepdim=True) - values) / (values.shape[1] - 1)
    return values - others


def softmax_contrasts(values: Tensor) -> Tensor:
    """Each entry minus the mean of the others, weighted by how probable they are, (B, k).

    The weights are the softmax of the values over their standard deviation in the state, and no gradient goes through
    them: a rival that is about to be chosen counts, one that is out of the question does not.
    """
    plain = values.detach()
    logits = plain / plain.std(dim=1, keepdim=True, correction=0).clamp(min=1e-12)
    count = values.shape[1]
    own = torch.eye(count, dtype=torch.bool, device=values.device)
    weights = logits[:, None, :].expand(-1, count, -1).masked_fill(own, -torch.inf).softmax(dim=2)
    return values - torch.einsum("bac,bc->ba", weights, values)


def of_one(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(o_a)``: guided backpropagation as it is."""
    return [guided(trace, values[:, action]) for action in range(values.shape[1])]


def of_contrast(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(c_a)`` with ``c_a = o_a - mean of the others``: what speaks for the action."""
    return of_one(trace, contrasts(values))


def of_softmax_contrast(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(o_a - sum_b w_b o_b)``, with the others weighted by their softmax."""
    return of_one(trace, softmax_contrasts(values))


def for_and_against(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(c_a) - G(-c_a)``: what speaks for the action minus what speaks against it, guided apart.

    At a linear last layer after a rectifier these are the positive and the negative weights of the contrast, as in
    contrastive excitation backpropagation (Zhang et al., 2016), each sent down by itself.
    """
    wide = contrasts(values)
    return [a - b for a, b in zip(of_one(trace, wide), of_one(trace, -wide), strict=True)]


def softmax_for_and_against(trace: Trace, values: Tensor) -> list[Tensor]:
    """The same of the softmax contrast."""
    wide = softmax_contrasts(values)
    return [a - b for a, b in zip(of_one(trace, wide), of_one(trace, -wide), strict=True)]


def winner_minus_dual(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(o_a) / |G(o_a)| - G(others) / |G(others)|``: the winner's map minus its dual's, both of sum 1 in size."""
    count = values.shape[1]
    others = (values.sum(dim=1, keepdim=True) - values) / (count - 1)
    own, dual = of_one(trace, values), of_one(trace, others)
    return [_unit(a) - _unit(b) for a, b in zip(own, dual, strict=True)]


def above_the_mean(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(o_a) - mean_b G(o_b)``, each of sum 1 in size: where an action's map differs from all actions' mean."""
    maps = [_unit(found) for found in of_one(trace, values)]
    mean = torch.stack(maps).mean(dim=0)
    return [found - mean for found in maps]


def contrast_above_the_mean(trace: Trace, values: Tensor) -> list[Tensor]:
    """The same of ``G(c_a)``: what speaks for this action and for no other."""
    return above_the_mean(trace, contrasts(values))


def for_over_against(trace: Trace, values: Tensor) -> list[Tensor]:
    """``max(|G(c_a)| - |G(-c_a)|, 0)``, each of sum 1: where more speaks for the action than against it."""
    wide = contrasts(values)
    pairs = zip(of_one(trace, wide), of_one(trace, -wide), strict=True)
    return [(_unit(a).abs() - _unit(b).abs()).clamp(min=0) for a, b in pairs]


def for_over_the_mean(trace: Trace, values: Tensor) -> list[Tensor]:
    """``max(|G(c_a)| - mean_b |G(c_b)|, 0)``, each of sum 1: where more speaks for it than for actions at large."""
    sizes = [_unit(found).abs() for found in of_one(trace, contrasts(values))]
    mean = torch.stack(sizes).mean(dim=0)
    return [(size - mean).clamp(min=0) for size in sizes]


def smooth_for_over_against(trace: Trace, values: Tensor) -> list[Tensor]:
    """``for_over_against`` of sizes averaged over 5 x 5 pixels, in which the strokes of single weights are gone."""
    wide = contrasts(values)
    pairs = zip(of_one(trace, wide), of_one(trace, -wide), strict=True)
    return [(_smooth(_unit(a)) - _smooth(_unit(b))).clamp(min=0) for a, b in pairs]


def smooth_for_over_the_mean(trace: Trace, values: Tensor) -> list[Tensor]:
    """``for_over_the_mean`` of sizes averaged over 5 x 5 pixels."""
    sizes = [_smooth(_unit(found)) for found in of_one(trace, contrasts(values))]
    mean = torch.stack(sizes).mean(dim=0)
    return [(size - mean).clamp(min=0) for size in sizes]


def times_input(trace: Trace, values: Tensor) -> list[Tensor]:
    """``G(c_a) x``: what speaks for the action and is there."""
    return [found * trace.leaf.detach() for found in of_contrast(trace, values)]


def _unit(maps: Tensor) -> Tensor:
    """Maps whose absolute values add up to 1 in each state."""
    total = maps.abs().flatten(1).sum(dim=1).clamp(min=torch.finfo(maps.dtype).tiny)
    return maps / total.view(-1, *[1] * (maps.ndim - 1))


def _smooth(maps: Tensor) -> Tensor:
    """Sizes averaged over 5 x 5 pixels."""
    flat = maps.abs().reshape(-1, 1, *maps.shape[-2:])
    return F.avg_pool2d(flat, SMOOTH, stride=1, padding=SMOOTH // 2, count_include_pad=False).view(maps.shape)


RULES: dict[str, ActionRule] = {
    "one": of_one,
    "contrast": of_contrast,
    "softmax contrast": of_softmax_contrast,
    "for and against": for_and_against,
    "softmax for and against": softmax_for_and_against,
    "winner minus dual": winner_minus_dual,
    "above the mean": above_the_mean,
    "contrast above the mean": contrast_above_the_mean,
    "for over against": for_over_against,
    "for over the mean": for_over_the_mean,
    "smooth for over against": smooth_for_over_against,
    "smooth for over the mean": smooth_for_over_the_mean,
    "contrast times input": times_input,
}
"""The candidates; ``one`` is guided backpropagation as it is."""
