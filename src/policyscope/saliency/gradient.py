"""Gradient and guided backpropagation: the target's gradient with respect to the input."""

from __future__ import annotations

from torch import Tensor

from policyscope.saliency.trace import Trace


def gradient(trace: Trace, target: Tensor) -> Tensor:
    """``d target / d input`` (Simonyan et al., 2013), signed.

    Returns:
        The input's shape. captum's ``Saliency`` takes the absolute value unless told otherwise.
    """
    return trace.gradients(target, "standard").input


def guided_backprop(trace: Trace, target: Tensor) -> Tensor:
    """The input gradient under the guided rule (Springenberg et al., 2015), signed.

    A rectifier passes a gradient only where its input was positive and the gradient is positive; other rectifiers
    than ReLU follow ``rectifiers``. The gradient summed at a rectifier's output is clipped, so a skip connection
    that bypasses it is left alone; captum clips that too, and misses functional rectifiers.

    Returns:
        The input's shape.
    """
    return trace.gradients(target, "guided").input
