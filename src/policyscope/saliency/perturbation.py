"""Perturbation saliency: blur a region of a frame and see what changes. All regions of a state are one batch.

Regions are Gaussians of standard deviation 5 and peak 1 on a grid of every 5th pixel; the perturbed frame is
``I (1 - M) + blur_3(I) M`` (Greydanus et al., 2018). One set of perturbed outputs serves both scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from policyscope.saliency.convolution import ChannelsLast
from policyscope.saliency.differing import run_copies, run_differing
from policyscope.saliency.record import eagerly
from policyscope.saliency.resize import to_size


@dataclass(frozen=True)
class Regions:
    """The grid of regions, and how they are blurred.

    Attributes:
        step: Pixels between centres.
        sigma: Standard deviation of a region's mask.
        blur: Standard deviation of the blur.
        batch: States times regions that go through the network at once.
    """

    step: int = 5
    sigma: float = 5.0
    blur: float = 3.0
    batch: int = 100

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the grid on an image of this size."""
        return math.ceil(size[0] / self.step), math.ceil(size[1] / self.step)

    def masks(self, size: tuple[int, int], like: Tensor) -> Tensor:
        """(rows * columns, H, W), each with its peak of 1 at its centre."""
        rows, columns = (self._bumps(n, like) for n in size)
        return (rows[:, None, :, None] * columns[None, :, None, :]).reshape(-1, *size)

    def _bumps(self, length: int, like: Tensor) -> Tensor:
        places = torch.arange(length, dtype=like.dtype, device=like.device)
        return torch.exp(-((places - places[:: self.step, None]) ** 2) / (2 * self.sigma**2))


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Blurs the last two axes as scipy's ``gaussian_filter(mode="reflect", truncate=4)`` does."""
    # On pictures of this size a product with a matrix is ten times faster than a convolution of one channel.
    rows, columns = (_blurring(n, sigma, images.dtype, images.device) for n in images.shape[-2:])
    return rows @ images @ columns.T


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # what is kept may meet gradients later
def _blurring(length: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The blur along one axis as a matrix (length, length)."""
    radius = int(4 * sigma + 0.5)
    taps = torch.arange(-radius, radius + 1, device=device)
    kernel = torch.exp(-0.5 * (taps.double() / sigma) ** 2)
    source = (torch.arange(length, device=device)[:, None] + taps).remainder(2 * length)
    source = torch.where(source >= length, 2 * length - 1 - source, source)  # d c b a | a b c d | d c b a
    matrix = torch.zeros(length, length, dtype=torch.float64, device=device)
    matrix.scatter_add_(1, source, (kernel / kernel.sum()).expand(length, -1))
    return matrix.to(dtype)


def perturbed_outputs(
    call: Callable[[Tensor, Tensor], Any],
    inputs: Tensor,
    pick: Callable[[Any], Tensor],
    frame: tuple[Any, ...],
    regions: Regions,
) -> tuple[Tensor, Tensor]:
    """The network's output for a state and for each of its perturbations.

    Args:
        call: Runs the network on a batch; it is given rows of ``inputs`` and which states they are, as
            ``call(rows, index)`` with ``index`` (rows,).
        inputs: (B, …, H, W).
        pick: From the network's output to a stream, (rows, k).
        frame: Index of the perturbed picture in one state, such as ``(slice(3, 4),)``.
        regions: The grid.

    Returns:
        (B, k) and (B, regions, k).
    """
    size = (inputs.shape[-2], inputs.shape[-1])
    masks = regions.masks(size, inputs)
    everyone = torch.arange(len(inputs), device=inputs.device)
    outputs: list[Tensor] = []
    linear = inputs.ndim == 4 and isinstance(frame[0], slice)
    with torch.no_grad(), eagerly():
        with ChannelsLast():
            base = _rows(pick(call(inputs, everyone)), len(inputs))
        picture = inputs[(slice(None), *frame)]
        change = (gaussian_blur(picture, regions.blur) - picture).unsqueeze(1)
        for region in masks.split(max(1, regions.batch // len(inputs))):
            difference = change * region.view(-1, *[1] * (change.ndim - 4), *size)
            run = partial(_answer, call, pick, everyone.repeat_interleave(len(region)))
            if linear:
                answer, linear = run_differing(run, inputs, difference, frame[0])
            else:
                answer = run_copies(run, inputs, difference, frame)
            outputs.append(answer.view(len(inputs), len(region), -1))
    return base, torch.cat(outputs, dim=1)


def _answer(
    call: Callable[[Tensor, Tensor], Any], pick: Callable[[Any], Tensor], index: Tensor, rows: Tensor
) -> Tensor:
    return _rows(pick(call(rows, index)), len(index))


def _rows(values: Tensor, count: int) -> Tensor:
    return values.reshape(count, -1)


def noise_saliency(base: Tensor, perturbed: Tensor, regions: Regions, size: tuple[int, int]) -> Tensor:
    """The paper's Eq. 1: ``0.5 * || pi(I) - pi(I') ||^2`` for each region, on logits, Q or value.

    Args:
        base: (B, k).
        perturbed: (B, regions, k).
        regions: The grid they were made with.
        size: Height and width of the maps.

    Returns:
        (B, H, W), the grid of scores resized bilinearly.
    """
    return _to_image(0.5 * (base[:, None] - perturbed).square().sum(dim=2), regions, size)


def sarfa(base: Tensor, perturbed: Tensor, actions: Tensor, regions: Regions, size: tuple[int, int]) -> Tensor:
    """SARFA (Puri et al., 2020): specific and relevant, ``2 K dp / (K + dp)``.

    ``dp`` is by how much the explained action's softmax over Q (or logits) falls, and
    ``K = 1 / (1 + KL(others after || others before))`` over the softmax of the other actions. Zero where ``dp`` is
    not positive.

    Args:
        base: (B, k), k at least 2.
        perturbed: (B, regions, k).
        actions: (B,), the explained action.
        regions: The grid they were made with.
        size: Height and width of the maps.

    Returns:
        (B, H, W) in [0, 1].
    """
    before = base[:, None].expand_as(perturbed)
    chosen = actions[:, None, None].expand(*perturbed.shape[:2], 1)
    drop = (before.softmax(dim=2).gather(2, chosen) - perturbed.softmax(dim=2).gather(2, chosen)).squeeze(2)
    hidden = torch.zeros_like(perturbed, dtype=torch.bool).scatter_(2, chosen, True)
    log_before, log_after = (v.masked_fill(hidden, -math.inf).log_softmax(dim=2) for v in (before, perturbed))
    divergence = (log_after.exp() * (log_after - log_before)).masked_fill(hidden, 0).sum(dim=2)
    relevance = 1 / (1 + divergence)
    score = torch.where(drop > 0, 2 * relevance * drop / (relevance + drop), torch.zeros_like(drop))
    return _to_image(score, regions, size)


def _to_image(scores: Tensor, regions: Regions, size: tuple[int, int]) -> Tensor:
    return to_size(scores.view(len(scores), *regions.grid(size)), size)
