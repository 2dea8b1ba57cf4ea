"""Findings for others: as JSON, and in a run folder, where the report and the viewer show them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from policyscope.diagnosis.finding import SEVERITIES, Finding
from policyscope.storage import disk_errors, replacing, write_json

FINDINGS, FIGURES = "findings.json", "figures"
"""Where a run folder has them, and pictures of any kind."""
_PREFIX = "finding-"


@dataclass(frozen=True)
class Checkup:
    """What was examined, for who reads the findings.

    Attributes:
        agent: Where it came from.
        fingerprint: Of its weights.
        game: What it played.
        policy: How it acted.
        steps: Of the episode.
        seed: Of it; None where the episode does not tell.
        rules: Names of those that were asked.
        seconds: That they took, without playing.
    """

    agent: str
    fingerprint: str
    game: str | None
    policy: str
    steps: int
    seed: int | None
    rules: tuple[str, ...]
    seconds: float


def told(checkup: Checkup, findings: Sequence[Finding], pictures: Sequence[str | None] = ()) -> dict[str, Any]:
    """The whole diagnosis as JSON has it.

    The keys are those of ``Checkup``; ``gravest``, the severity of the first finding or null; and ``findings``, a list
    of ``Finding.to_dict``, the gravest first, each with its ``picture`` (a path in the run folder, or null). Numbers
    that are not finite are null.
    """
    return asdict(checkup) | {
        "rules": list(checkup.rules),
        "seconds": round(checkup.seconds, 2),
        "gravest": gravest(findings),
        "findings": _listed(findings, pictures),
    }


def write_findings(folder: Path, findings: Sequence[Finding]) -> list[str | None]:
    """Puts findings into a run folder, in place of those that were there.

    ``findings.json`` is a list of ``Finding.to_dict``, each with its ``picture``, a PNG file in ``figures/``.

    Args:
        folder: The run; it is made where there is none.
        findings: In the order in which they are shown.

    Returns:
        Each finding's picture, as a path in the folder; None where it has none.

    Raises:
        RunError: The folder cannot be written.
    """
    figures = folder / FIGURES
    pictures: list[str | None] = []
    with disk_errors(folder):
        figures.mkdir(parents=True, exist_ok=True)
        for number, finding in enumerate(findings, start=1):
            if finding.picture is None:
                pictures.append(None)
                continue
            path = figures / f"{_PREFIX}{number}-{finding.rule}.png"
            with replacing(path) as part:
                Image.fromarray(finding.picture).save(part, format="PNG")
            pictures.append(f"{FIGURES}/{path.name}")
        write_json(folder / FINDINGS, _listed(findings, pictures))
        for path in figures.glob(f"{_PREFIX}*.png"):
            if f"{FIGURES}/{path.name}" not in pictures:
                path.unlink()
    return pictures


def gravest(findings: Sequence[Finding]) -> str | None:
    """The worst severity there is."""
    return next((name for name in SEVERITIES if any(finding.severity == name for finding in findings)), None)


def _listed(findings: Sequence[Finding], pictures: Sequence[str | None]) -> list[dict[str, Any]]:
    places = [*pictures, *[None] * (len(findings) - len(pictures))]
    return [
        finding.to_dict()
        | {"numbers": {name: _plain(value) for name, value in finding.numbers.items()}, "picture": place}
        for finding, place in zip(findings, places, strict=True)
    ]


def _plain(value: float) -> float | None:
    """A number as JSON has it: what is not finite is none."""
    return float(value) if math.isfinite(value) else None
