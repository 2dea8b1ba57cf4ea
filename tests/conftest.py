"""A zoo of the tests' own: cards, files, curves, a cache and a place to fetch from, all in a temporary folder."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from policyscope.agents.custom import make_agent
from policyscope.agents.formats.own import save_agent
from policyscope.agents.networks import build
from policyscope.agents.zoo import shelves

# A slow machine is no failure.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@dataclass
class Shelf:
    """The folders of a zoo.

    Attributes:
        folder: What the package carries.
        cache: Where fetched files go.
        release: Where they are fetched from.
    """

    folder: Path
    cache: Path
    release: Path

    def add(self, name: str, where: Path | None = None) -> Path:
        """Puts an agent into a folder, by default the package's, and its card and curve into the package.

        Args:
            name: Of the entry.
            where: The folder of its file.
        """
        torch.manual_seed(0)
        network = build("dueling_dqn", actions=4, hidden=2)
        agent = make_agent(network, game="breakout", policy="epsilon=1")
        file = save_agent(agent, (where or self.folder) / f"{name}.safetensors")
        own = {
            "protocol": "modern: 4 frames an action",
            "policy": "epsilon=1",
            "seed": 1000,
            "limit": 40,
            "returns": [0.0] * 20 + [1.0] * 10,
            "mean": 1 / 3,
            "interval": [0.2, 0.5],
        }
        card = {
            "name": name,
            "game": "breakout",
            "architecture": "dueling_dqn",
            "options": {"actions": 4, "hidden": 2},
            "summary": "a test's",
            "how": "not at all",
            "recipe": "none",
            "values": {"gamma": 0.99},
            "command": "policyscope train none",
            "steps": 1000,
            "frames": 4000,
            "seeds": [0],
            "hardware": "none",
            "seconds": None,
            "weights": {
                "dtype": "float32",
                "size": file.stat().st_size,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "map_correlation": {"gradient": 1.0, "grad_cam": 0.9975},
            },
            "curve": f"{name}.csv",
            "returns": {"own": own},
        }
        (self.folder / f"{name}.json").write_text(json.dumps(card))
        (self.folder / f"{name}.csv").write_text("step,seconds,return\n0,0.0,\n500,1.0,0.25\n1000,2.0,12.5\n")
        return file

    def change(self, name: str, /, **changes: Any) -> None:
        """Writes other values into a card."""
        card = self.folder / f"{name}.json"
        card.write_text(json.dumps(json.loads(card.read_text()) | changes))


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty zoo, to which the package looks instead of its own."""
    made = Shelf(tmp_path / "package", tmp_path / "cache" / "zoo", tmp_path / "release")
    for folder in (made.folder, made.release):
        folder.mkdir()
    monkeypatch.setattr(shelves, "FOLDER", made.folder)
    monkeypatch.setenv("POLICYSCOPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("POLICYSCOPE_ZOO_URL", str(made.release))
    return made
