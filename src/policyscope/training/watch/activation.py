"""What a network's outputs go through last: a rectifier or a bounded function there keeps values from being learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

FUNCTIONS = {
    "ReluBackward": ("a rectifier (ReLU)", 0.0, float("inf")),
    "HardtanhBackward": ("a clamp (hardtanh, ReLU6)", float("nan"), float("nan")),
    "ClampBackward": ("a clamp", float("nan"), float("nan")),
    "ClampMinBackward": ("a clamp", 0.0, float("inf")),
    "TanhBackward": ("tanh", -1.0, 1.0),
    "SigmoidBackward": ("a sigmoid", 0.0, 1.0),
    "SoftmaxBackward": ("a softmax", 0.0, 1.0),
    "LogSoftmaxBackward": ("the log of a softmax", float("-inf"), 0.0),
    "SoftplusBackward": ("softplus", 0.0, float("inf")),
    "EluBackward": ("ELU", -1.0, float("inf")),
    "GeluBackward": ("GELU", -0.17, float("inf")),
    "SiluBackward": ("SiLU", -0.28, float("inf")),
    "LeakyReluBackward": ("a leaky rectifier", float("-inf"), float("inf")),
}
"""Node of autograd -> its name, and the least and greatest value that it lets through."""

# What changes neither a value nor its range.
_SHAPES = ("View", "Reshape", "Squeeze", "Unsqueeze", "ToCopy", "Alias", "Clone", "Transpose", "Permute", "T", "Slice")


@dataclass(frozen=True)
class Activation:
    """A function that outputs go through last.

    Attributes:
        name: In words.
        low: Nothing below it comes out.
        high: Nothing above it does.
    """

    name: str
    low: float
    high: float


def last_function(outputs: Tensor) -> Activation | None:
    """The function at the end of a graph, if it is one that bends values.

    Args:
        outputs: With a graph; what only reshapes or converts them is passed.
    """
    node: Any = outputs.grad_fn
    while node is not None:
        kind = type(node).__name__.rstrip("0123456789")
        if kind in FUNCTIONS:
            return Activation(*FUNCTIONS[kind])
        follows = [n for n, _ in node.next_functions if n is not None]
        if kind.removesuffix("Backward") not in _SHAPES or len(follows) != 1:
            return None
        node = follows[0]
    return None
