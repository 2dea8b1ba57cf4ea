"""Layers that lead nowhere, and streams that are fed from another stream's layer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policyscope.diagnosis.examination import Examination
from policyscope.diagnosis.finding import Finding, Severity, Where
from policyscope.diagnosis.flows import flow_picture

OWNERS = {
    "value": {"value", "values", "critic", "v", "vf", "state"},
    "advantage": {"advantage", "advantages", "adv"},
    "policy": {"policy", "actor", "pi", "action", "logits"},
    "q": {"q", "qf"},
}
"""Words in a module's path that say whose it is."""


def wiring(examination: Examination) -> Iterator[Finding]:
    """Each layer must lead to a stream, and one that is named for a stream must lead to that one alone.

    What leads where is read from the gradients of each stream at each layer's weights, not from the names; names say
    only what was meant. A layer with weights that no stream depends on is grave where it is named for a stream or sits
    between layers that are used, else a note (target networks and auxiliary heads lie about in many checkpoints).
    """
    found = examination.wiring
    uses = {stream: found.uses(stream) for stream in found.streams}
    used = set().union(*uses.values()) if uses else set()
    # Merged outputs use both streams' layers rightly.
    ends = [s for s in examination.outputs if s not in ("q", "probability")] or list(examination.outputs)
    for path in found.owners:
        owner = _owner(path, tuple(uses))
        if path not in used:
            yield _unused(examination, path, owner)
        elif owner is not None and owner != "q":
            others = [s for s in ends if s != owner and path in uses[s] and _owner_of_stream(s) != owner]
            if others and any(_owner(other, (others[0],)) for other in found.owners):
                yield Finding(
                    "wiring",
                    "grave",
                    Where("network", stream=others[0], layer=path),
                    f"{path}, which is the {owner} stream's by its name, feeds the {others[0]} stream as well "
                    "(healthy: each stream is fed by its own layers and by those that both share)",
                    f"look at what the first layer of the {others[0]} stream is given in forward()",
                    "likely",
                    {"streams": float(sum(path in use for use in uses.values()))},
                    flow_picture(found, others[0], [path]),
                )


def _unused(examination: Examination, path: str, owner: str | None) -> Finding:
    size = sum(p.numel() for p in examination.agent.network.get_submodule(path).parameters(recurse=False))
    severity: Severity = "grave" if owner is not None else "note"
    return Finding(
        "wiring",
        severity,
        Where("network", stream=owner, layer=path),
        f"no stream depends on the {size:,} weights of {path}: it leads nowhere (healthy: each leads to one)",
        "look in forward() for the layer that should be given this one's output, and what it is given instead; a layer "
        "that is not needed can go",
        "certain" if owner else "possible",
        {"weights": float(size)},
        flow_picture(examination.wiring, owner, [path]) if owner else None,
    )


def _owner(path: str, streams: tuple[str, ...]) -> str | None:
    """The one stream that a module is named for."""
    words = set(re.split(r"[._\d]+", path.lower()))
    owners = [stream for stream in streams if words & OWNERS.get(stream, {stream})]
    return owners[0] if len(owners) == 1 else None


def _owner_of_stream(stream: str) -> str:
    """``attention_value`` belongs to ``value``."""
    return next((name for name in OWNERS if name in stream.split("_")), stream)
