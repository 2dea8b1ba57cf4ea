import sys
from pathlib import Path

import ale_py
import cv2
import pytest

# The training scripts stand beside the package.
sys.path.insert(0, str(Path(__file__).parents[2] / "training"))


class Console:
    """Seaquest on a bare console, whose memory a test sets and whose screen it sees as an agent does."""

    OXYGEN, DIVERS = 102, 62

    def __init__(self):
        self.ale = ale_py.ALEInterface()
        self.ale.setFloat("repeat_action_probability", 0.0)
        self.ale.loadROM(ale_py.roms.get_rom_path("seaquest"))
        self.wait(200)

    def wait(self, frames):
        for _ in range(frames):
            self.ale.act(0)

    def screen(self):
        return cv2.resize(self.ale.getScreenGrayscale(), (84, 84), interpolation=cv2.INTER_AREA)


@pytest.fixture
def seaquest():
    return Console()
