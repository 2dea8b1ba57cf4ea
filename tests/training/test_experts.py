"""Experts written by hand, against the console's own memory."""

import ale_py
import cv2
import numpy as np
import pytest

from policyscope.training.experts import SILENT, breathe

OXYGEN, DIVERS, FULL = 102, 62, 64


@pytest.fixture(scope="module")
def seaquest():
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.loadROM(ale_py.roms.get_rom_path("seaquest"))
    for _ in range(200):
        ale.act(0)
    return ale


def said(ale, oxygen, divers):
    """What is said of a game whose newest screen shows so much oxygen and so many divers."""
    ale.setRAM(OXYGEN, oxygen)
    ale.setRAM(DIVERS, divers)
    for _ in range(2):
        ale.act(0)
    screen = cv2.resize(ale.getScreenGrayscale(), (84, 84), interpolation=cv2.INTER_AREA)
    older = np.full_like(screen, 142)  # a bar and a row of divers without contrast
    now, before = breathe(np.stack([np.stack([older, older, screen]), np.stack([screen, screen, older])]))
    assert before == SILENT
    return int(now)


@pytest.mark.parametrize(
    ("oxygen", "divers", "speaks"),
    [(FULL, 1, False), (30, 1, False), (10, 1, True), (10, 3, True), (10, 6, True), (10, 0, False), (FULL, 0, False)],
)
def test_a_submarine_goes_up_with_little_oxygen_and_a_diver_and_not_otherwise(seaquest, oxygen, divers, speaks):
    up_and_fire = 10
    assert str(seaquest.getLegalActionSet()[up_and_fire]).endswith("UPFIRE")
    assert said(seaquest, oxygen, divers) == (up_and_fire if speaks else SILENT)
