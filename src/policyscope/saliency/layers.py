"""Layers as torch calls: which functions they are, what they are given, and the bias they add."""

from __future__ import annotations

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Kind = Literal["conv", "norm", "linear"]

_CONVOLUTIONS: tuple[Any, ...] = (
    *(torch.conv1d, torch.conv2d, torch.conv3d, F.conv1d, F.conv2d, F.conv3d),
    *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
    *(F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
)
_STATISTICS = ("running_mean", "running_var")
# Python's functionals and the torch functions behind them take the same arguments in different orders.
_NORMS: dict[Any, tuple[str, ...]] = {
    F.batch_norm: ("input", *_STATISTICS, "weight", "bias", "statistics_of_batch", "momentum", "eps"),
    torch.batch_norm: ("input", "weight", "bias", *_STATISTICS, "statistics_of_batch", "momentum", "eps"),
    F.instance_norm: ("input", *_STATISTICS, "weight", "bias", "statistics_of_batch", "momentum", "eps"),
    torch.instance_norm: ("input", "weight", "bias", *_STATISTICS, "statistics_of_batch", "momentum", "eps"),
    **dict.fromkeys((F.layer_norm, torch.layer_norm), ("input", "normalized_shape", "weight", "bias", "eps")),
    **dict.fromkeys((F.group_norm, torch.group_norm), ("input", "num_groups", "weight", "bias", "eps")),
    **dict.fromkeys((F.rms_norm, torch.rms_norm), ("input", "normalized_shape", "weight", "eps")),
}
_OVER_LAST_AXES = (F.layer_norm, torch.layer_norm, F.rms_norm, torch.rms_norm)
_PLAIN = ("input", "weight", "bias")
_SYNONYMS = {"training": "statistics_of_batch", "use_input_stats": "statistics_of_batch"}

KINDS: dict[Any, Kind] = {
    **dict.fromkeys(_CONVOLUTIONS, "conv"),  # type: ignore[dict-item]
    **dict.fromkeys(_NORMS, "norm"),
    F.linear: "linear",
}


def arguments(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """A layer's arguments by name: ``input``, ``weight``, ``bias`` and what a normalisation has beside them."""
    given = dict(zip(_NORMS.get(function, _PLAIN), args, strict=False))
    return given | {_SYNONYMS.get(name, name): value for name, value in kwargs.items()}


def has_height_and_width(function: Any, given: dict[str, Any], output: Tensor) -> bool:
    """Whether a layer's output is (rows, channels, height, width)."""
    if output.ndim != 4 or function is F.linear:
        return False
    if function in _OVER_LAST_AXES:
        return len(given["normalized_shape"]) == 3
    return function not in _CONVOLUTIONS or given["weight"].ndim == 4


def bias(function: Any, given: dict[str, Any], output: Tensor) -> Tensor | None:
    """What a layer adds in its output, shaped to be multiplied with it; None where it adds nothing.

    For a normalisation with fixed statistics that is ``beta - gamma * mean / sqrt(var + eps)``.
    """
    beta: Tensor | None = given.get("bias")
    beta = None if beta is None else beta.detach()
    mean, variance = given.get("running_mean"), given.get("running_var")
    if mean is not None and variance is not None and not given.get("statistics_of_batch"):
        gamma, eps = given.get("weight"), given.get("eps")
        shift: Tensor = mean / (variance + (1e-5 if eps is None else eps)).sqrt()
        shift = shift if gamma is None else shift * gamma.detach()
        beta = -shift if beta is None else beta - shift
    if beta is None or function is F.linear or function in _OVER_LAST_AXES:
        return beta
    if function in _CONVOLUTIONS and output.ndim != given["weight"].ndim:
        return None  # a single picture without a batch: its rows are channels
    return beta.view(-1, *[1] * (output.ndim - 2))
