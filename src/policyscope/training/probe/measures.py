"""What a set of maps says in one number: pure functions of tensors, vectorised over states.

``sizes`` are absolute gradients, (B, lags, H, W), summed over colours; ``maps`` are they, summed over lags: (B, H, W).
All shares are of absolute values. A state whose map is zero everywhere counts in ``zero_share`` alone.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Maps are compared on at most this many patches a side: finer than that they follow the strides of the network.
PATCHES = 21
MOVED = 0.02
NEAR = 2


def norm(gradients: list[Tensor], states: int) -> Tensor:
    """``sqrt(sum g^2 / states)``: the root mean square, over states, of the gradient's L2 norm."""
    total = torch.stack([g.square().sum() for g in gradients]).sum()
    return (total / states).sqrt()


def zero_share(maps: Tensor) -> Tensor:
    """Share of the states whose map is exactly zero."""
    return (maps.flatten(1).amax(dim=1) == 0).float().mean()


def lag_shares(sizes: Tensor) -> Tensor:
    """Mean over states of each frame's share, (lags,), oldest first: they add up to 1, or are 0 without gradients."""
    return _mean_over_alive(_shares(sizes.sum(dim=(2, 3))))


def area_half(maps: Tensor) -> Tensor:
    """Mean over states of the least share of the pixels that holds half of the map: 0.5 is flat, white noise 0.24."""
    flat = maps.flatten(1)
    # numpy sorts floats several times faster than torch, which sorts their places as well
    ordered = np.sort(flat.float().cpu().numpy(), axis=1)[:, ::-1]
    sums = ordered.cumsum(axis=1, dtype=np.float64)
    alive = sums[:, -1] > 0
    if not alive.any():
        return flat.new_tensor(float("nan") if np.isnan(sums).any() else 0.0)
    needed = (sums[alive] < sums[alive, -1:] / 2).sum(axis=1) + 1
    return flat.new_tensor(float(needed.mean() / flat.shape[1]))


def moving(frames: Tensor, full: float) -> Tensor:
    """Where something moves between the last two frames, (B, H, W), and a little around it.

    States in which nothing moves, or most of the picture does (a flash, a new scene), have no place that counts.

    Args:
        frames: (B, lags, colours, H, W), newest last.
        full: The difference between black and white.
    """
    if frames.shape[1] < 2:
        return frames.new_zeros((len(frames), *frames.shape[-2:]), dtype=torch.bool)
    changed = (frames[:, -1].float() - frames[:, -2].float()).abs().amax(dim=1) > MOVED * full
    near = F.max_pool2d(changed.float(), 2 * NEAR + 1, stride=1, padding=NEAR) > 0
    return near & (near.float().mean(dim=(1, 2), keepdim=True) <= 0.5)


def on_moving(maps: Tensor, places: Tensor) -> Tensor:
    """The map's share on moving places over their share of the area, over all states in which something moves.

    1 is chance, 0 is blind to all that moves (or without any gradient).
    """
    counts = places.flatten(1).any(dim=1)
    shares = _shares(maps.flatten(1))[counts]
    places = places.flatten(1)[counts]
    alive = shares.sum(dim=1) != 0
    area = places[alive].float().mean(dim=1).sum()
    return (shares * places).sum() / area.clamp(min=torch.finfo(torch.float32).tiny)


def ranks(maps: Tensor) -> Tensor:
    """Ranks of each map's patches, (B, patches), centred and of length 1; zero where all patches are alike.

    The product of two such rows is Spearman's rank correlation; equal patches share the mean of their ranks.
    """
    size = (min(maps.shape[1], PATCHES), min(maps.shape[2], PATCHES))
    patches = F.adaptive_avg_pool2d(maps[:, None].float(), size).flatten(1)
    ordered = patches.sort(dim=1).values
    below, up_to = (torch.searchsorted(ordered, patches, right=right) for right in (False, True))
    rank = (below + up_to).float()
    centred: Tensor = F.normalize(rank - rank.mean(dim=1, keepdim=True), dim=1)
    return centred


def change(ranked: Tensor, before: Tensor) -> Tensor:
    """1 minus the mean over states of the rank correlation of two sets of maps; two flat maps are alike."""
    flat = (ranked == 0).all(dim=1) & (before == 0).all(dim=1)
    return 1 - ((ranked * before).sum(dim=1) + flat).mean()


def distinct(choices: Tensor, count: int) -> Tensor:
    """How many of ``count`` actions are chosen, ``exp`` of the entropy of their frequencies: 1 if always the same."""
    shares = torch.bincount(choices, minlength=count).float() / len(choices)
    number: Tensor = torch.special.entr(shares).sum().exp()
    return number


def rank_of(features: Tensor, rows: int = 64) -> Tensor:
    """How many of the features' (n, k) singular values make up 99 % of their sum (Kumar et al., 2021).

    At most ``rows`` rows take part, evenly chosen, so that it costs little: the rank is at most that.
    """
    chosen = features[:: -(-len(features) // rows)].cpu().double()
    values = torch.linalg.eigvalsh(chosen @ chosen.T).clamp(min=0).sqrt().flip(0)
    total = values.sum()
    return torch.where(total > 0, (values.cumsum(0) < 0.99 * total).sum() + 1, 0).to(features)


def _shares(parts: Tensor) -> Tensor:
    """Parts (B, k) of their sum; zero where that is."""
    return parts / parts.sum(dim=1, keepdim=True).clamp(min=torch.finfo(parts.dtype).tiny)


def _mean_over_alive(shares: Tensor) -> Tensor:
    return shares.sum(dim=0) / (shares != 0).any(dim=1).sum().clamp(min=1)
