"""The small real trainings that the bench of training faults is made of, and the faults that are put into them.

Our trainers with a narrow network and few games, on a few thousand steps; Stable-Baselines3's with its own callback. A
fault is a value of the recipe, or a function of the trainer that is replaced for the length of the training.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import nn

from policyscope.agents.networks import ActorCritic as ActorCriticNetwork
from policyscope.training import actor_critic, rollout, value
from policyscope.training.actor_critic import ActorCritic
from policyscope.training.compute import Compute
from policyscope.training.games import Games, Turn
from policyscope.training.parallel_value import ParallelValue
from policyscope.training.recipe import Recipe
from policyscope.training.recipes import FAMILIES
from policyscope.training.recurrent_value import RecurrentValue
from policyscope.training.replay import Replay
from policyscope.training.run import Run, RunOptions
from policyscope.training.value import ValueLearning

STEPS, POLICY_STEPS = 10_000, 30_000
"""A policy moves away from uniform slowly, and faults of how it is drawn from show in how far it has."""

VALUE = ValueLearning(
    network="dqn",
    double=False,
    n_step=1,
    hidden=64,
    games=16,
    batch=8,
    updates=1,
    learn_after=2_000,
    replay=STEPS,
    target_every=50,
    steps=STEPS,
    epsilon_steps=STEPS // 2,
)
POLICY = ActorCritic(hidden=64, games=16, length=16, batch=64, epochs=2, steps=POLICY_STEPS)
TRAINERS: dict[str, Recipe] = {
    "value": VALUE,
    "policy": POLICY,
    "c51": replace(VALUE, network="categorical_dqn"),
    "pqn": ParallelValue(games=16, length=16, batch=128, epochs=1, steps=STEPS, epsilon_steps=STEPS // 2),
    "a2c": ActorCritic(
        hidden=64, games=16, length=8, batch=128, epochs=1, objective="a2c", learning_rate=7e-4, steps=STEPS
    ),
    "recurrent": RecurrentValue(
        game="breakout",
        hidden=32,
        window=4,
        games=16,
        batch=16,
        updates=1,
        learn_after=2_000,
        replay=STEPS,
        target_every=50,
        steps=STEPS,
        epsilon_steps=STEPS // 2,
    ),
}


@dataclass(frozen=True)
class Fault:
    """A fault of our trainers.

    Attributes:
        values: Of the recipe.
        patches: What is replaced: an object, the name of its attribute, and from the old to the new one.
    """

    values: dict[str, Any] = field(default_factory=dict)
    patches: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = ()


def train(recipe: Recipe, fault: Fault, out: Path) -> None:
    """Trains with a fault.

    Args:
        recipe: Without it.
        fault: What is changed.
        out: Folder of the run.
    """
    recipe = replace(recipe, **fault.values)
    options = RunOptions(
        out, save_every=10**9, saliency_every=4_000, saliency_films=0, tensorboard=False, report_every=2_000
    )
    with patched(fault), Run("bench", recipe, options, "") as run:
        FAMILIES[type(recipe)].train(recipe, run)
    if run.stopped:
        raise SystemExit(128 + run.stopped)


@contextmanager
def patched(fault: Fault) -> Iterator[None]:
    """What the fault replaces, for the length of the block."""
    with ExitStack() as stack:
        for owner, name, make in fault.patches:
            old = getattr(owner, name)
            stack.callback(setattr, owner, name, old)
            setattr(owner, name, make(old))
        yield


# -- around the games --


def stuck(step: Callable[..., Turn]) -> Callable[..., Turn]:
    """A game that is over stays over, as ale-py's does until it is reset."""

    def stepped(games: Games, actions: Any) -> Turn:
        if not hasattr(games, "dead"):
            games.dead = np.zeros(len(games.observations), bool)  # type: ignore[attr-defined]
            games.last = games.observations.copy()  # type: ignore[attr-defined]
        dead, last = games.dead, games.last  # type: ignore[attr-defined]
        turn = step(games, actions)
        dead |= turn.over
        seen = games.observations.copy()
        seen[dead] = last[dead]
        last[~dead] = seen[~dead]
        games.observations = seen
        return Turn(np.where(dead, 0, turn.rewards).astype(np.float32), turn.ends | dead, turn.over | dead)

    return stepped


def late(step: Callable[..., Turn]) -> Callable[..., Turn]:
    """The first action of a game is taken on the last picture of the one before."""

    def stepped(games: Games, actions: Any) -> Turn:
        before = games.observations.copy()
        turn = step(games, actions)
        seen = games.observations.copy()
        seen[turn.over] = before[turn.over]
        games.observations = seen
        return turn

    return stepped


def rewarded(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Other rewards than the game's."""

    def make(step: Callable[..., Turn]) -> Callable[..., Turn]:
        def stepped(games: Games, actions: Any) -> Turn:
            turn = step(games, actions)
            return replace(turn, rewards=change(turn.rewards).astype(np.float32))

        return stepped

    return make


def unclipped(init: Callable[..., None]) -> Callable[..., None]:
    """Rewards as the console counts them, whatever the recipe says."""

    def made(games: Games, *args: Any, **options: Any) -> None:
        init(games, *args, **options)
        games._clip = False

    return made


def without_ends(append: Callable[..., None]) -> Callable[..., None]:
    """The replay does not hear of ends."""

    def appended(replay: Replay, frames: Any, age: Any, actions: Any, rewards: Any, ends: Any, *more: Any) -> None:
        append(replay, frames, age, actions, rewards, np.zeros_like(ends), *more)

    return appended


# -- around the network --


def ended_by(function: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], Any]:
    """A function after the last layer of Q."""

    def make(build: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        def built(*args: Any, **options: Any) -> nn.Module:
            network = build(*args, **options)
            network.register_forward_hook(lambda module, given, out: out | {"q": function(out["q"])})
            return network

        return built

    return make


def cut_off(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The value head is fed what no gradient comes back from."""

    def passed(network: Any, observations: torch.Tensor) -> Any:
        features = network.body(observations)
        return {"policy": network.policy(features), "value": network.value(features.detach())}

    return passed


def frozen_copy(module: Any) -> Any:
    """A target network that the weights are never copied into."""

    def deepcopy(network: Any) -> Any:
        made = module.deepcopy(network)
        made.load_state_dict = lambda *args, **options: None
        return made

    return SimpleNamespace(deepcopy=deepcopy)


def of_a_copy(adam: Callable[..., Any]) -> Callable[..., Any]:
    """The optimiser moves another network's weights."""
    return lambda compute, network, *args, **options: adam(compute, copy.deepcopy(network), *args, **options)


# -- around actions and the loss --


def chosen(change: Callable[[torch.Tensor], torch.Tensor], after: Callable[[Any, int], Any] = lambda a, n: a) -> Any:
    """Actions by changed values, or changed afterwards."""

    def make(greedy: Callable[..., Any]) -> Callable[..., Any]:
        return lambda q, epsilon, rng: after(greedy(change(q), epsilon, rng), q.shape[1])

    return make


def drawn(change: Callable[[torch.Tensor], torch.Tensor]) -> SimpleNamespace:
    """``torch`` with another way to draw from a policy."""
    return SimpleNamespace(**{name: getattr(torch, name) for name in dir(torch)} | {"multinomial": change})


def bootstrapped(goal: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """What comes after an end is added to the target."""

    def made(batch: Any, later: torch.Tensor, chosen_by: torch.Tensor) -> torch.Tensor:
        return goal(replace(batch, discounts=torch.full_like(batch.discounts, VALUE.gamma)), later, chosen_by)

    return made


def through_ends(advantages: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Advantages go on beyond ends."""

    def made(self: Any, last: torch.Tensor, gamma: float, trace: float) -> torch.Tensor:
        return advantages(replace(self, ends=torch.zeros_like(self.ends)), last, gamma, trace)

    return made


def taught(which: str) -> Callable[[Any], Any]:
    """The loss of another action than the one taken."""

    def make(error: Callable[..., Any]) -> Callable[..., Any]:
        def made(batch: Any, q: torch.Tensor, later: torch.Tensor, chosen_by: torch.Tensor) -> Any:
            if which == "all":
                goal = value.q_goal(batch, later, chosen_by)
                each = nn.functional.smooth_l1_loss(q, goal[:, None].expand_as(q), reduction="none").mean(dim=1)
                return each, (q.detach() - goal[:, None]).mean(dim=1)
            actions = q.argmax(dim=1).cpu() if which == "best" else (batch.actions + 1) % q.shape[1]
            return error(replace(batch, actions=actions), q, later, chosen_by)

        return made

    return make


def shifted_loss(losses: Callable[..., Any]) -> Callable[..., Any]:
    """The policy's loss is that of the next action."""

    def made(streams: Any, batch: Any, recipe: Any) -> Any:
        actions = (batch["actions"] + 1) % streams["policy"].shape[1]
        return losses(streams, batch | {"actions": actions}, recipe)

    return made


FAULTS: dict[str, Fault] = {
    "value/never-explores": Fault({"epsilon_start": 0.0, "epsilon_end": 0.0}),
    "value/only-explores": Fault({"epsilon_end": 1.0}),
    "value/ends-not-masked": Fault(patches=((value, "q_goal", bootstrapped),)),
    "value/ends-lost": Fault(patches=((Replay, "append", without_ends),)),
    "value/never-reset": Fault(patches=((Games, "step", stuck),)),
    "value/acts-on-last-game": Fault(patches=((Games, "step", late),)),
    "value/target-never": Fault(patches=((value, "copy", frozen_copy),)),
    "value/target-always": Fault({"target_every": 1}),
    "value/worst-action": Fault(patches=((value, "greedy", chosen(lambda q: -q)),)),
    "value/action-shifted": Fault(patches=((value, "greedy", chosen(lambda q: q, lambda a, n: (a + 1) % n)),)),
    "value/action-of-neighbour": Fault(patches=((value, "greedy", chosen(lambda q: q.roll(1, 0))),)),
    "value/rectifier-on-q": Fault(patches=((value, "build", ended_by(torch.relu)),)),
    "value/tanh-on-q": Fault(patches=((value, "build", ended_by(torch.tanh)),)),
    "value/softmax-on-q": Fault(patches=((value, "build", ended_by(lambda q: q.softmax(dim=1))),)),
    "value/reward-not-clipped": Fault({"game": "seaquest"}, ((Games, "__init__", unclipped),)),
    "value/reward-scaled-down": Fault(patches=((Games, "step", rewarded(lambda r: 0.01 * r)),)),
    "value/reward-shuffled": Fault(patches=((Games, "step", rewarded(np.random.default_rng(0).permutation)),)),
    "value/rate-too-high": Fault({"learning_rate": 0.15}),
    "value/rate-too-low": Fault({"learning_rate": 1.5e-10}),
    "value/wrong-optimiser": Fault(patches=((Compute, "adam", of_a_copy),)),
    "value/loss-over-best": Fault(patches=((value, "q_error", taught("best")),)),
    "value/loss-over-shifted": Fault(patches=((value, "q_error", taught("shifted")),)),
    "value/loss-over-all": Fault(patches=((value, "q_error", taught("all")),)),
    "policy/always-greedy": Fault(
        patches=((rollout, "torch", lambda _: drawn(lambda p, n: p.argmax(dim=1, keepdim=True))),)
    ),
    "policy/logits-negated": Fault(
        patches=((rollout, "torch", lambda _: drawn(lambda p, n: torch.multinomial(1 / p.clamp(min=1e-6), n))),)
    ),
    "policy/collapses": Fault({"entropy": -0.5}),
    "policy/stays-uniform": Fault({"entropy": 10.0}),
    "policy/ends-not-masked": Fault(patches=((rollout.Rollout, "advantages", through_ends),)),
    "policy/rate-too-high": Fault({"learning_rate": 0.5}),
    "policy/value-cut-off": Fault(patches=((ActorCriticNetwork, "forward", cut_off),)),
    "policy/loss-over-shifted": Fault(patches=((actor_critic, "losses", shifted_loss),)),
}
"""Name -> fault; ``watch_stable_baselines3.py`` has those of Stable-Baselines3."""
