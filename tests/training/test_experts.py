"""Experts written by hand, against the console's own memory."""

import numpy as np
import pytest

from policyscope.training.experts import SILENT, breathe

FULL = 64
"""Oxygen, as the console counts it."""


def said(console, oxygen, divers):
    """What is said of a game whose newest screen shows so much oxygen and so many divers."""
    console.ale.setRAM(console.OXYGEN, oxygen)
    console.ale.setRAM(console.DIVERS, divers)
    console.wait(2)
    screen = console.screen()
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
    assert str(seaquest.ale.getLegalActionSet()[up_and_fire]).endswith("UPFIRE")
    assert said(seaquest, oxygen, divers) == (up_and_fire if speaks else SILENT)
