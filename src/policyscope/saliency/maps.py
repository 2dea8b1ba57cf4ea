"""What an explanation yields: one map per state and panel, kept on disk and read lazily."""

from __future__ import annotations

from dataclasses import dataclass

SIGNED = frozenset({"gradient", "guided_backprop", "guided_grad_cam", "g2_grad_cam"})


@dataclass(frozen=True)
class Panel:
    """One explained thing: a method applied to a target.

    Attributes:
        method: Its name.
        stream: The stream that is explained.
        action: The selection in it: ``taken``, ``greedy``, ``sum``, ``contrast`` or an action's index as text.
        layer: Module path of the convolution, for the methods that have one.
        lag: Frames before the current one, ``sum`` or ``mean``; None where the method has one map for all lags.
    """

    method: str
    stream: str
    action: str = "taken"
    layer: str | None = None
    lag: int | str | None = None

    @property
    def signed(self) -> bool:
        """Whether negative values mean something."""
        return self.method in SIGNED

    @property
    def label(self) -> str:
        """A short text for people."""
        parts = [self.method.replace("_", " "), self.stream]
        parts += [] if self.action == "taken" else [f"action {self.action}"]
        parts += [] if self.layer is None else [self.layer]
        parts += [] if self.lag in (None, 0) else [f"t-{self.lag}" if isinstance(self.lag, int) else f"{self.lag} of lags"]
        return " · ".join(parts)
