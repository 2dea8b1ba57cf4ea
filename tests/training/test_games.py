"""Games side by side, as a learner sees them."""

import numpy as np
import pytest

from policyscope.episodes.atari import AtariGame
from policyscope.errors import RecipeError
from policyscope.training.games import Games, Shuffled
from policyscope.training.recipe import Recipe


@pytest.fixture(scope="module")
def played():
    """Five hundred random steps of Breakout, twice: with clipped rewards and as the console counts them."""
    made = [Games(Recipe(games=4, clip_rewards=clip), 4, seed=5) for clip in (True, False)]
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(900):
        actions = rng.integers(0, 4, 4)
        before = made[0].observations.copy(), made[0].age.copy()
        turns = [games.step(actions) for games in made]
        rows.append((*before, *turns))
    return made, rows


def test_returns_are_the_consoles_and_rewards_are_clipped(played):
    (clipped, counted), rows = played
    assert {float(r) for row in rows for r in row[2].rewards} == {0.0, 1.0}
    # Breakout's upper rows count more than one, so the two differ; both curves count what the console counts.
    assert clipped.finished == counted.finished
    totals, finished = np.zeros(4), []
    for *_, turn in rows:
        totals += turn.rewards
        finished += totals[turn.over].tolist()
        totals[turn.over] = 0
    assert finished == list(counted.finished)
    assert counted.count == len(finished) > 0


def test_rewards_that_are_not_clipped_are_scaled(played):
    _, rows = played
    scaled = Games(Recipe(games=4, clip_rewards=False, reward_scale=0.25), 4, seed=5)
    rng = np.random.default_rng(0)
    for *_, counted in rows[:200]:
        assert scaled.step(rng.integers(0, 4, 4)).rewards.tolist() == (0.25 * counted.rewards).tolist()
    assert any(counted.rewards.max() > 0 for *_, counted in rows[:200])


@pytest.mark.parametrize("idle", [0, 3, 29])
def test_games_start_with_as_many_idle_frames_as_the_recipe_allows(idle):
    """As our own console's games do under the protocol that an agent is saved with."""
    games = Games(Recipe(game="enduro", games=8, idle=idle), 4, seed=5)
    starts = {picture.tobytes() for picture in games.observations[:, -1]}
    game, ours = AtariGame(games.protocol), set()
    for number in range(100):
        game.reset(None if number else 5)
        ours.add(game.observation[-1].tobytes())
    assert starts <= ours
    assert len(starts) >= min(2, len(ours))
    assert len(ours) <= idle + 1
    assert games.protocol.noops == ((0, idle) if idle else 0)


@pytest.mark.parametrize(("clip", "scale", "must_be"), [(False, 0.0, "above 0"), (True, 0.1, "1 without --no-clip")])
def test_a_scale_that_would_do_nothing_is_refused(clip, scale, must_be):
    with pytest.raises(RecipeError, match=f"--reward-scale is {scale}; it must be {must_be}"):
        Recipe(clip_rewards=clip, reward_scale=scale)


def test_a_lost_life_ends_a_return_and_five_of_them_a_game(played):
    _, rows = played
    ends = np.stack([turn.ends for _, _, turn, _ in rows])
    over = np.stack([turn.over for _, _, turn, _ in rows])
    assert not (over & ~ends).any()
    for game in range(4):
        last = int(np.flatnonzero(over[:, game])[-1])
        assert ends[: last + 1, game].sum() == 5 * over[: last + 1, game].sum()


def test_age_tells_which_frames_of_a_stack_are_blank(played):
    _, rows = played
    young = [(seen[game], int(age[game])) for seen, age, *_ in rows for game in range(4) if age[game] < 3]
    assert any(age == 0 for _, age in young[4:])  # a second game began
    for stack, age in young:
        assert (stack.reshape(4, -1).max(axis=1) > 0).tolist() == [back <= age for back in (3, 2, 1, 0)]


def test_shuffled_rewards_are_as_many_and_as_large_and_tell_nothing():
    shuffled, rng = Shuffled(0, size=500), np.random.default_rng(1)
    rewards = rng.choice([0.0, 1.0, 7.0], (2000, 8), p=[0.9, 0.08, 0.02]).astype(np.float32)
    ends = rewards == 7
    given = [shuffled(one, end) for one, end in zip(rewards, ends, strict=True)]
    drawn, drawn_ends = np.stack([one for one, _ in given]), np.stack([end for _, end in given])
    for size in (1.0, 7.0):
        assert (drawn == size).mean() == pytest.approx((rewards == size).mean(), rel=0.15)
    assert drawn_ends.mean() == pytest.approx(ends.mean(), rel=0.15)
    for other in (rewards, drawn_ends, ends):
        assert abs(np.corrcoef(drawn[500:].ravel(), other[500:].ravel())[0, 1]) < 0.03


def test_a_learner_gets_shuffled_rewards_while_its_returns_are_the_consoles():
    true, shuffled = (Games(Recipe(games=4, shuffle_rewards=shuffle), 4, seed=5) for shuffle in (False, True))
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 4, (600, 4))
    turns = [(true.step(row), shuffled.step(row)) for row in actions]
    assert true.finished == shuffled.finished
    assert not all(np.array_equal(one.rewards, other.rewards) for one, other in turns)
    assert all(np.array_equal(one.over, other.over) for one, other in turns)
