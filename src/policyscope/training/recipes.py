"""The recipes by name: a family of algorithms, and the values that make an agent of the two documents with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from policyscope.training import actor_critic, asynchronous, distillation, parallel_value, recurrent_value, value
from policyscope.training.actor_critic import ActorCritic
from policyscope.training.asynchronous import AsynchronousActorCritic
from policyscope.training.distillation import Distillation
from policyscope.training.parallel_value import ParallelValue
from policyscope.training.recipe import Recipe
from policyscope.training.recurrent_value import RecurrentValue
from policyscope.training.value import ValueLearning


@dataclass(frozen=True)
class Family:
    """An algorithm, and how it trains in plain words."""

    train: Callable[[Any, Any], None]
    how: str


def _family(module: ModuleType) -> Family:
    return Family(module.train, module.HOW)


FAMILIES: dict[type[Recipe], Family] = {
    ValueLearning: _family(value),
    ParallelValue: _family(parallel_value),
    RecurrentValue: _family(recurrent_value),
    ActorCritic: _family(actor_critic),
    AsynchronousActorCritic: _family(asynchronous),
    Distillation: _family(distillation),
}
"""Values of a recipe -> what trains by them."""


_SHORT: dict[str, Any] = {"hidden": 64, "steps": 100_000, "epsilon_steps": 50_000, "learn_after": 5_000}
_BRIEF = ActorCritic(game="breakout", steps=300_000, epochs=3)

RECIPES: dict[str, Recipe] = {
    # The algorithms, each with one word of its own
    "dqn": ValueLearning(network="dqn", double=False, n_step=1),
    "dddqn": ValueLearning(),
    "c51": ValueLearning(network="categorical_dqn", learning_rate=2.5e-4),
    "pqn": ParallelValue(),
    "split-attention": RecurrentValue(),
    "shared-attention": RecurrentValue(network="shared_attention_drqn"),
    "actor-critic": ActorCritic(),
    "a2c": ActorCritic(objective="a2c", epochs=1, learning_rate=7e-4, batch=1024),
    "a3c": AsynchronousActorCritic(),
    "a3c-lstm": AsynchronousActorCritic(network="recurrent_actor_critic", stack=10),
    "actor-critic-lstm": ActorCritic(network="recurrent_actor_critic", stack=10),
    "distil": Distillation(),
    # The agents of the zoo, each by itself; cards say which were taught by another in the end
    "breakout-dddqn": ValueLearning(game="breakout"),
    "seaquest-split-attention": RecurrentValue(game="seaquest", steps=250_000, updates=2, replay=300_000),
    "breakout-a3c": ActorCritic(game="breakout", steps=6_000_000, epochs=3),
    "seaquest-a3c": ActorCritic(game="seaquest", steps=3_500_000, epochs=3),
    "seaquest-dddqn": ValueLearning(game="seaquest"),
    "seaquest-a3c-lstm": ActorCritic(game="seaquest", network="recurrent_actor_critic", stack=10, epochs=3),
    "pong-dqn": ValueLearning(game="pong", network="dqn"),
    "pong-c51": ValueLearning(game="pong", network="categorical_dqn", learning_rate=2.5e-4),
    "enduro-dqn": ValueLearning(game="enduro", network="dqn"),
    "videopinball-dqn": ValueLearning(game="video_pinball", network="dqn"),
    "breakout-c51": ValueLearning(game="breakout", network="categorical_dqn", learning_rate=2.5e-4),
    "spaceinvaders-dqn": ValueLearning(game="space_invaders", network="dqn"),
    "airraid-dqn": ValueLearning(game="air_raid", network="dqn"),
    # The mistakes that the paper's authors made, at reduced width
    "faulty-link": RecurrentValue(network="mislinked_drqn", **_SHORT),
    "faulty-merge": RecurrentValue(network="wrongly_merged_drqn", **_SHORT),
    "faulty-stack": ValueLearning(network="misstacked_dueling_dqn", hidden=64, steps=200_000, epsilon_steps=100_000),
    "faulty-bidirectional": ActorCritic(
        game="seaquest", network="bidirectional_actor_critic", stack=10, hidden=64, steps=200_000
    ),
    # The sanity check by shuffled labels: nothing to learn, and the same with something to learn
    "shuffled-rewards": replace(_BRIEF, shuffle_rewards=True),
    "unshuffled-rewards": _BRIEF,
    # The same without the mistakes
    "repaired-streams": RecurrentValue(game="seaquest", **_SHORT),
    "repaired-stack": ValueLearning(game="breakout", hidden=64, steps=200_000, epsilon_steps=100_000),
    "repaired-recurrent": ActorCritic(
        game="seaquest", network="recurrent_actor_critic", stack=10, hidden=64, steps=200_000
    ),
}
"""Name -> values; each is an option of ``policyscope train NAME``."""
