"""Each rule of training: silent on what chance brings, loud on the fault, and sure of what cannot be otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from policyscope.training.watch.activation import Activation
from policyscope.training.watch.experience import ROWS, Experience
from policyscope.training.watch.lessons import Drawn, Goals, Lesson, Move, Pull
from policyscope.training.watch.rules import RULES
from policyscope.training.watch.told import Settings, Told

GAMES, SWEEPS, ACTIONS = 8, 600, 4


def experience(
    epsilon=0.3, act=None, ends=None, over=None, frames=None, rewards=None, q=None, said=None, policy=None,
    sweeps=SWEEPS, games=GAMES, rows=ROWS,
):  # fmt: skip
    """A few thousand steps of a value learner whose Q changes from state to state."""
    rng = np.random.default_rng(0)
    kept = Experience(rows)
    for step in range(sweeps):
        values = rng.normal(size=(games, ACTIONS)) if q is None else q(rng, step)
        best = values.argmax(axis=1)
        random = rng.random(games) < epsilon
        chosen = np.where(random, rng.integers(0, ACTIONS, games), best)
        if policy is not None:
            values = policy(rng)
            chances = np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
            chosen = np.array([rng.choice(ACTIONS, p=p) for p in chances])
        chosen = chosen if act is None else act(values, chosen)
        ended = (rng.random(games) < 0.02) if ends is None else ends(step)
        kept.add(
            step * games,
            (rng.random(games) < 0.1).astype(np.float32) if rewards is None else rewards(rng),
            ended,
            ended if over is None else over(step),
            actions=chosen,
            epsilon=said,
            observations=None if frames is None else frames(step),
            **{"policy" if policy is not None else "q": values},
        )
    return kept


def told(kept=None, lessons=(), **changes):
    kept = kept or experience()
    made = Told(5_000, 0, 1_000, Settings(), kept.acted(), True, kept.tally, *kept.draws(), tuple(lessons))
    return replace(made, **changes)


def asked(name, state):
    return list(RULES[name](state))


def severities(name, state):
    return [finding.severity for finding in asked(name, state)]


@pytest.mark.parametrize("epsilon", [1.0, 0.5, 0.05])
def test_chance_alone_is_nothing_to_any_rule(epsilon):
    state = told(experience(epsilon, said=epsilon))
    assert [finding for rule in RULES.values() for finding in rule(state)] == []


def test_no_random_action_at_all_is_grave_early_and_less_so_later():
    state = told(experience(0.0))
    assert severities("exploration", state) == ["grave"]
    assert asked("exploration", replace(state, settings=Settings(exploration="own"))) == []
    assert asked("exploration", replace(state, step=500_000)) == []  # one in a hundred may not have come yet
    longer = told(experience(0.0, sweeps=2_200, games=2), step=500_000)
    assert severities("exploration", longer) == ["warning"]


def test_an_epsilon_that_is_said_to_be_none_needs_no_outputs():
    kept = Experience()
    for step in range(120):
        kept.add(step, np.zeros(1), np.zeros(1, bool), np.zeros(1, bool), epsilon=0.0)
    assert severities("exploration", told(kept)) == ["grave"]
    assert asked("exploration", told(kept, began=50_000)) == []  # a resumed run is past its exploration
    kept.add(120, np.zeros(1), np.zeros(1, bool), np.zeros(1, bool), epsilon=0.1)
    assert asked("exploration", told(kept)) == []


def test_draws_that_are_a_little_off_show_in_a_whole_training():
    """A policy that is hardly learnt yet, drawn from upside down: nothing in the last states, certain in all."""

    def act(values, chosen):
        chances = np.exp(-values) / np.exp(-values).sum(axis=1, keepdims=True)
        return (chances.cumsum(axis=1) < next(draws)).sum(axis=1)

    rng = np.random.default_rng(1)
    draws = iter(rng.random((3_000, GAMES, 1)))
    kept = experience(policy=lambda rng: 0.03 * rng.normal(size=(GAMES, ACTIONS)), act=act, sweeps=3_000, rows=2_000)
    state = told(kept)
    assert severities("wrong-output", replace(state, ever=state.lately)) == []
    assert severities("wrong-output", state) == ["grave"]


def test_where_outputs_are_told_for_greedy_actions_alone_the_others_are_random():
    kept = Experience()
    rng = np.random.default_rng(1)
    for step in range(2_500):
        random = rng.random() < 0.2
        q = None if random else rng.normal(size=(1, ACTIONS))
        action = rng.integers(0, ACTIONS, 1) if random else q.argmax(axis=1)
        kept.add(step, np.zeros(1), np.zeros(1, bool), np.zeros(1, bool), actions=action, q=q)
    assert asked("exploration", told(kept, whole=False)) == []


def test_epsilon_that_is_said_and_not_done_is_grave():
    assert severities("exploration", told(experience(0.1, said=0.9))) == ["grave"]
    assert severities("wrong-output", told(experience(0.9, said=0.1))) == ["grave"]


def test_epsilon_that_never_falls_is_grave_at_half_of_the_plan():
    state = told(experience(1.0), settings=Settings(steps=8_000))
    assert severities("exploration", state) == ["grave"]
    assert asked("exploration", replace(state, step=2_000)) == []


@pytest.mark.parametrize(
    "act",
    [
        lambda values, chosen: values.argmin(axis=1),
        lambda values, chosen: (chosen + 1) % ACTIONS,
        lambda values, chosen: np.roll(chosen, 1),
    ],
    ids=["the worst", "the next one", "another game's"],
)
def test_actions_of_another_output_are_grave(act):
    assert severities("wrong-output", told(experience(0.3, act))) == ["grave"]


def test_a_policy_is_drawn_from_or_it_is_said():
    def logits(rng):
        return rng.normal(size=(GAMES, ACTIONS))

    assert asked("wrong-output", told(experience(policy=logits))) == []
    negated = told(experience(policy=logits, act=lambda values, chosen: (-values).argmax(axis=1)))
    assert severities("wrong-output", negated) == ["grave"]
    greedy = told(experience(policy=logits, act=lambda values, chosen: values.argmax(axis=1)))
    assert severities("exploration", greedy) == ["grave"]
    warm = told(experience(policy=logits, act=lambda v, c: np.where(v.max(axis=1) > 1.5, v.argmax(axis=1), c)))
    assert severities("wrong-output", warm) == ["warning"]


def test_a_policy_that_collapses_before_rewards_rise_is_grave():
    def sure(rng):
        return np.tile([12.0, 0.0, 0.0, 0.0], (GAMES, 1))

    state = told(experience(policy=sure), first_reward=(0.1, 0.01))
    assert "grave" in severities("exploration", state)
    better = replace(state, first_reward=(0.01, 0.001))
    assert "grave" not in severities("exploration", better)


def test_a_policy_that_stays_uniform_after_many_updates_is_a_warning():
    state = told(experience(policy=lambda rng: np.zeros((GAMES, ACTIONS))))
    assert severities("exploration", state) == ["warning"]
    assert asked("exploration", replace(state, updates=10)) == []


def test_targets_beyond_ends_are_certain():
    good, bad = Goals(32, 3, 0, 0.0), Goals(32, 3, 3, 0.2)
    assert asked("ends-not-masked", told(lessons=[Lesson(1, 1, goals=good)] * 4)) == []
    (found,) = asked("ends-not-masked", told(lessons=[Lesson(1, 1, goals=bad)] * 4))
    assert (found.severity, found.sure) == ("grave", "certain")


def test_a_replay_without_ends_is_found_by_what_is_missing():
    lessons = [Lesson(1, 1, goals=Goals(128, 0, 0, 0.0))]
    assert severities("ends-not-masked", told(lessons=lessons, drawn=Drawn(1_280, 0, 25.6))) == ["grave"]
    assert asked("ends-not-masked", told(lessons=lessons, drawn=Drawn(1_280, 20, 25.6))) == []
    assert (
        asked("ends-not-masked", told(lessons=lessons, drawn=Drawn(400, 0, 8.0))) == []
    )  # 8 expected: none may be chance


def test_a_game_that_ends_at_every_step_on_a_still_picture_is_grave():
    def ends(step):
        return np.arange(GAMES) == (0 if step > 300 else -1)

    still = np.zeros((GAMES, 84, 84), np.uint8)

    def moving(step):
        return still + np.uint8(step % 200)

    assert severities(
        "not-reset", told(experience(ends=ends, frames=lambda s: still, rewards=lambda rng: np.zeros(GAMES)))
    ) == ["grave"]
    assert severities("not-reset", told(experience(ends=ends, frames=moving))) == ["warning"]


@pytest.mark.parametrize(("late", "expected"), [(0, []), (1, ["grave"])])
def test_a_new_game_that_is_seen_one_step_late_is_grave(late, expected):
    def over(step):
        return np.full(GAMES, step % 40 == 39)

    def frames(step):
        game, time = divmod(max(step - late, 0), 40)
        picture = np.full((GAMES, 84, 84), 60 * (game % 3), np.uint8)
        picture[:, time : time + 4] = 255
        return picture

    assert severities("not-reset", told(experience(ends=over, over=over, frames=frames))) == expected


MOVED = Move(1, 1e-3, 1.0)


def targets(off, still, count=12):
    return [Lesson(i, i, target_off=off, target_still=still, move=MOVED) for i in range(count)]


def test_a_target_network_is_somewhere_between_always_and_never():
    settings = Settings(target_every=100)
    assert asked("target-network", told(lessons=targets(0.01, 90), settings=settings)) == []
    assert severities("target-network", told(lessons=targets(0.01, 500), settings=settings)) == ["grave"]
    assert severities("target-network", told(lessons=targets(0.0, 0), settings=settings)) == ["grave"]
    assert severities("target-network", told(lessons=targets(MOVED.change, 0), settings=settings)) == ["grave"]
    assert asked("target-network", told(lessons=targets(0.05, 9_000))) == []  # in use, where nothing is said
    assert severities("target-network", told(lessons=targets(0.05, 11_000))) == ["warning"]
    smooth = Settings(target_mixed=True, target_every=1)
    assert asked("target-network", told(lessons=targets(0.01, 0), settings=smooth)) == []


def test_a_target_network_cannot_be_judged_while_nothing_moves():
    unmoved = [replace(lesson, move=None) for lesson in targets(0.0, 500)]
    assert asked("target-network", told(lessons=unmoved, settings=Settings(target_every=100))) == []


@pytest.mark.parametrize(
    "bent",
    [
        lambda q: np.maximum(q, 0),
        lambda q: np.tanh(20 * q),
        lambda q: np.exp(q) / np.exp(q).sum(axis=1, keepdims=True),
    ],
    ids=["rectified", "saturated", "softmax"],
)
def test_outputs_show_what_they_went_through(bent):
    state = told(experience(q=lambda rng, step: bent(rng.normal(size=(GAMES, ACTIONS)))))
    assert severities("activation-on-q", state) == ["grave"]


def test_the_graph_shows_it_at_once_and_a_leak_is_less_grave():
    tanh = Lesson(1, 1, activation=Activation("tanh", -1.0, 1.0))
    leaky = Lesson(1, 1, activation=Activation("a leaky rectifier", float("-inf"), float("inf")))
    assert severities("activation-on-q", told(lessons=[tanh])) == ["grave"]
    assert severities("activation-on-q", told(lessons=[leaky])) == ["warning"]


def test_rewards_are_what_was_said():
    def given(size):
        return experience(rewards=lambda rng: size * (rng.random(GAMES) < 0.1))

    for said, size, expected in [
        ("sign", 1.0, []),
        ("sign", 30.0, ["grave"]),
        ("sign", 0.01, ["grave"]),
        ("clip", 0.5, []),
        ("clip", 7.0, ["grave"]),
        ("unknown", 1.0, []),
        ("unknown", 500.0, ["warning"]),
        ("none", 500.0, []),
    ]:
        assert severities("reward", told(given(size), settings=Settings(rewards=said))) == expected, (said, size)


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (Move(1, 1e-3, 1.0), []),
        (Move(1, 2e-2, 1.1), []),
        (Move(1, 0.05, 1.5), ["warning"]),
        (Move(1, 0.5, 3.0), ["grave"]),
        (Move(1, 0.02, 9.0), ["grave"]),
        (Move(1, 1e-8, 1.0), ["grave"]),
        (Move(1, 1e-8, 1.0, 1e-6, 0.001), []),
    ],
    ids=["usual", "large", "too large", "far too large", "weights grown", "nothing", "rate has faded"],
)
def test_the_size_of_updates(move, expected):
    lessons = [Lesson(50 + i, i, loss=0.1, move=move) for i in range(6)]
    assert severities("learning-rate", told(lessons=lessons)) == expected


def test_an_optimiser_of_other_weights_is_certain():
    assert severities("learning-rate", told(lessons=[Lesson(1, 1, optimised=0.0)])) == ["grave"]
    assert asked("learning-rate", told(lessons=[Lesson(1, 1, optimised=1.0)])) == []


@pytest.mark.parametrize(
    ("pull", "expected"),
    [
        (Pull("q", 200, 1.0, 0.0, 1.0), []),
        (Pull("q", 200, 0.3, 0.7, 0.3), ["grave"]),
        (Pull("q", 200, 0.25, 0.0, 0.5), ["grave"]),
        (Pull("q", 200, 0.6, 0.0, 1.0), ["note"]),
        (Pull("policy", 600, 0.5, 0.0, 0.98), []),
        (Pull("policy", 600, 0.3, 0.0, 0.2), ["grave"]),
    ],
    ids=["right", "another's", "all", "a margin too", "policy", "policy of another"],
)
def test_where_the_loss_pulls(pull, expected):
    assert severities("loss-over-wrong-action", told(lessons=[Lesson(1, 1, pull=pull)])) == expected


def test_numbers_that_are_none():
    assert severities("not-finite", told(lessons=[Lesson(1, 1, loss=float("nan"))])) == ["grave"]
    assert severities("not-finite", told(lessons=[Lesson(1, 1, finite=False)])) == ["grave"]


def test_a_stream_that_sees_nothing_twice_is_dead():
    blind, seeing = {"saliency/value/zero_share": 1.0}, {"saliency/value/zero_share": 0.0}
    assert severities("dead-stream", told(probe=[(1, blind), (2, blind)])) == ["grave"]
    assert asked("dead-stream", told(probe=[(1, blind), (2, seeing)])) == []
    assert asked("dead-stream", told(probe=[(1, blind), (2, blind)], updates=5)) == []


def test_values_that_no_rewards_could_bring():
    state = told(experience(q=lambda rng, step: 300 + rng.normal(size=(GAMES, ACTIONS))), settings=Settings(gamma=0.99))
    assert severities("values-beyond-bounds", state) == ["grave"]
    assert asked("values-beyond-bounds", replace(state, settings=Settings(gamma=0.999))) == []


def test_values_without_relation_to_rewards_are_a_late_warning():
    kept = experience(rewards=lambda rng: (rng.random(GAMES) < 0.2).astype(np.float32))
    state = told(kept, settings=Settings(gamma=0.9, steps=10_000), updates=10_000)
    assert severities("value-unrelated", state) == ["warning"]
    assert asked("value-unrelated", replace(state, step=1_000)) == []
