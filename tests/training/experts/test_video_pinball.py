"""The expert of Video Pinball, against the console's own memory."""

import numpy as np

from policyscope.training.experts.video_pinball import _TO_LEFT, _TO_RIGHT, _changes, _spot, nudge

BALL = 67, 68
"""Where the console keeps the ball's column and row."""


def test_the_ball_is_where_the_console_has_it(console):
    game, found, between = console("video_pinball"), 0, 0
    for _ in range(1200):
        game.step(int(nudge(game.seen())[0]))
        column, row = game.memory(*BALL)
        row, column = row * 0.4 - 0.8, column * 84 / 160
        (seen_row,), (seen_column,), (seen,) = _spot(_changes(game.seen()[:, -1], game.seen()[:, -2]))
        if 58 < row < 68 and 28 < column < 56:
            between += 1
            if seen:
                found += 1
                assert abs(seen_row - row) < 2.5
                assert abs(seen_column - column) < 2.5
    assert found > 0.9 * between > 40


def test_the_ball_is_shot_and_kept_and_the_table_never_tilts(console):
    game, paid = console("video_pinball", seed=1), 0
    lost, was = 0, (149, 132)
    for _ in range(1500):
        paid += game.step(int(nudge(game.seen())[0]))
        now = game.memory(*BALL)
        lost += now[0] > 145 and now[1] > 120 and was[1] < 100
        was = now
    assert paid > 5000  # nothing at all without a shot, some 4,000 a ball by chance
    assert not game.ale.game_over()


def falling(column, towards):
    """Four screens in which a ball falls from row 58 in steps of 3, and goes sideways."""
    screens = np.zeros((4, 84, 84), np.uint8)
    screens[:, 52, 78] = 0
    for step, screen in enumerate(screens):
        screen[58 + 3 * step : 60 + 3 * step, column + towards * step] = 90
    return screens


def test_a_ball_that_falls_into_the_gap_is_pushed_to_the_nearer_side_and_another_is_not():
    cases = [falling(39, 0), falling(44, 0), falling(28, 0), falling(34, 2), falling(50, -2)]
    said = nudge(np.stack(cases)).tolist()
    assert said[:2] == [_TO_LEFT, _TO_RIGHT]
    assert said[2] not in (_TO_LEFT, _TO_RIGHT)
    # Where it will land decides, not where it is.
    assert said[3:] == [_TO_RIGHT, _TO_LEFT]
