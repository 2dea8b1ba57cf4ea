"""An activation behind the last layer, which values and logits must not have."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor
from torch.autograd.graph import Node

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where

ACTIVATIONS = {
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Relu": "ReLU",
    "_Rectify": "rectifier",
    "LeakyRelu": "LeakyReLU",
    "Elu": "ELU",
    "Softplus": "softplus",
    "Softmax": "softmax",
    "Hardtanh": "hardtanh",
    "Clamp": "clamp",
}
"""Beginnings of the names that autograd gives its nodes."""
SHAPES = (
    "View",
    "Reshape",
    "Squeeze",
    "Unsqueeze",
    "Clone",
    "ToCopy",
    "Alias",
    "Slice",
    "Select",
    "UnsafeView",
    "Split",
)


def output_activation(examination: Examination) -> Iterator[Finding]:
    """The last operation of a stream, read from autograd's graph, must not be an activation.

    A ReLU behind Q cannot say that an action is bad, a tanh not that a return is above 1; a softmax before a
    distribution that expects logits is applied twice. Grave for the stream that the agent acts by, else a warning.
    """
    if examination.agent.continuous is not None:
        return  # means within bounds are squashed on purpose
    for stream in examination.outputs:
        values = examination.wiring.streams.get(stream)
        name = None if values is None else _activation(values)
        if name is None:
            continue
        said = examination.streams[stream]
        severity: Severity = "grave" if stream == examination.acting else "warning"
        yield Finding(
            "output_activation",
            severity,
            Where("network", stream=stream, layer=_last_layer(examination, stream)),
            f"the last operation of {stream} is a {name}: over the episode it lies between {said.min():.3g} and "
            f"{said.max():.3g} (healthy: a linear layer comes last)",
            f"take the {name} away: values and logits are unbounded",
            "certain",
            {"lowest": float(said.min()), "highest": float(said.max())},
        )


def _activation(values: Tensor) -> str | None:
    node: Node | None = values.grad_fn
    while node is not None:
        name = node.name()
        found = next((word for start, word in ACTIVATIONS.items() if name.startswith(start)), None)
        if found is not None:
            return found
        if not name.startswith(SHAPES):
            return None
        node = next((following for following, _ in node.next_functions if following is not None), None)
    return None


def _last_layer(examination: Examination, stream: str) -> str | None:
    flow = examination.wiring.flow(stream)
    return next((name for name in reversed(flow.output) if flow.output[name] is not None), None)
