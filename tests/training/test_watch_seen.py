"""What a watcher sees of updates, keeps of what was done, and may spend."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from policyscope.errors import PolicyscopeError
from policyscope.training.watch import Watcher, budget
from policyscope.training.watch.activation import last_function
from policyscope.training.watch.budget import Budget
from policyscope.training.watch.experience import Experience, coarse
from policyscope.training.watch.lessons import Weights, goals_of, pull_of

# -- what is seen of an update --


def test_the_gradient_of_a_loss_tells_whose_it_is():
    q = torch.randn(50, 4, requires_grad=True)
    actions, goal = torch.arange(50) % 4, torch.randn(50)
    right = (q.gather(1, actions[:, None]).squeeze(1) - goal).square().mean()
    wrong = (q.gather(1, (actions[:, None] + 1) % 4).squeeze(1) - goal).square().mean()
    every = (q - goal[:, None]).square().mean()
    assert pull_of(right, q, actions, "q").on_taken == pytest.approx(1)
    assert pull_of(wrong, q, actions, "q").missed == pytest.approx(1)
    assert pull_of(every, q, actions, "q").on_taken < 0.5
    right.backward()  # the graph is still there
    assert pull_of(right.detach(), q, actions, "q") is None


def test_the_policys_gradient_is_greatest_at_the_action_taken():
    logits = torch.randn(200, 5, requires_grad=True)
    actions, advantage = torch.randint(5, (200,)), torch.randn(200)
    loss = -(logits.log_softmax(1).gather(1, actions[:, None]).squeeze(1) * advantage).mean()
    assert pull_of(loss, logits, actions, "policy").greatest == pytest.approx(1)


def test_targets_at_ends_are_compared_with_rewards():
    found = goals_of(torch.tensor([1, 0, 1]), torch.tensor([1.0, 0, 0]), torch.tensor([1.0, 5, 0.3]))
    assert (found.rows, found.ended, found.open) == (3, 2, 1)
    assert found.excess == pytest.approx(0.15)


def test_moves_of_weights_are_relative_and_per_update():
    network = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
    target = copy.deepcopy(network)
    seen = Weights(network, target, torch.optim.SGD(network.parameters(), 0.5))
    seen.keep(10)
    with torch.no_grad():
        network.weight.add_(torch.tensor([[0.3, 0.4]]))
    move = seen.moved(12)
    assert (move.updates, move.rate) == (2, 0.5)
    assert move.change == pytest.approx(0.1)
    assert move.grown == pytest.approx(1.1)
    assert seen.target(12)[0] == pytest.approx(0.5 / 5.5)
    assert seen.target(40)[1] == 28
    target.load_state_dict(network.state_dict())
    assert seen.target(41) == (0.0, 0)


@pytest.mark.parametrize(
    ("function", "name"), [(torch.relu, "rectifier"), (torch.tanh, "tanh"), (lambda q: q.softmax(1), "softmax")]
)
def test_the_last_function_is_read_from_the_graph(function, name):
    q = nn.Linear(3, 4)(torch.randn(2, 3))
    assert last_function(q) is None
    assert name in last_function(function(q)[:, None].squeeze(1).double()).name
    assert last_function(function(q) + q) is None


# -- what is kept of what was done --


def test_experience_keeps_the_last_steps_in_order_and_counts_all():
    kept = Experience(rows=128)
    for step in range(300):
        kept.add(step, np.array([1.0, 0.0]), np.array([True, False]), np.array([False, False]))
    acted = kept.acted()
    assert acted.steps.tolist() == list(range(236, 300))
    assert (kept.tally.states, kept.tally.ends, kept.tally.rewarded, acted.games) == (600, 300, 300, 2)


def test_frames_are_the_newest_ones_however_they_are_stacked():
    stack = np.zeros((2, 4, 12, 12), np.uint8)
    stack[:, -1] = 7
    assert coarse(stack).shape == (2, 4, 4)
    assert (coarse(stack) == 7).all()
    assert (coarse(np.moveaxis(stack, 1, -1)) == 7).all()


def test_stretches_of_draws_add_up_to_those_of_the_whole():
    rng = np.random.default_rng(0)
    q, actions = rng.normal(size=(400, 3, 4)), rng.integers(0, 4, (400, 3))
    often, once = Experience(), Experience()
    for row in range(400):
        for kept in (often, once):
            kept.add(row, np.zeros(3), np.zeros(3, bool), np.zeros(3, bool), actions=actions[row], q=q[row])
        if row % 50 == 0:
            often.draws()  # a round of the rules
    many, all_of_it = often.draws()[1].values, once.draws()[1].values
    assert many.states == all_of_it.states == 1_200
    assert (many.table == all_of_it.table).all()
    assert many.agreeing == (q.argmax(axis=2) == actions).sum()
    assert many.chance.deviations == pytest.approx(all_of_it.chance.deviations)


# -- what was told wrongly --


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"rewards": "halved"}, "say one of sign, clip, none, unknown"),
        ({"budget": 2}, "a share of the training's time"),
        ({"every": -1}, "at least 1, or 0"),
    ],
)
def test_options_that_are_none_say_what_they_may_be(made, said):
    with pytest.raises(PolicyscopeError, match=said):
        Watcher(**made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"terminated": np.zeros(3, bool)}, "terminated is of 3 games, but rewards of 4"),
        ({"q": np.zeros((3, 2))}, r"q has the shape \(3, 2\), but there are 4 games; give \(4, actions\)"),
        ({"observations": np.zeros((4, 7), np.float32), "actions": np.zeros(4, int)}, r"Tell acted\(\) the outputs"),
    ],
)
def test_what_does_not_fit_says_what_would(changes, said):
    watcher = Watcher(nn.Linear(3, 2))
    with pytest.raises(PolicyscopeError, match=said):
        watcher.acted(0, **({"actions": np.zeros(4, int), "rewards": np.zeros(4)} | changes))


def test_a_batch_that_is_none_is_refused():
    with pytest.raises(PolicyscopeError, match="of one batch"):
        Watcher().learnt(ends=np.ones(4), rewards=np.zeros(4), targets=np.zeros(3))


# -- ends that nobody could have learnt from yet --


def rollouts(behind):
    """Stretches of 64 steps of 16 games, each learnt from four times; ends come from the second one on."""
    watcher, games, length = Watcher(budget=1.0, every=10**9), 16, 64
    rng = np.random.default_rng(0)
    waiting = []
    for stretch in range(6):
        ends = (rng.random((length, games)) < 0.03) & (stretch > 0)
        for row in range(length):
            step = (stretch * length + row + 1) * games
            watcher.acted(step, rewards=np.zeros(games), terminated=ends[row])
        waiting.append(ends)
        if behind < len(waiting):
            for _ in range(4):
                watcher.learnt(ends=waiting[-1 - behind])
        yield {one.finding.rule for one in watcher.check()}


@pytest.mark.parametrize("behind", [0, 1])
def test_ends_of_a_stretch_that_is_not_learnt_from_yet_are_not_missed(behind):
    assert set().union(*rollouts(behind)) == set()


def test_ends_that_never_come_are():
    watcher = Watcher(budget=1.0, every=10**9)
    for step in range(2_000):
        watcher.acted(step, rewards=0.0, terminated=step % 40 == 39)
        watcher.learnt(ends=np.zeros(4))
    assert {one.finding.rule for one in watcher.check()} == {"ends-not-masked"}


# -- what it may cost --


@pytest.fixture
def clock(monkeypatch):
    """The time, which stands still but where it is set."""
    now = [0.0]
    monkeypatch.setattr(budget.time, "perf_counter", lambda: now[0])
    return now


def spend(kept, clock, what, seconds):
    with kept.counted(what):
        clock[0] += seconds


def test_a_budget_gives_seconds_up_front_and_its_share_later(clock):
    kept = Budget(0.02)
    assert kept.allows("rules")  # its first time
    spend(kept, clock, "rules", 0.2)
    assert kept.allows("rules")
    for _ in range(5):
        spend(kept, clock, "rules", 0.2)
    assert not kept.allows("rules")  # 1.2 seconds of 1.5, some of which is for being told
    clock[0] = 100.0
    assert kept.allows("rules")
    spend(kept, clock, "rules", 18.0)
    clock[0] = 1_000.0
    assert not kept.allows("rules")  # 19 seconds of 20
    clock[0] = 2_000.0
    assert kept.allows("rules")


def test_what_is_done_often_leaves_some_of_the_budget(clock):
    kept = Budget(0.02)
    for _ in range(7):
        spend(kept, clock, "forward", 0.1)
    assert kept.allows("forward")
    assert not kept.allows("forward", part=0.5)
    spend(kept, clock, "rules", 0.1)
    assert kept.allows("rules")
