"""Goals of value learning, against their formulas one number at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policyscope.agents.networks import build
from policyscope.errors import RecipeError
from policyscope.training.parallel_value import lambda_returns
from policyscope.training.replay import Batch
from policyscope.training.value import ValueLearning, distribution_error, greedy, projected, q_error


def batch_of(actions, returns, discounts):
    empty = torch.empty(0)
    places = (np.zeros(0), np.zeros(0))
    return Batch(
        places,
        empty,
        empty,
        torch.tensor(actions),
        torch.tensor(returns),
        torch.tensor(discounts),
        torch.ones(len(actions)),
        empty,
    )


def test_double_learning_values_with_the_target_what_the_online_network_chose():
    batch = batch_of([1, 0], [0.5, 2.0], [0.9, 0.0])
    q = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    later, online = torch.tensor([[5.0, 2.0], [1.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    loss, error = q_error(batch, q, later, online)
    assert error.tolist() == pytest.approx([1.0 - (0.5 + 0.9 * 2.0), 3.0 - 2.0])
    assert loss.tolist() == pytest.approx([1.3 - 0.5, 0.5])  # Huber: beyond 1 it grows evenly
    _, plain = q_error(batch, q, later, later)
    assert float(plain[0]) == pytest.approx(1.0 - (0.5 + 0.9 * 5.0))


def test_no_gradient_goes_into_the_goal():
    q, later = torch.zeros(1, 2, requires_grad=True), torch.zeros(1, 2, requires_grad=True)
    loss, _ = q_error(batch_of([0], [1.0], [0.9]), q, later, later)
    loss.sum().backward()
    assert later.grad is None
    assert q.grad.tolist() == [[-1.0, 0.0]]


@given(
    st.floats(-15, 15, allow_nan=False, width=32),
    st.floats(0, 1, width=32),
    st.lists(st.floats(0.0009765625, 1, width=32), min_size=11, max_size=11),
)
def test_projection_keeps_chances_and_the_mean_within_the_support(reward, discount, weights):
    support = torch.linspace(-10, 10, 11)
    chances = torch.tensor(weights) / sum(weights)
    found = projected(torch.tensor([reward]), torch.tensor([discount]), chances[None], support)[0]
    naive = np.zeros(11)
    for atom, chance in zip(support.double().tolist(), chances.double().tolist(), strict=True):
        place = (min(max(reward + discount * atom, -10), 10) + 10) / 2
        below = min(int(np.floor(place)), 10)
        naive[below] += chance * (1 - (place - below))
        if below < 10:
            naive[below + 1] += chance * (place - below)
    assert found.numpy() == pytest.approx(naive, abs=1e-4)
    assert float(found.sum()) == pytest.approx(1, abs=1e-4)


def test_distribution_error_is_the_cross_entropy_with_the_projected_goal():
    torch.manual_seed(0)
    network = build("categorical_dqn", actions=3, hidden=8, atoms=5, low=-2.0, high=2.0)
    logits, later = torch.randn(2, 3, 5), torch.randn(2, 3, 5)
    batch = batch_of([2, 0], [0.3, -1.0], [0.9, 0.0])
    chosen_by = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    loss, _ = distribution_error(batch, logits, later, chosen_by, network.support)
    goal = projected(batch.returns[:1], batch.discounts[:1], later[:1, 1].softmax(dim=1), network.support)
    wanted = -(goal * logits[:1, 2].log_softmax(dim=1)).sum()
    assert float(loss[0]) == pytest.approx(float(wanted), rel=1e-5)
    assert float(loss[1]) == pytest.approx(float(-logits[1, 0].log_softmax(dim=0)[1]), rel=1e-5)  # all at -1


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000))
def test_lambda_returns_are_the_average_of_n_step_returns(trace, gamma, seed):
    rng = np.random.default_rng(seed)
    steps = 6
    rewards, best = rng.normal(size=steps), rng.normal(size=steps + 1)
    ends = (rng.random(steps) < 0.2).astype(float)
    found = lambda_returns(
        torch.tensor(rewards)[:, None], torch.tensor(ends)[:, None], torch.tensor(best)[:, None], gamma, trace
    )

    def n_step(start, n):
        total, discount = 0.0, 1.0
        for step in range(start, start + n):
            total += discount * rewards[step]
            discount *= gamma * (1 - ends[step])
        return total + discount * best[start + n]

    for start in range(steps):
        left = steps - start
        wanted = sum((1 - trace) * trace ** (n - 1) * n_step(start, n) for n in range(1, left))
        assert float(found[start, 0]) == pytest.approx(wanted + trace ** (left - 1) * n_step(start, left), abs=1e-9)


def test_a_random_action_is_taken_as_often_as_epsilon_says():
    q = torch.tensor([[0.0, 0.0, 1.0, 0.0]]).repeat(20_000, 1)
    taken = greedy(q, 0.4, np.random.default_rng(0))
    assert (taken == 2).mean() == pytest.approx(0.6 + 0.1, abs=0.01)
    assert (greedy(q, 0.0, np.random.default_rng(0)) == 2).all()


def test_epsilon_falls_evenly_and_stays():
    recipe = ValueLearning(epsilon_start=1.0, epsilon_end=0.1, epsilon_steps=100)
    assert [recipe.epsilon(step) for step in (0, 50, 100, 1000)] == pytest.approx([1.0, 0.55, 0.1, 0.1])


@pytest.mark.parametrize(
    ("name", "value"), [("n_step", 0), ("replay", 10), ("epsilon_end", 2.0), ("priority", -1), ("support", 0.0)]
)
def test_a_value_out_of_range_is_named_with_what_would_be_right(name, value):
    with pytest.raises(RecipeError, match=rf"--{name.replace('_', '-')} is {value}; it must be "):
        ValueLearning(**{name: value})
