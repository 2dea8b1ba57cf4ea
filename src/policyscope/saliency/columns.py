"""What the columns of ``maps.zarr`` are called: maps, targets, and what goes along with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from policyscope.saliency.maps import Panel

ALIVE = "health-alive"
BESIDE = ("lags-", "health-", "disagreement-")
"""What those begin with that maps made by earlier versions lack."""


def map_column(panels: Sequence[Panel], panel: Panel) -> str:
    """A panel's maps."""
    return f"map-{panels.index(panel):03d}"


def target_column(stream: str, action: str) -> str:
    """The explained scalars of a target."""
    return f"target-{stream}-{action}"


def weights_column(panel: Panel) -> str:
    """FullGrad++'s layer weights of a panel."""
    return f"weights-{panel.stream}-{panel.action}-{panel.lag or 0}"


def shares_column(stream: str, action: str) -> str:
    """How a target's gradient is shared between lags."""
    return f"lags-{stream}-{action}"


def flow_column(stream: str, action: str) -> str:
    """How large a target's gradients are at each layer."""
    return f"health-flow-{stream}-{action}"


def disagreement_column(stream: str, action: str, lag: int | str | None) -> str:
    """How far the methods disagree on a target."""
    return f"disagreement-{stream}-{action}-{lag or 0}"
