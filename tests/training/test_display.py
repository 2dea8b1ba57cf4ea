"""A reward for what a game shows and does not pay for."""

import json

import numpy as np
import pytest

from policyscope.errors import RecipeError
from policyscope.training.display import Display
from policyscope.training.games import Games
from policyscope.training.recipe import Recipe

DIVERS = (71, 20, 75, 60)


def frames(filled):
    """Screens of two games whose box (1, 2, 5, 10) shows so many things, and which flicker elsewhere."""
    rng = np.random.default_rng(0)
    screens = rng.integers(0, 255, (len(filled), 8, 12), dtype=np.uint8)
    screens[:, 1:5, 2:10] = 142
    for screen, count in zip(screens, filled, strict=True):
        screen[2:4, 2 : 2 + count] = 60
    return screens


def test_what_appears_in_the_box_is_paid_once_and_what_goes_is_not():
    display = Display((1, 2, 5, 10), frames((0, 0)))
    old = np.array([False, False])
    paid = [display(frames(counts), old).tolist() for counts in [(1, 0), (1, 0), (2, 1), (0, 1), (1, 1)]]
    assert paid == [[1, 0], [0, 0], [1, 1], [0, 0], [0, 0]]


def test_a_new_game_is_compared_with_its_own_first_frame():
    display = Display((1, 2, 5, 10), frames((0, 0)))
    assert display(frames((3, 3)), np.array([True, False])).tolist() == [0, 1]
    # Going back to none differs from a first frame with three.
    assert display(frames((0, 0)), np.array([False, False])).tolist() == [1, 0]
    assert display(frames((0, 0)), np.array([False, True])).tolist() == [0, 0]


def test_what_flashes_is_paid_once_and_what_fills_at_every_step():
    display = Display((1, 2, 5, 10), frames((0, 0)))
    old = np.array([False, False])
    paid = [display(frames(counts), old).tolist() for counts in [(3, 1), (0, 2), (3, 3), (0, 4), (3, 4)]]
    assert paid == [[1, 1], [0, 1], [0, 1], [0, 1], [0, 0]]
    # What is long gone and comes back is news.
    for _ in range(8):
        display(frames((0, 0)), old)
    assert display(frames((3, 0)), old).tolist() == [1, 0]


def test_seaquest_shows_its_divers_where_the_help_says(seaquest):
    """The box of the help against the console's own count of divers aboard."""
    display = Display(DIVERS, seaquest.screen()[None])
    paid = []
    for count in (0, 1, 1, 2, 3, 4, 5, 6, 6, 5, *[0] * 8, 1):
        seaquest.ale.setRAM(seaquest.DIVERS, count)
        seaquest.wait(4)
        paid.append(float(display(seaquest.screen()[None], np.array([False]))[0]))
    assert paid == [0, 1, 0, 1, 1, 1, 1, 1, 0, 0, *[0] * 8, 1]


def test_a_tank_that_fills_is_paid_step_by_step():
    """Seaquest's tank is empty on the first frame, is filled once, and then only falls."""
    tank = Games(Recipe(game="seaquest", games=2, display=(*DIVERS, 68, 26, 70, 59)), 4, seed=0)
    paid = sum(tank.step(np.zeros(2)).rewards for _ in range(100))
    tank.close()
    assert (paid >= 20).all()
    assert (paid <= 32).all()


def test_games_pay_for_it_on_top_of_their_clipped_rewards():
    # Breakout's score: its digits change with every brick, as the reward does.
    score = (0, 30, 8, 50)
    plain, shown = (Games(Recipe(games=2, display=display), 4, seed=3) for display in ((), score))
    extra = 0.0
    for step in range(150):
        actions = np.full(2, 1 if step % 10 == 0 else 2 + step // 5 % 2)
        bare, paid = plain.step(actions), shown.step(actions)
        assert set((paid.rewards - bare.rewards).tolist()) <= {0.0, 1.0}
        extra += float((paid.rewards - bare.rewards).sum())
    plain.close()
    shown.close()
    assert extra > 0


@pytest.mark.parametrize(
    "box", [(1, 2, 3), (5, 0, 5, 9), (0, 0, 85, 10), (-1, 0, 5, 5), (*DIVERS, 1, 2), (*DIVERS, 9, 9, 9, 9)]
)
def test_a_box_outside_the_screen_is_refused(box):
    with pytest.raises(RecipeError, match=r"--display is .* top left bottom right of boxes within 84 x 84 pixels"):
        Recipe(display=box)


def test_the_values_of_a_recipe_survive_json():
    values = Recipe(display=DIVERS).values()
    assert json.loads(json.dumps(values)) == values
