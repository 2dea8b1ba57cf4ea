"""Distillation: a student learns what a teacher says of the states that the student itself meets.

For what cannot be trained here in time, and said so on the card (Rusu et al., 2016; on the student's own states as in
Ross et al., 2011).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.networks import build
from policyscope.training.actor_critic import initialise
from policyscope.training.compute import Compute, Streams, floats
from policyscope.training.games import Games, as_sequence
from policyscope.training.recipe import Recipe
from policyscope.training.replay import Batch, Replay, Stretches
from policyscope.training.run import Run
from policyscope.training.teaching import Teacher, disagreement, opinion
from policyscope.training.value import greedy
from policyscope.training.windows import Memory, encode, windows

Student = Literal[
    "dqn",
    "dueling_dqn",
    "categorical_dqn",
    "actor_critic",
    "small_actor_critic",
    "recurrent_actor_critic",
    "split_attention_drqn",
    "shared_attention_drqn",
]

HOW = "distilled from another agent, on the states that the student itself meets"

_RECURRENT = ("recurrent_actor_critic", "split_attention_drqn", "shared_attention_drqn")
"""Students that take frames as a sequence."""


@dataclass(frozen=True, kw_only=True)
class Distillation(Recipe):
    """A teacher's Q or policy and value, taught to another network."""

    teacher: str = "zoo:breakout-dddqn"
    """The agent that teaches: a file, a folder or zoo:NAME, under the protocol ale-vector."""
    expert: Literal["", "seaquest-breath", "seaquest-hunt", "pong-return", "pinball-nudge"] = ""
    """A player written by hand whose word goes before the teacher's in the states that it knows; its rule is in
    training/experts."""
    without_fire: bool = False
    """Teach the moves of the teacher without the fire button, as far as there are such: a student that need not press
    it, as in Pong, has half as much to learn."""
    network: Student = "split_attention_drqn"
    hidden: int = 0
    """Width of the dense layers; 0 is the network's own."""
    steps: int = 300_000
    learning_rate: float = 3e-4
    batch: int = 128
    """States of a gradient step."""
    window: int = 10
    """Recurrent students: frames that they see. A gradient step takes time in proportion, so a student may begin with
    two and go on, by --start, with the paper's ten."""
    stretch: int = 4
    """Recurrent students: states in a row that are learnt together."""
    sweeps: int = 4
    """Steps of each game between gradient steps."""
    updates: int = 1
    """Gradient steps after them."""
    replay: int = 200_000
    """States kept, 7 kB each."""
    priority: float = 0.0
    """Power of prioritised replay (Schaul et al., 2016) by how far the student was from its teacher; 0 draws uniformly.
    For decisions that are rare, as a pinball's nudges; feed-forward students only."""
    learn_after: int = 4_000
    """Steps before the first gradient step."""
    teacher_acts: float = 0.25
    """Share of the steps in which the teacher plays as long as the student is new; it falls to zero half way."""
    temperature: float = 0.1
    """What makes a policy of Q, softmax(Q / temperature), and back: Q = V + temperature x log policy."""
    epsilon: float = 0.01
    """Chance of a random action of a student of Q."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        yield "hidden", 0 <= self.hidden <= 4096, "between 0 and 4096"
        yield "window", 1 <= self.window <= 64, "between 1 and 64"
        yield "stretch", self.stretch >= 1, "at least 1"
        yield "batch", self.batch >= 1 and self.batch % self.stretch == 0, f"a multiple of --stretch = {self.stretch}"
        yield "sweeps", self.sweeps >= 1, "at least 1"
        yield "updates", self.updates >= 1, "at least 1"
        known = max(self.batch, self.games * (1 + self.stretch))
        yield "learn_after", self.learn_after >= known, f"at least {known}: a batch, and whole stretches"
        yield "replay", self.replay >= self.learn_after, f"at least --learn-after = {self.learn_after:,}"
        yield "priority", 0 <= self.priority <= 1, "between 0 and 1"
        uniform = not (self.priority and self.recurrent)
        yield "priority", uniform, f"0 for --network {self.network}, which learns stretches of states"
        yield "teacher_acts", 0 <= self.teacher_acts <= 1, "a share between 0 and 1"
        yield "temperature", self.temperature > 0, "above 0"
        yield "epsilon", 0 <= self.epsilon <= 1, "a chance between 0 and 1"

    @property
    def frames(self) -> int:
        """Frames that the student sees."""
        if self.recurrent:
            return self.window
        return 3 if self.network == "actor_critic" else 4

    @property
    def recurrent(self) -> bool:
        """Whether the student takes frames as a sequence."""
        return self.network in _RECURRENT


def train(recipe: Distillation, run: Run) -> None:
    """Trains a student.

    Args:
        recipe: Its values.
        run: The folder that it goes to.

    Raises:
        RecipeError: The teacher plays another game, or sees it in another way.
    """
    compute = run.compute
    seed = recipe.seed + run.step
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    teacher = Teacher(recipe.teacher, recipe.expert, recipe.temperature, compute, without_fire=recipe.without_fire)
    games = Games(recipe, max(recipe.frames, teacher.frames), seed=seed, threads=run.options.threads)
    teacher.check(games)
    network = student(recipe, games.actions)
    compute.place(network)
    optimiser = compute.adam(network, recipe.learning_rate)
    run.restore(network, optimiser)
    labels = games.actions + 1
    replay = Replay(recipe.replay, recipe.games, stack=recipe.frames, priority=recipe.priority, labels=labels)
    memory = Memory(network, compute, recipe.frames)
    protocol = replace(games.protocol, stack=recipe.frames)
    protocol = as_sequence(protocol) if recipe.recurrent else protocol
    samples = recipe.network.endswith("actor_critic")
    policy = "sample" if samples else f"epsilon={recipe.epsilon:g}"
    first = run.step
    losses = deque[Tensor](maxlen=200)

    def own(observations: Tensor, age: Tensor) -> Tensor:
        """Log of the student's policy in each game."""
        with torch.no_grad(), compute.autocast():
            if recipe.recurrent:
                streams = network.from_features(memory(observations, age))  # type: ignore[operator]
            else:
                streams = network(compute.inputs(observations))
        return opinion(floats(streams), recipe.temperature)[0]

    while run.going():
        memory.forget()
        for _ in range(recipe.sweeps):
            log_policy, value = teacher.says(games.observations)
            seen = torch.from_numpy(games.observations)[:, -recipe.frames :]
            mine = own(seen, torch.from_numpy(games.age))
            run.watch(mine)
            theirs = act(log_policy, teacher.samples, recipe.epsilon, rng)
            chosen = act(mine, samples, recipe.epsilon, rng)
            share = recipe.teacher_acts * max(0.0, 1 - 2 * run.fraction)
            actions = np.where(rng.random(recipe.games) < share, theirs, chosen)
            frames, age = games.observations[:, -1].copy(), games.age
            turn = games.step(actions)
            says = torch.cat([log_policy, value], dim=1).cpu().numpy()
            replay.append(frames, age, actions, turn.rewards, turn.ends, says)
            run.step += recipe.games
            run.look(network, games, protocol)

        if run.step - first >= recipe.learn_after:
            for _ in range(recipe.updates):
                if recipe.recurrent:
                    drawn = replay.draw_stretches(recipe.batch // recipe.stretch, recipe.stretch, rng)
                    batch, streams = drawn.batch, of_windows(network, drawn, recipe, compute)
                else:
                    batch = replay.draw(recipe.batch, rng)
                    streams = of_stacks(network, batch, compute)
                said = batch.labels.to(compute.device)
                apart = disagreement(streams, said[:, :-1], said[:, -1:], recipe.temperature)
                replay.update(batch, apart)
                loss = (batch.weights.to(compute.device) * apart).mean()
                optimiser.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), recipe.max_grad_norm)
                optimiser.step()
                losses.append(loss.detach())
            optimiser.param_groups[0]["lr"] = recipe.learning_rate * (1 - run.fraction)
            run.watch(losses[-1])

        run.report(games.score(), games.count, loss=losses, teacher_acts=share)
        run.save(network, optimiser, protocol, policy)

    run.save(network, optimiser, protocol, policy, now=True)
    games.close()


def student(recipe: Distillation, actions: int) -> nn.Module:
    """The student's network, new."""
    options = {"hidden": recipe.hidden} if recipe.hidden else {}
    if recipe.network == "small_actor_critic":
        options["channels"] = recipe.frames
    network = build(recipe.network, actions=actions, **options)
    if recipe.network.endswith("actor_critic"):
        initialise(network)
    return network


def act(
    log_policy: Tensor, sampled: bool, epsilon: float, rng: np.random.Generator
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Actions (N,): sampled from a policy (N, A), or its best but for a chance of epsilon."""
    if sampled:
        return torch.multinomial(log_policy.exp(), 1).squeeze(1).cpu().numpy()
    return greedy(log_policy, epsilon, rng)


def of_stacks(network: nn.Module, batch: Batch, compute: Compute) -> Streams:
    """A feed-forward student's streams."""
    with compute.autocast():
        streams = network(compute.inputs(batch.observations))
    return floats(streams)


def of_windows(network: nn.Module, drawn: Stretches, recipe: Distillation, compute: Compute) -> Streams:
    """A recurrent student's streams, of the first ``stretch`` states of each stretch."""
    states, size = recipe.stretch, recipe.frames
    with compute.autocast():
        features, blank = encode(network, drawn.frames[:, : size - 1 + states], compute)
        seen = windows(features, blank, drawn.age[:, :states], size)
        streams = network.from_features(seen.flatten(0, 1))  # type: ignore[operator]
    return floats(streams)
