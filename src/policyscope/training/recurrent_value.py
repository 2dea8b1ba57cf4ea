"""Recurrent value learning on windows of frames: the paper's split-attention DDDRQN, and its baseline.

Windows of neighbouring states overlap, so states are replayed in short stretches and each frame goes through the
convolutions once, for the online network's windows now and later together.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.networks import build
from policyscope.training.games import Games, as_sequence
from policyscope.training.recipe import Replaying
from policyscope.training.replay import Replay
from policyscope.training.run import Run
from policyscope.training.value import greedy, q_error, q_goal
from policyscope.training.windows import Memory, encode, windows

HOW = "recurrent double Q-learning from replay on windows of frames, many games side by side in one process"


@dataclass(frozen=True, kw_only=True)
class RecurrentValue(Replaying):
    """The paper's DDDRQN with attention, its learning rate, exploration and memory."""

    network: Literal["split_attention_drqn", "shared_attention_drqn", "mislinked_drqn", "wrongly_merged_drqn"] = (
        "split_attention_drqn"
    )
    """The paper's, its baseline, or one with a mistake that its authors made."""
    game: str = "seaquest"
    steps: int = 1_000_000
    window: int = 10
    """Frames that the network sees."""
    learning_rate: float = 1e-4
    n_step: int = 1
    stretch: int = 4
    """States in a row that are replayed together."""
    batch: int = 64
    sweeps: int = 4
    """Steps of each game between gradient steps."""
    updates: int = 4
    epsilon_end: float = 0.05
    epsilon_steps: int = 1_000_000
    """Steps over which the chance of a random action falls; the paper's, so that an early agent still explores."""
    acts_with: float = 0.01
    """Chance of a random action of the agent that is saved."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        yield "window", 1 <= self.window <= 64, "between 1 and 64"
        yield "stretch", self.stretch >= 1, "at least 1"
        yield "batch", self.batch % max(self.stretch, 1) == 0, f"a multiple of --stretch = {self.stretch}"
        yield "sweeps", self.sweeps >= 1, "at least 1"
        yield "acts_with", 0 <= self.acts_with <= 1, "a chance between 0 and 1"

    @property
    def in_a_row(self) -> int:
        """States of a game that are replayed together."""
        return self.stretch


def q_of(network: nn.Module, seen: Tensor) -> Tensor:
    """Q (states, A) of windows (…, size, hidden), the states one after the other."""
    q: Tensor = network.from_features(seen.flatten(0, -3))["q"]  # type: ignore[operator]
    return q.float()


def train(recipe: RecurrentValue, run: Run) -> None:
    """Trains a recurrent value network.

    Args:
        recipe: Its values.
        run: The folder that it goes to.
    """
    compute = run.compute
    seed = recipe.seed + run.step
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    games = Games(recipe, recipe.window, seed=seed, threads=run.options.threads)
    network = compute.place(build(recipe.network, actions=games.actions, hidden=recipe.hidden))
    optimiser = compute.adam(network, recipe.learning_rate)
    run.restore(network, optimiser)
    target = copy.deepcopy(network).requires_grad_(False)
    replay = Replay(recipe.replay, recipe.games, stack=recipe.window, n_step=recipe.n_step, gamma=recipe.gamma)
    memory = Memory(network, compute, recipe.window)
    protocol, policy = as_sequence(games.protocol), f"epsilon={recipe.acts_with:g}"
    watcher = run.watcher(network, optimiser, target, recipe.target_every)
    first, updates = run.step, 0
    losses, values = deque[Tensor](maxlen=200), deque[Tensor](maxlen=200)

    while run.going():
        memory.forget()
        for _ in range(recipe.sweeps):
            with torch.no_grad(), compute.autocast():
                seen = memory(torch.from_numpy(games.observations), torch.from_numpy(games.age))
                q = q_of(network, seen)
            epsilon = recipe.epsilon(run.step)
            actions = greedy(q, epsilon, rng)
            frames, age = games.observations[:, -1].copy(), games.age
            turn = games.step(actions)
            replay.append(frames, age, actions, turn.rewards, turn.ends)
            run.step += recipe.games
            watcher.acted(run.step, frames, actions, turn.rewards, turn.ends, over=turn.over, q=q, epsilon=epsilon)
            run.look(network, games, protocol)

        if run.step - first >= recipe.learn_after:
            for _ in range(recipe.updates):
                drawn = replay.draw_stretches(recipe.batch // recipe.stretch, recipe.stretch, rng)
                frames, ages = drawn.frames, drawn.age
                with compute.autocast():
                    features, blank = encode(network, frames, compute)
                    seen = windows(features, blank, ages, recipe.window)
                    now = q_of(network, seen[:, : recipe.stretch])
                    with torch.no_grad():
                        chosen_by = q_of(network, seen[:, recipe.n_step :])
                        features, blank = encode(target, frames[:, recipe.n_step :], compute)
                        seen = windows(features, blank, ages[:, recipe.n_step :], recipe.window)
                        later = q_of(target, seen)
                each, _ = q_error(drawn.batch, now, later, chosen_by)
                loss = each.mean()
                batch, goal = drawn.batch, q_goal(drawn.batch, later, chosen_by) if watcher.looking else None
                watcher.learnt(
                    loss, q=now, actions=batch.actions, targets=goal, rewards=batch.returns, ends=batch.discounts == 0
                )
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
                optimiser.step()
                losses.append(loss.detach())
                values.append(now.detach().max(dim=1).values.mean())
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
        run.save(network, optimiser, protocol, policy)

    run.save(network, optimiser, protocol, policy, now=True)
    games.close()
