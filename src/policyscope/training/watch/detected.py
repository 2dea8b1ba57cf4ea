"""A finding of a training: with the steps at which it was first and last seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policyscope.diagnosis.finding import Finding


@dataclass(frozen=True)
class Detected:
    """A finding and when it was made.

    Attributes:
        finding: What was found, as it was last seen.
        first: Step of its first detection.
        last: Step at which it was last seen.
    """

    finding: Finding
    first: int
    last: int

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes two findings the same one."""
        return self.finding.rule, str(self.finding.where), self.finding.severity

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return self.finding.to_dict() | {"first": self.first, "last": self.last}

    def text(self) -> str:
        """In a few lines."""
        found = self.finding
        return f"{found.rule} ({found.severity}, {found.sure}), {found.where}: {found.evidence}. Try: {found.advice}."
