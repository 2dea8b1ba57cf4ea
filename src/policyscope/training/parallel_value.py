"""Value learning in the parallel manner of PQN (Gallici et al., 2024): no replay, no target network.

Many games are played side by side; lambda returns of what just happened are learnt at once, and layer normalisation
keeps that stable. A target network can be asked for.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.networks import build
from policyscope.training.games import Games
from policyscope.training.recipe import Exploring
from policyscope.training.run import Run
from policyscope.training.value import greedy

HOW = "value learning from what many games side by side just did, without replay (PQN), one process"


@dataclass(frozen=True, kw_only=True)
class ParallelValue(Exploring):
    """PQN: Q-learning on lambda returns."""

    network: Literal["dqn", "dueling_dqn"] = "dueling_dqn"
    layer_norm: bool = True
    """Normalise each layer, in place of a target network and replay."""
    length: int = 32
    """Steps of each game between updates."""
    epochs: int = 2
    """Passes over them."""
    batch: int = 256
    """States of a gradient step."""
    decay: bool = True
    """The learning rate falls to zero over the steps."""
    trace: float = 0.65
    """Lambda of the returns: 0 looks one step ahead, 1 to the end."""
    target_every: int = 0
    """Gradient steps between copies into a target network; 0 does without one."""
    epsilon_steps: int = 500_000

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        states = self.games * self.length
        yield "length", self.length >= 1, "at least 1"
        yield "epochs", self.epochs >= 1, "at least 1"
        yield "batch", 1 <= self.batch <= states, f"between 1 and games x length = {states}"
        yield "trace", 0 <= self.trace <= 1, "between 0 and 1"
        yield "target_every", self.target_every >= 0, "0 for none, or more"


def lambda_returns(rewards: Tensor, ends: Tensor, best: Tensor, gamma: float, trace: float) -> Tensor:
    """Returns that trust the network more the further they look (Peng's Q(lambda); Gallici et al., 2024, Eq. 13).

    Args:
        rewards: (T, N).
        ends: (T, N), 1 where a return ends with the step.
        best: Greatest Q of the states and of those after them (T + 1, N).
        gamma: Discount.
        trace: Lambda.

    Returns:
        (T, N): r + gamma ((1 - lambda) max Q' + lambda G'), G' being the same of the next step.
    """
    found = torch.zeros_like(rewards)
    after = best[-1]
    for step in reversed(range(len(rewards))):
        mixed = (1 - trace) * best[step + 1] + trace * after
        after = found[step] = rewards[step] + gamma * (1 - ends[step]) * mixed
    return found


def train(recipe: ParallelValue, run: Run) -> None:
    """Trains a value network without replay.

    Args:
        recipe: Its values.
        run: The folder that it goes to.
    """
    compute = run.compute
    seed = recipe.seed + run.step
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    games = Games(recipe, seed=seed, threads=run.options.threads)
    network = build(recipe.network, actions=games.actions, layer_norm=recipe.layer_norm)
    compute.place(network)
    optimiser = torch.optim.RAdam(network.parameters(), recipe.learning_rate, foreach=True)
    run.restore(network, optimiser)
    target = copy.deepcopy(network).requires_grad_(False) if recipe.target_every else network
    watcher = run.watcher(network, optimiser, target if recipe.target_every else None, recipe.target_every or None)
    policy = f"epsilon={recipe.epsilon_end:g}"
    steps = (recipe.length, recipe.games)
    stack, *size = games.observations.shape[1:]
    observations = torch.zeros(*steps, *size, stack, dtype=torch.uint8)  # channels last: see rollout.Stacked
    taken = torch.zeros(steps, dtype=torch.int64)
    rewards, ends, best = torch.zeros(steps), torch.zeros(steps), torch.zeros(recipe.length + 1, recipe.games)
    updates = 0

    def q_values(model: nn.Module, states: Tensor) -> Tensor:
        with compute.autocast():
            q: Tensor = model(compute.inputs(states))["q"]
        return q.float()

    while run.going():
        with torch.no_grad():
            for step in range(recipe.length):
                observations[step] = torch.from_numpy(games.observations).movedim(1, -1)
                seen = observations[step].movedim(-1, 1)
                q = q_values(network, seen)
                valued = q_values(target, seen) if recipe.target_every else q
                best[step] = valued.max(dim=1).values
                epsilon = recipe.epsilon(run.step)
                actions = greedy(q, epsilon, rng)
                turn = games.step(actions)
                taken[step] = torch.from_numpy(actions)
                rewards[step] = torch.from_numpy(turn.rewards)
                ends[step] = torch.from_numpy(turn.ends.astype(np.float32))
                run.step += recipe.games
                newest = observations[step, ..., -1]
                watcher.acted(run.step, newest, actions, turn.rewards, turn.ends, over=turn.over, q=q, epsilon=epsilon)
                run.look(network, games, games.protocol)
            best[-1] = q_values(target, torch.from_numpy(games.observations)).max(dim=1).values
        goals = lambda_returns(rewards, ends, best, recipe.gamma, recipe.trace).flatten()
        gained, ended = rewards.flatten(), ends.flatten()
        states, done = observations.flatten(0, 1).flatten(1), taken.flatten()
        if recipe.decay:
            optimiser.param_groups[0]["lr"] = recipe.learning_rate * (1 - run.fraction)

        losses = []
        for _ in range(recipe.epochs):
            for rows in torch.randperm(len(states)).split(recipe.batch):
                drawn = states.index_select(0, rows).view(-1, *observations.shape[2:])
                q = q_values(network, drawn.movedim(-1, 1))
                guess = q.gather(1, done[rows, None].to(q.device)).squeeze(1)
                loss = nn.functional.mse_loss(guess, goals[rows].to(q.device))
                watcher.learnt(
                    loss, q=q, actions=done[rows], targets=goals[rows], rewards=gained[rows], ends=ended[rows]
                )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
                optimiser.step()
                losses.append(loss.detach())
                updates += 1
                if recipe.target_every and updates % recipe.target_every == 0:
                    target.load_state_dict(network.state_dict())
        run.watch(losses[-1])
        run.report(games.score(), games.count, loss=losses, q=float(best.mean()), epsilon=recipe.epsilon(run.step))
        run.save(network, optimiser, games.protocol, policy)

    run.save(network, optimiser, games.protocol, policy, now=True)
    games.close()
