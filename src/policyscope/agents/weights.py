"""State dicts: found in what was saved, freed of wrappers' prefixes, checked, and put into a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from policyscope.agents.networks import build, wanted
from policyscope.errors import CheckpointError

State = dict[str, Tensor]

NESTS = (
    "state_dict",
    "model_state_dict",
    "model_weights",
    "estimator_state",
    "model",
    "network",
    "q_network",
    "policy",
    "policy_state_dict",
    "agent",
    "net",
)
"""Names under which people put a state dict into a checkpoint, the likelier first."""


def find_state(saved: Any, name: str) -> State:
    """The state dict in what was saved.

    Args:
        saved: A state dict, or a dict that holds one under one of ``NESTS``, however deep.
        name: What to call the file in an error.
    """
    state = _search(saved, depth=3)
    if state is None:
        what = (
            f"a dict of {', '.join(map(str, list(saved)[:6]))}"
            if isinstance(saved, Mapping)
            else f"a {type(saved).__name__}"
        )
        raise CheckpointError(f"{name} holds no state dict but {what}; save the network's state_dict()")
    return without_prefixes(state)


def _search(saved: Any, depth: int) -> State | None:
    if not isinstance(saved, Mapping) or not saved:
        return None
    tensors = {str(k): v for k, v in saved.items() if isinstance(v, Tensor)}
    if tensors and not any(isinstance(v, Mapping) and v for v in saved.values()):
        return tensors
    if depth:
        for nest in NESTS:
            state = _search(saved.get(nest), depth - 1)
            if state is not None:
                return state
    return None


def without_prefixes(state: Mapping[str, Tensor]) -> State:
    """Drops what ``torch.compile`` (``_orig_mod.``) and data parallelism (a leading ``module.``) put before names."""
    state = {k.replace("_orig_mod.", ""): v for k, v in state.items()}
    while state and all(k.startswith("module.") for k in state):
        state = {k.removeprefix("module."): v for k, v in state.items()}
    return state


def part(state: Mapping[str, Tensor], prefix: str, renamed: str = "") -> State:
    """The tensors whose names begin with ``prefix``, which ``renamed`` replaces."""
    return {renamed + k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of a state dict's tensors."""
    return {k: tuple(v.shape) for k, v in state.items()}


def check_fit(
    have: Mapping[str, tuple[int, ...]], want: Mapping[str, tuple[int, ...]], name: str, network: str
) -> None:
    """Refuses weights that do not fit a network, naming the first that does not.

    Args:
        have: Shapes in the file.
        want: Shapes in the network.
        name: What to call the file.
        network: What to call the network.
    """
    for key, shape in want.items():
        if key not in have:
            close = _first(k for k in have if k not in want)
            extra = f"; it has {close!r} instead" if close else ""
            raise CheckpointError(f"{name} lacks the weights {key!r} of {network}{extra}")
        if have[key] != shape:
            raise CheckpointError(f"weights {key!r} of {name} have shape {have[key]}, but {network} wants {shape}")
    unknown = _first(k for k in have if k not in want)
    if unknown:
        raise CheckpointError(f"{name} has weights {unknown!r} of shape {have[unknown]} that {network} does not know")


def fill(network: nn.Module, state: Mapping[str, Tensor], name: str) -> nn.Module:
    """Puts weights into a network, strictly by name and shape, and readies it for evaluation on the CPU.

    Args:
        network: The module, of any floating type.
        state: Its weights; half precision becomes single precision.
        name: What to call the file in an error.
    """
    check_fit(shapes(state), shapes(network.state_dict()), name, type(network).__name__)
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            kind = "NaN" if bool(torch.isnan(value).any()) else "infinity"
            raise CheckpointError(f"weights {key!r} of {name} hold {kind}: the training run has diverged")
    network.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})
    return network.eval()


def restore(architecture: str, options: Mapping[str, Any], state: Mapping[str, Tensor], name: str) -> nn.Module:
    """Builds a network of ours and fills it, once its shapes are known to be those of the weights.

    Args:
        architecture: A name in ``networks.NETWORKS``.
        options: What its constructor takes.
        state: Its weights.
        name: What to call the file in an error.
    """
    check_fit(shapes(state), wanted(architecture, options), name, architecture)
    return fill(build(architecture, **options), state, name)


def widths(state: Mapping[str, Tensor], prefix: str) -> list[int]:
    """Output widths of the linear layers of an ``nn.Sequential`` at ``prefix``, in their order."""
    weights = part(state, prefix + ".")
    numbers = sorted(int(k.split(".")[0]) for k in weights if k.endswith(".weight") and k.split(".")[0].isdigit())
    return [len(weights[f"{number}.weight"]) for number in numbers]


def _first(names: Iterable[str]) -> str | None:
    return next(iter(names), None)
