"""Advantage actor-critics in batches: many games side by side, one process (A2C, or PPO's objective).

The asynchronous form, A3C proper, is in ``asynchronous.py``; what the gradients follow is here and shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from policyscope.agents.networks import build
from policyscope.training.compute import Compute
from policyscope.training.games import Games, as_sequence
from policyscope.training.recipe import Recipe
from policyscope.training.rollout import Rollout, Stacked, View, Windowed
from policyscope.training.run import Run

Objective = Literal["ppo", "a2c"]

HOW = "batched advantage actor-critic: many games side by side in one process"


@dataclass(frozen=True, kw_only=True)
class ActorCritic(Recipe):
    """The paper's A3C networks, trained in batches."""

    network: Literal["actor_critic", "small_actor_critic", "recurrent_actor_critic", "bidirectional_actor_critic"] = (
        "actor_critic"
    )
    """Feed-forward on stacked frames, the paper's or the first A3C's small one; or on a sequence of them with LSTMs and
    attention; or with the bidirectional ones that the paper's authors could not train."""
    hidden: int = 0
    """Width of the dense layer (and the LSTMs); 0 is the paper's, 256 and 512."""

    last_stride: int = 2
    """Stride of the third convolution: the paper's 2, or DQN's 1. (The small network has two.)"""
    objective: Objective = "ppo"
    """The policy's gradient: PPO's clipped ratio (Schulman et al., 2017) or the plain one, of one epoch."""
    length: int = 32
    """Steps of each game between updates."""
    epochs: int = 4
    """Passes over them."""
    batch: int = 256
    """States of a gradient step."""
    learning_rate: float = 5e-4
    decay: bool = True
    """The learning rate falls to zero over the steps."""
    trace: float = 0.95
    """Lambda of the generalised advantage estimate (Schulman et al., 2016); 1 is the plain n-step return."""
    clip: float = 0.1
    """PPO: a ratio beyond 1 plus or minus this earns nothing."""
    entropy: float = 0.01
    """Weight of the policy's entropy."""
    value_weight: float = 0.5
    """Weight of the value's squared error."""
    max_grad_norm: float = 0.5
    stack: int = 3
    """Frames of an observation; the paper's are 3, and 10 for the recurrent network."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        states = self.games * self.length
        yield "last_stride", self.last_stride in (1, 2), "1 or 2"
        yield "length", self.length >= 1, "at least 1"
        yield "epochs", self.epochs >= 1, "at least 1"
        yield (
            "epochs",
            self.objective == "ppo" or self.epochs == 1,
            "1 with --objective a2c, which uses data once",
        )
        yield "batch", 1 <= self.batch <= states, f"between 1 and games x length = {states}"
        yield "batch", states % self.batch == 0, f"a divisor of games x length = {states}"
        yield "trace", 0 <= self.trace <= 1, "between 0 and 1"
        yield "clip", self.clip > 0, "above 0"
        yield "stack", 1 <= self.stack <= 64, "between 1 and 64"
        fits = not self.recurrent or self.batch % self.length == 0
        yield "batch", fits, f"a multiple of --length = {self.length} for a recurrent network"
        yield "hidden", 0 <= self.hidden <= 4096, "between 0 and 4096"

    @property
    def recurrent(self) -> bool:
        """Whether the network takes frames as a sequence."""
        return self.network not in ("actor_critic", "small_actor_critic")


def policy_loss(
    log_chances: Tensor, old: Tensor, advantage: Tensor, objective: Objective, clip: float
) -> tuple[Tensor, Tensor]:
    """What the policy is to lessen, and the share of states where PPO's clip holds it.

    Args:
        log_chances: Of the actions taken (B,), now.
        old: When they were taken (B,).
        advantage: (B,).
        objective: PPO's least of ratio x A and clipped ratio x A; or log chance x A.
        clip: Width of PPO's ratio.
    """
    if objective == "a2c":
        return -(log_chances * advantage).mean(), torch.zeros(())
    ratio = (log_chances - old).exp()
    gain = torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
    return -gain.mean(), ((ratio - 1).abs() > clip).float().mean()


def losses(
    streams: dict[str, Tensor], batch: dict[str, Tensor], recipe: ActorCritic
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of a batch, and the numbers that a curve shows.

    Args:
        streams: ``policy`` logits (B, A) and ``value`` (B, 1).
        batch: ``actions``, ``log_chances`` when they were taken, ``advantages`` and ``returns``, each (B,).
        recipe: Weights of the parts.
    """
    logits, value = streams["policy"], streams["value"].squeeze(1)
    log_policy = logits.log_softmax(dim=1)
    log_chances = log_policy.gather(1, batch["actions"][:, None]).squeeze(1)
    advantage = batch["advantages"]
    if recipe.objective == "ppo":
        advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
    policy, held = policy_loss(log_chances, batch["log_chances"], advantage, recipe.objective, recipe.clip)
    entropy = -(log_policy.exp() * log_policy).sum(dim=1).mean()
    error = nn.functional.mse_loss(value, batch["returns"])
    loss = policy + recipe.value_weight * error - recipe.entropy * entropy
    return loss, {"loss": loss, "entropy": entropy, "value_error": error, "clipped": held}


def make_network(recipe: ActorCritic, actions: int) -> nn.Module:
    """The recipe's network, ready to learn."""
    options = {"hidden": recipe.hidden} if recipe.hidden else {}
    if not recipe.recurrent:
        options["channels"] = recipe.stack
    if recipe.network == "actor_critic":
        options["last_stride"] = recipe.last_stride
    network = build(recipe.network, actions=actions, **options)
    initialise(network)
    return network


def make_view(recipe: ActorCritic, network: nn.Module, compute: Compute, shape: tuple[int, ...]) -> View:
    """How the recipe's network sees games."""
    kind = Windowed if recipe.recurrent else Stacked
    return kind(network, compute, recipe.length, recipe.batch, shape)


def initialise(network: nn.Module) -> None:
    """Orthogonal weights (Saxe et al., 2014), so that signals keep their size through the layers; small logits."""
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            gain = {"policy": 0.01, "value": 1.0}.get(name, 2**0.5)
            nn.init.orthogonal_(module.weight, gain)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def train(recipe: ActorCritic, run: Run) -> None:
    """Trains an actor-critic on stacked frames, or a recurrent one on windows of them.

    Args:
        recipe: Its values.
        run: The folder that it goes to.
    """
    compute = run.compute
    seed = recipe.seed + run.step
    torch.manual_seed(seed)
    games = Games(recipe, recipe.stack, seed=seed, threads=run.options.threads)
    network = make_network(recipe, games.actions)
    compute.place(network)
    optimiser = compute.adam(network, recipe.learning_rate)
    run.restore(network, optimiser)
    view = make_view(recipe, network, compute, games.observations.shape)
    protocol = as_sequence(games.protocol) if recipe.recurrent else games.protocol
    rollout = Rollout.empty(recipe.length, recipe.games)
    watcher = run.watcher(network, optimiser)

    while run.going():
        for step in range(recipe.length):
            frames = games.observations[:, -1].copy()
            policy, turn = rollout.play(step, view, games, run.watch)
            run.step += recipe.games
            actions, value = rollout.actions[step], rollout.values[step]
            watcher.acted(
                run.step, frames, actions, turn.rewards, turn.ends, over=turn.over, policy=policy, value=value
            )
            run.look(network, games, protocol)

        lessons = rollout.lessons(view, games, recipe.gamma, recipe.trace)
        gained, ended = rollout.rewards.flatten(), rollout.ends.flatten()
        if recipe.decay:
            optimiser.param_groups[0]["lr"] = recipe.learning_rate * (1 - run.fraction)

        seen: list[dict[str, Tensor]] = []
        for _ in range(recipe.epochs):
            for rows, streams in view.batches():
                batch = {name: value[rows].to(compute.device) for name, value in lessons.items()}
                loss, numbers = losses(streams, batch, recipe)
                watcher.learnt(
                    loss,
                    policy=streams["policy"],
                    actions=batch["actions"],
                    targets=batch["returns"],
                    rewards=gained[rows],
                    ends=ended[rows],
                )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
                optimiser.step()
                seen.append({name: value.detach() for name, value in numbers.items()})

        means = {name: torch.stack([numbers[name] for numbers in seen]).mean() for name in seen[0]}
        run.watch(means["loss"])
        run.report(games.score(), games.count, **{name: float(value) for name, value in means.items()})
        run.save(network, optimiser, protocol, "sample")

    run.save(network, optimiser, protocol, "sample", now=True)
    games.close()
