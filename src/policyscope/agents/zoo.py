"""Agents that come with the package: ``zoo/NAME.safetensors`` and a card ``zoo/NAME.json``."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from policyscope.errors import CheckpointError

FOLDER = Path(__file__).resolve().parent.parent / "zoo"


def names() -> tuple[str, ...]:
    """Names of the agents, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def path(name: str) -> Path:
    """The file of an agent.

    Raises:
        CheckpointError: There is no such agent.
    """
    if name not in names():
        close = difflib.get_close_matches(name, names(), n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names()) or 'none yet'}"
        raise CheckpointError(f"the zoo has no agent {name!r}; {hint}")
    return FOLDER / f"{name}.safetensors"


def card(name: str) -> dict[str, Any]:
    """What is known about an agent: how it was trained, how well it plays."""
    file = path(name).with_suffix(".json")
    told: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return told
