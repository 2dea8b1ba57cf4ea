"""Small episodes and maps in memory."""

from __future__ import annotations

import numpy as np
import pytest

from policyscope.agents.protocol import Protocol
from policyscope.episodes.episode import Episode
from policyscope.rendering.normalise import frame_statistics
from policyscope.saliency.maps import Panel

PROTOCOL = Protocol(game="breakout", crop=(35, 0, 160, 160), size=(20, 20), stack=2)


class FakeMaps(dict):
    """Panels and their maps, with the interface of ``Maps`` that is drawn."""

    def __init__(self):
        super().__init__()
        self.meta = {"notes": []}

    @property
    def panels(self):
        return tuple(self)

    def statistics(self, panel):
        return frame_statistics(self[panel])


@pytest.fixture(scope="session")
def make_episode():
    def make(n=12, protocol=PROTOCOL, screens=(210, 160), actions=True, **meta):
        random = np.random.default_rng(0)
        shape = protocol.observation_shape
        taken = np.arange(n) % 3
        q = np.zeros((n, 3), np.float32)
        q[:, 1] = 1
        lives = np.full(n, 3)
        lives[n // 2 :] = 2
        rewards = np.zeros(n, np.float32)
        rewards[n // 3] = 4
        episode = Episode.from_arrays(
            random.integers(0, 256, (n, *shape), dtype=np.uint8),
            taken if actions else None,
            rewards=rewards,
            lives=lives,
            screens=None if screens is None else random.integers(0, 256, (n, *screens, 3), dtype=np.uint8),
            streams={"q": q, "value": np.arange(n, dtype=np.float32)[:, None] / 4},
            protocol=protocol,
        )
        episode.meta.update({"actions": ["NOOP", "LEFT", "RIGHT"], "game": "breakout", "seed": 7} | meta)
        return episode

    return make


@pytest.fixture(scope="session")
def make_maps():
    def make(*panels, n=12, size=(20, 20)):
        random = np.random.default_rng(1)
        panels = panels or (Panel("gradient", "q", lag=0), Panel("grad_cam", "q", layer="conv1"))
        made = FakeMaps()
        for panel in panels:
            maps = random.normal(size=(n, *size)).astype(np.float32)
            made[panel] = maps if panel.signed else np.maximum(maps, 0)
        return made

    return make
