"""Advantages, losses and views of actor-critics, against their formulas one number at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from policyscope.errors import RecipeError
from policyscope.training.actor_critic import ActorCritic, losses, make_network, make_view, policy_loss
from policyscope.training.compute import Compute
from policyscope.training.games import Games
from policyscope.training.rollout import Rollout


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 10_000))
def test_advantages_are_the_sum_of_discounted_errors_up_to_an_end(gamma, trace, seed):
    rng = np.random.default_rng(seed)
    steps, games = 5, 2
    rollout = Rollout.empty(steps, games)
    values = rng.normal(size=(steps + 1, games))
    rollout.values[:] = torch.tensor(values[:-1])
    rollout.rewards[:] = torch.tensor(rng.normal(size=(steps, games)))
    rollout.ends[:] = torch.tensor((rng.random((steps, games)) < 0.3).astype(float))
    found = rollout.advantages(torch.tensor(values[-1]).float(), gamma, trace)
    for game in range(games):
        for start in range(steps):
            wanted, weight = 0.0, 1.0
            for step in range(start, steps):
                alive = 1 - float(rollout.ends[step, game])
                error = float(rollout.rewards[step, game]) + gamma * alive * values[step + 1, game] - values[step, game]
                wanted += weight * error
                weight *= gamma * trace * alive
            assert float(found[start, game]) == pytest.approx(wanted, abs=1e-4)


def test_the_clipped_objective_stops_where_the_ratio_has_gone_far_enough():
    old = torch.zeros(4)
    new = torch.tensor([0.3, 0.3, -0.3, -0.3], requires_grad=True)
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    loss, held = policy_loss(new, old, advantage, "ppo", clip=0.2)
    loss.backward()
    ratio = np.exp([0.3, 0.3, -0.3, -0.3])
    assert float(loss) == pytest.approx(-np.mean([1.2, -ratio[1], ratio[2], -0.8]), rel=1e-5)
    assert (new.grad != 0).tolist() == [False, True, True, False]
    assert float(held) == 1.0
    plain, _ = policy_loss(new, old, advantage, "a2c", clip=0.2)
    assert float(plain) == pytest.approx(-float((new * advantage).mean()))


def test_the_loss_adds_policy_value_and_entropy_with_their_weights():
    torch.manual_seed(0)
    streams = {"policy": torch.randn(6, 3), "value": torch.randn(6, 1)}
    batch = {
        "actions": torch.tensor([0, 1, 2, 0, 1, 2]),
        "log_chances": torch.full((6,), -1.0),
        "advantages": torch.randn(6),
        "returns": torch.randn(6),
    }
    recipe = ActorCritic(objective="a2c", epochs=1, entropy=0.03, value_weight=0.7)
    loss, _ = losses(streams, batch, recipe)
    chances = streams["policy"].softmax(dim=1)
    taken = chances[torch.arange(6), batch["actions"]].log()
    entropy = -(chances * chances.log()).sum(dim=1).mean()
    error = (streams["value"][:, 0] - batch["returns"]).pow(2).mean()
    assert float(loss) == pytest.approx(
        float(-(taken * batch["advantages"]).mean() + 0.7 * error - 0.03 * entropy), rel=1e-5
    )


@pytest.mark.parametrize("network", ["actor_critic", "small_actor_critic", "recurrent_actor_critic"])
def test_a_view_shows_again_what_was_acted_on(network):
    recurrent = network == "recurrent_actor_critic"
    recipe = ActorCritic(
        network=network, stack=10 if recurrent else 3, hidden=16, games=4, length=6, batch=12, game="breakout"
    )
    torch.manual_seed(0)
    compute = Compute("cpu", precision="float32")
    games = Games(recipe, recipe.stack, seed=3)
    model = compute.place(make_network(recipe, games.actions))
    view = make_view(recipe, model, compute, games.observations.shape)
    rng = np.random.default_rng(0)
    seen = []
    with torch.no_grad():
        for step in range(recipe.length):
            observations = torch.from_numpy(games.observations)
            observations = observations[:, :, None] if recurrent else observations
            wanted = model(compute.inputs(observations))["policy"]
            seen.append(view.act(step, games)["policy"])
            torch.testing.assert_close(seen[-1], wanted, atol=1e-5, rtol=1e-4)
            games.step(rng.integers(0, games.actions, recipe.games))
    rows, policies = zip(*((rows, streams["policy"]) for rows, streams in view.batches()), strict=True)
    assert sorted(torch.cat(rows).tolist()) == list(range(recipe.games * recipe.length))
    torch.testing.assert_close(
        torch.cat(policies), torch.stack(seen).flatten(0, 1)[torch.cat(rows)], atol=1e-5, rtol=1e-4
    )
    games.close()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"batch": 300}, "--batch is 300; it must be a divisor of games x length = 1024"),
        ({"objective": "a2c", "epochs": 4}, "--epochs is 4; it must be 1 with --objective a2c"),
        ({"network": "recurrent_actor_critic", "batch": 16}, "--batch is 16; it must be a multiple of --length = 32"),
        ({"game": "brakeout"}, "did you mean breakout"),
        ({"learning_rate": 0.0}, "--learning-rate is 0.0; it must be between 0 and 1"),
    ],
)
def test_a_value_that_does_not_fit_is_one_line(values, line):
    with pytest.raises(Exception, match=line) as caught:
        ActorCritic(**values)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, RecipeError) or "game" in values
