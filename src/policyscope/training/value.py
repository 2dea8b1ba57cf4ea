"""Value learning from replay: DQN, double, dueling, C51, n-step returns, prioritised or not.

Many games are played side by side, and each sweep over them is followed by large batches from replay, so that small
matrices waste no time. What changes between the members of the family is the network and the goal of its loss.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.networks import build
from policyscope.training.games import Games
from policyscope.training.recipe import Replaying
from policyscope.training.replay import Batch, Replay
from policyscope.training.run import Run

Forward = Callable[[nn.Module, Tensor], Tensor]

HOW = "value learning from replay, many games side by side in one process"


@dataclass(frozen=True, kw_only=True)
class ValueLearning(Replaying):
    """DQN and what came after it."""

    network: Literal["dqn", "dueling_dqn", "categorical_dqn", "misstacked_dueling_dqn"] = "dueling_dqn"
    """The Q-network of Mnih et al. (2015), the paper's dueling one, C51's, or one that sees its frames wrongly."""
    double: bool = True
    """The online network chooses the next action, the target network values it (van Hasselt et al., 2016)."""
    learning_rate: float = 1.5e-4
    priority: float = 0.0
    """Power of prioritised replay (Schaul et al., 2016); 0 draws uniformly."""
    support: float = 10.0
    """C51: returns between minus and plus this."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        yield "priority", 0 <= self.priority <= 1, "between 0 and 1"
        yield "support", self.support > 0, "above 0"

    def options(self) -> dict[str, float]:
        """What the network is built with, beside its actions."""
        support = {"low": -self.support, "high": self.support} if self.network == "categorical_dqn" else {}
        return {"hidden": self.hidden, **support}


def greedy(q: Tensor, epsilon: float, rng: np.random.Generator) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Actions (B,) for Q (B, A): the best one, or with a chance of epsilon any."""
    best = q.argmax(dim=1).cpu().numpy()
    explore = rng.random(len(best)) < epsilon
    return np.where(explore, rng.integers(0, q.shape[1], len(best)), best)


def q_goal(batch: Batch, later: Tensor, chosen_by: Tensor) -> Tensor:
    """What Q of each transition is to be (B,): its rewards, and the value of what comes after them.

    Args:
        batch: The transitions.
        later: Of the target network n steps later (B, A).
        chosen_by: What chooses the later action (B, A): the online network's Q there (double), or ``later``.
    """
    with torch.no_grad():
        best = chosen_by.argmax(dim=1, keepdim=True)
        return batch.returns.to(later) + batch.discounts.to(later) * later.gather(1, best).squeeze(1)


def q_error(batch: Batch, q: Tensor, later: Tensor, chosen_by: Tensor) -> tuple[Tensor, Tensor]:
    """Huber loss of each transition (B,), and its temporal-difference error (B,).

    Args:
        batch: The transitions.
        q: Of the online network now (B, A).
        later: See :func:`q_goal`.
        chosen_by: See there.
    """
    goal = q_goal(batch, later, chosen_by)
    guess = q.gather(1, batch.actions.to(q.device)[:, None]).squeeze(1)
    return nn.functional.smooth_l1_loss(guess, goal, reduction="none"), guess.detach() - goal


def projected(returns: Tensor, discounts: Tensor, chances: Tensor, support: Tensor) -> Tensor:
    """The distribution of r + gamma Z on fixed atoms (Bellemare et al., 2017, Algorithm 1).

    Args:
        returns: r (B,).
        discounts: gamma (B,), 0 where the return ended.
        chances: Of Z's atoms (B, K).
        support: The atoms (K,), equally far apart.

    Returns:
        Chances of the atoms (B, K).
    """
    low, high, atoms = support[0], support[-1], len(support)
    moved = (returns[:, None] + discounts[:, None] * support).clamp(low, high)
    place = (moved - low) / (high - low) * (atoms - 1)
    below = place.floor().clamp(0, atoms - 1)
    above = (below + 1).clamp(max=atoms - 1)
    share = place - below
    found = torch.zeros_like(chances)
    found.scatter_add_(1, below.long(), chances * (1 - share))
    found.scatter_add_(1, above.long(), chances * share)
    return found


def distribution_error(
    batch: Batch, logits: Tensor, later: Tensor, chosen_by: Tensor, support: Tensor
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each transition (B,), and the same as its error (B,).

    Args:
        batch: The transitions.
        logits: Of the online network now (B, A, K).
        later: Of the target network n steps later (B, A, K).
        chosen_by: Q that chooses the later action (B, A).
        support: The atoms (K,).
    """
    rows = torch.arange(len(logits), device=logits.device)
    with torch.no_grad():
        best = chosen_by.argmax(dim=1)
        chances = later[rows, best].softmax(dim=1)
        goal = projected(batch.returns.to(logits), batch.discounts.to(logits), chances, support)
    guess = logits[rows, batch.actions.to(logits.device)].log_softmax(dim=1)
    loss = -(goal * guess).sum(dim=1)
    return loss, loss.detach()


def train(recipe: ValueLearning, run: Run) -> None:
    """Trains a feed-forward value network.

    Args:
        recipe: Its values.
        run: The folder that it goes to.
    """
    compute = run.compute
    seed = recipe.seed + run.step
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    games = Games(recipe, seed=seed, threads=run.options.threads)
    network = compute.place(build(recipe.network, actions=games.actions, **recipe.options()))
    optimiser = compute.adam(network, recipe.learning_rate)
    run.restore(network, optimiser)
    target = copy.deepcopy(network).requires_grad_(False)
    replay = Replay(recipe.replay, recipe.games, n_step=recipe.n_step, gamma=recipe.gamma, priority=recipe.priority)
    policy = f"epsilon={recipe.epsilon_end:g}"
    first, updates = run.step, 0
    losses, values = deque[Tensor](maxlen=200), deque[Tensor](maxlen=200)
    distributional = recipe.network == "categorical_dqn"
    watcher = run.watcher(network, optimiser, target, recipe.target_every)

    def forward(model: nn.Module, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Q (B, A), and what the loss is about: the same, or C51's logits (B, A, K)."""
        with compute.autocast():
            if distributional:
                logits = model.logits(compute.inputs(observations)).float()  # type: ignore[operator]
                return logits.softmax(dim=2) @ model.support, logits
            q = model(compute.inputs(observations))["q"].float()
        return q, q

    while run.going():
        with torch.no_grad():
            q, _ = forward(network, torch.from_numpy(games.observations))
        epsilon = recipe.epsilon(run.step)
        actions = greedy(q, epsilon, rng)
        frames, age = games.observations[:, -1].copy(), games.age
        turn = games.step(actions)
        replay.append(frames, age, actions, turn.rewards, turn.ends)
        run.step += recipe.games
        watcher.acted(run.step, frames, actions, turn.rewards, turn.ends, over=turn.over, q=q, epsilon=epsilon)
        run.look(network, games, games.protocol)

        if run.step - first >= recipe.learn_after:
            for _ in range(recipe.updates):
                batch = replay.draw(recipe.batch, rng)
                with torch.no_grad():
                    later_q, later = forward(target, batch.later)
                    chosen_by = forward(network, batch.later)[0] if recipe.double else later_q
                now_q, now = forward(network, batch.observations)
                if distributional:
                    each, errors = distribution_error(batch, now, later, chosen_by, network.support)  # type: ignore[arg-type]
                else:
                    each, errors = q_error(batch, now, later, chosen_by)
                loss = (batch.weights.to(each) * each).mean()
                goal = q_goal(batch, later, chosen_by) if watcher.looking and not distributional else None
                watcher.learnt(
                    loss, q=now, actions=batch.actions, targets=goal, rewards=batch.returns, ends=batch.discounts == 0
                )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
                optimiser.step()
                replay.update(batch, errors)
                losses.append(loss.detach())
                values.append(now_q.detach().max(dim=1).values.mean())
                updates += 1
                if updates % recipe.target_every == 0:
                    target.load_state_dict(network.state_dict())
            run.watch(losses[-1])

        run.report(
            games.score(),
            games.count,
            loss=losses,
            q=values,
            epsilon=recipe.epsilon(run.step),
        )
        run.save(network, optimiser, games.protocol, policy)

    run.save(network, optimiser, games.protocol, policy, now=True)
    games.close()
