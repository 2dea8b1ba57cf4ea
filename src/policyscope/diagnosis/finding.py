"""What a rule says: how bad, where, by what evidence, how sure, and what to try."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from policyscope.storage import Array

Severity = Literal["grave", "warning", "note"]
Certainty = Literal["certain", "likely", "possible"]

SEVERITIES: tuple[Severity, ...] = ("grave", "warning", "note")
CERTAINTIES: tuple[Certainty, ...] = ("certain", "likely", "possible")


@dataclass(frozen=True)
class Where:
    """The place of a finding, as closely as it is known; what is None is not told apart.

    Attributes:
        part: Of the agent or its surroundings: ``network``, ``observation``, ``memory``, ``actions``, ``behaviour``,
            ``maps`` or ``training``.
        stream: A stream of the network.
        layer: A module path.
        lag: Frames before the current one.
        region: A part of the picture, in words.
    """

    part: str
    stream: str | None = None
    layer: str | None = None
    lag: int | tuple[int, ...] | None = None
    region: str | None = None

    def __str__(self) -> str:
        lags = (self.lag,) if isinstance(self.lag, int) else self.lag
        words = [
            f"stream {self.stream}" if self.stream else "",
            f"layer {self.layer}" if self.layer else "",
            ("lag " if len(lags) == 1 else "lags ") + ", ".join(map(str, lags)) if lags else "",
            self.region or "",
        ]
        return ", ".join([self.part, *filter(None, words)])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is not known is left out."""
        lag = list(self.lag) if isinstance(self.lag, tuple) else self.lag
        return {key: value for key, value in (vars(self) | {"lag": lag}).items() if value is not None}


@dataclass(frozen=True, eq=False)
class Finding:
    """Something that a rule has found.

    Attributes:
        rule: Name of the rule.
        severity: ``grave`` (broken: results cannot be trusted), ``warning`` (look into it) or ``note``.
        where: The place.
        evidence: One sentence with the number that says it, and what it would be in a healthy agent.
        advice: What to try.
        sure: ``certain`` (an identity is violated), ``likely`` (beyond the threshold by more than its noise) or
            ``possible``.
        numbers: The evidence for machines.
        picture: (H, W, 3) uint8, or None.
    """

    rule: str
    severity: Severity
    where: Where
    evidence: str
    advice: str
    sure: Certainty = "likely"
    numbers: dict[str, float] = field(default_factory=dict)
    picture: Array | None = None

    @property
    def order(self) -> tuple[int, int]:
        """The worst and the surest come first."""
        return SEVERITIES.index(self.severity), CERTAINTIES.index(self.sure)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON, but for the picture."""
        return {
            "rule": self.rule,
            "severity": self.severity,
            "sure": self.sure,
            "where": str(self.where),
            "place": self.where.to_dict(),
            "evidence": self.evidence,
            "numbers": self.numbers,
            "advice": self.advice,
        }
