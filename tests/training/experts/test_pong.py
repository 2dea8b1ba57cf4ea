"""The expert of Pong, on the console."""

import numpy as np
import pytest

from policyscope.training.experts.pong import _reflected, play_back


def test_it_holds_its_own_against_the_console(console):
    won = lost = 0
    for seed in range(2):
        game = console("pong", seed=seed)
        for _ in range(1200):
            paid = game.step(int(play_back(game.seen())[0]))
            won, lost = won + (paid > 0), lost + (paid < 0)
    # A player that stands still or moves by chance loses a point every 35 steps, some 65 here.
    assert lost < 20
    assert won > 0


@pytest.mark.parametrize(("flown", "is_at"), [(31, 31), (70, 56.5), (-10, 7.5), (-1.25, -1.25), (31 + 129, 31)])
def test_a_ball_that_flies_on_is_folded_back_between_the_walls(flown, is_at):
    assert _reflected(np.array([flown])) == pytest.approx(is_at)


def field(ball, paddle, drift=(0, 0)):
    """Four screens of a ball (row, column) that goes on by a drift a step, and of a paddle at a row."""
    screens = np.full((4, 84, 84), 87, np.uint8)
    for back, screen in enumerate(screens[::-1]):
        row, column = ball[0] - back * drift[0], ball[1] - back * drift[1]
        screen[row : row + 2, column : column + 2] = 236
        screen[paddle - 3 : paddle + 3, 74:76] = 147
    return screens


def test_the_paddle_goes_to_where_the_ball_will_come_and_back_to_the_middle_after():
    up, down, stay = 2, 3, 0
    coming = [field((30, 50), paddle, (0, 2)) for paddle in (60, 20, 31)]
    assert play_back(np.stack(coming)).tolist() == [up, down, stay]
    # It falls 24 rows on the way, off the lower wall.
    slanted = field((60, 40), 45, (2, 2))
    assert play_back(slanted[None]).tolist() == [down]
    leaving = [field((20, 40), paddle, (0, -2)) for paddle in (70, 25, 45)]
    assert play_back(np.stack(leaving)).tolist() == [up, down, stay]
