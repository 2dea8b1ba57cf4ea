"""What panels are called on the way to the page, and what the page is told about them."""

from __future__ import annotations

from typing import Any

from policyscope.errors import TargetError
from policyscope.rendering.words import MEANINGS, TITLES
from policyscope.saliency.maps import SIGNED, Panel
from policyscope.saliency.plan import NAMES
from policyscope.saliency.request import INPUT_SHAPED, LAYERED

_FIELDS = 6


def key_of(panel: Panel, agent: str = "") -> str:
    """A panel's name, ``method~stream~action~layer~lag~agent``; what it has not is empty.

    Args:
        panel: What is explained.
        agent: Whose view: empty for the agent that played, ``b`` for the one it is compared with.
    """
    lag = "" if panel.lag is None else str(panel.lag)
    return "~".join((panel.method, panel.stream, panel.action, panel.layer or "", lag, agent))


def panel_of(key: str) -> tuple[Panel, str]:
    """The panel and the agent of a name.

    Raises:
        TargetError: It is none; what the panel asks for may still be missing.
    """
    parts = key.split("~")
    if len(parts) != _FIELDS or parts[0] not in NAMES:
        raise TargetError(f"no panel {key!r}: a panel's name is method~stream~action~layer~lag~agent")
    method, stream, action, layer, lag, agent = parts
    number = int(lag) if lag.isascii() and lag.isdigit() else lag or None
    return Panel(method, stream, action, layer or None, number), agent


def told(panel: Panel, agent: str = "", stored: bool = True) -> dict[str, Any]:
    """A panel as the manifest lists it."""
    return {
        "key": key_of(panel, agent),
        "method": panel.method,
        "stream": panel.stream,
        "action": panel.action,
        "layer": panel.layer,
        "lag": panel.lag,
        "agent": agent,
        "signed": panel.signed,
        "stored": stored,
    }


def methods(in_time: bool) -> list[dict[str, Any]]:
    """The methods that a panel can be of, in the order of the documents.

    Args:
        in_time: Whether the network takes frames apart in time, so that every method has a map for each.
    """
    return [
        {
            "name": name,
            "title": TITLES[name],
            "meaning": MEANINGS[name],
            "signed": name in SIGNED,
            "layered": name in LAYERED,
            "lagged": in_time or name in INPUT_SHAPED or name in ("noise_saliency", "sarfa"),
        }
        for name in NAMES
    ]
