"""The experts of Seaquest, against the console's own memory and on painted seas."""

import numpy as np
import pytest

from policyscope.training.experts import SILENT
from policyscope.training.experts.seaquest import _submarine, breathe, hunt

FULL = 64
"""Oxygen, as the console counts it."""
UP, DOWN, RIGHT, LEFT = {10, 14, 15}, {13, 16, 17}, {11, 14, 16}, {12, 15, 17}
"""Actions that go somewhere, firing."""
FLOOR, LANES = 58, (29, 38, 48, 58)
"""Rows of the screen."""


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


def test_the_submarine_is_where_the_console_has_it(console):
    game, rng, found = console("seaquest"), np.random.default_rng(0), 0
    for step in range(600):
        game.step(int(rng.integers(0, 18)))
        if game.ale.game_over():
            game.ale.reset_game()
        column, row = game.memory(70, 97)
        (seen_row,), (seen_column,), (sure,) = _submarine(game.seen()[:, -1])
        if step > 60 and sure:
            found += 1
            assert abs(seen_column - (column * 84 / 160 + 3.4)) < 2.5
            assert abs(seen_row - (row * 0.4 - 5.2)) < 2.5
    assert found > 100


def sea(*things, oxygen=1.0, aboard=True, row=FLOOR, column=42):
    """A screen: sharks and divers as (kind, row, column) and the own submarine in still water."""
    screen = np.full((84, 84), 32, np.uint8)
    screen[68:70, 26:58] = 85
    screen[68:70, 26 : 26 + round(32 * oxygen)] = 214
    screen[72:74, 31:33] = 100 if aboard else 142
    screen[row - 1 : row + 2, column - 4 : column + 5] = 170
    for kind, at, middle in things:
        if kind == "shark":
            screen[at - 2 : at + 2, middle - 2 : middle + 2] = 150
        else:
            for step in range(-3, 3):
                screen[at + step, middle + step // 2 : middle + step // 2 + 2] = 60
    return screen


def moves(then, now):
    """What is likeliest after a drift from one screen to another."""
    (chances,) = hunt(np.stack([then, then, then, now])[None])
    assert chances.sum() == pytest.approx(1)
    return int(chances.argmax())


def still(*things, **changes):
    screen = sea(*things, **changes)
    return moves(screen, screen)


def test_it_dives_from_the_surface_where_it_does_not_show():
    assert still(row=8) == 13


@pytest.mark.parametrize("lane", [0, 1, 2])
def test_it_goes_to_the_lane_of_a_shark_that_is_far_enough(lane):
    assert still(("shark", LANES[lane], 76)) in UP
    assert still(("shark", LANES[lane], 8)) in UP


def test_it_does_not_enter_the_lane_of_a_shark_that_is_near():
    assert still(("shark", LANES[0], 52), ("shark", LANES[2], 76), row=LANES[1]) in DOWN
    assert still(("shark", LANES[0], 76), ("shark", LANES[2], 52), row=LANES[1]) in UP


def test_it_turns_to_the_shark_in_its_lane_and_shoots():
    assert still(("shark", FLOOR, 65)) in RIGHT
    assert still(("shark", FLOOR, 15)) in LEFT


def test_it_stays_away_from_the_sides():
    assert still(("shark", FLOOR, 79), column=56) not in RIGHT
    assert still(("shark", FLOOR, 79), column=65) in LEFT
    assert still(("shark", FLOOR, 4), column=27) not in LEFT
    assert still(("shark", FLOOR, 4), column=18) in RIGHT


def test_with_nothing_to_shoot_it_goes_to_the_middle():
    assert still() in UP
    assert still(row=LANES[0]) in DOWN
    assert still(row=LANES[1], column=24) in RIGHT


def test_little_oxygen_and_a_diver_aboard_bring_it_up_and_none_aboard_does_not():
    down_there = ("shark", FLOOR, 70)
    assert still(down_there, oxygen=0.2) in UP
    assert still(down_there, oxygen=0.2, aboard=False) not in UP


@pytest.mark.parametrize("lane", [0, 1, 2])
def test_a_diver_is_fetched_when_none_is_aboard(lane):
    assert still(("diver", LANES[lane], 42), oxygen=0.5, aboard=False) in UP
    assert still(("diver", LANES[lane], 60), oxygen=0.5, aboard=False) in UP & RIGHT
    assert still(("diver", LANES[lane], 24), oxygen=0.5, aboard=False) in UP & LEFT


def test_a_diver_is_let_go_with_one_aboard():
    prey = ("shark", FLOOR, 65)
    assert still(prey, ("diver", LANES[0], 42)) not in UP


def test_it_does_not_rise_into_a_shark():
    above = ("shark", LANES[2], 42)
    assert still(above, oxygen=0.2, row=FLOOR - 2) not in UP
    assert still(("shark", LANES[2], 75), oxygen=0.2, row=FLOOR - 2) in UP


def test_it_waits_for_the_shark_that_comes_and_not_for_the_one_that_leaves():
    row = FLOOR - 4
    comes = [sea(("shark", LANES[2], at), oxygen=0.2, row=row) for at in (58, 54)]
    leaves = [sea(("shark", LANES[2], at), oxygen=0.2, row=row) for at in (48, 52)]
    assert moves(*comes) != 10
    assert moves(*leaves) in UP


def test_moves_that_are_as_good_are_as_likely():
    # The way up is free; a step aside on the way costs as much to the left as to the right.
    (chances,) = hunt(np.stack([sea(oxygen=0.2)] * 4)[None])
    assert chances[14] == pytest.approx(chances[15])
    assert 0.01 < chances[14] < chances[10]


def test_games_are_read_each_by_itself():
    screens = [sea(oxygen=0.2), sea(), sea(("diver", LANES[1], 60), aboard=False), sea(row=LANES[0])]
    together = hunt(np.stack([np.stack([screen] * 4) for screen in screens]))
    alone = [hunt(np.stack([screen] * 4)[None])[0] for screen in screens]
    np.testing.assert_array_equal(together, alone)
