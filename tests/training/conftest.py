import sys
from pathlib import Path

import ale_py
import cv2
import numpy as np
import pytest

# The training scripts stand beside the package.
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))


class Console:
    """A bare console, whose memory a test reads and sets and whose screen it sees as an agent does."""

    OXYGEN, DIVERS = 102, 62
    """Seaquest's."""

    def __init__(self, game, seed=0):
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.setInt("random_seed", seed)
        self.ale.loadROM(ale_py.roms.get_rom_path(game))
        self.actions = self.ale.getMinimalActionSet()
        self.frames = [np.zeros((84, 84), np.uint8)] * 4

    def wait(self, frames):
        for _ in range(frames):
            self.ale.act(0)

    def screen(self):
        return self._small(self.ale.getScreenGrayscale())

    def step(self, action):
        """Four frames of an action of the game's own set; returns what they paid."""
        paid, screens = 0, []
        for _ in range(4):
            paid += self.ale.act(self.actions[action])
            screens.append(self.ale.getScreenGrayscale())
        self.frames = [*self.frames[1:], self._small(np.maximum(*screens[-2:]))]
        return paid

    def seen(self):
        """What an agent sees of it: (1, 4, 84, 84)."""
        return np.stack(self.frames)[None]

    def memory(self, *places):
        return tuple(int(self.ale.getRAM()[place]) for place in places)

    @staticmethod
    def _small(screen):
        return cv2.resize(screen, (84, 84), interpolation=cv2.INTER_AREA)


@pytest.fixture
def seaquest():
    console = Console("seaquest")
    console.wait(200)
    return console


@pytest.fixture
def console():
    """A console by the name of its game."""
    return Console
