"""Distillation: a student learns what a teacher says of the states that the student itself meets.

For what cannot be trained here in time, and said so on the card (Rusu et al., 2016; on the student's own states as in
Ross et al., 2011).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Agent
from policyscope.agents.loading import load_agent
from policyscope.agents.networks import build
from policyscope.errors import RecipeError
from policyscope.training.actor_critic import initialise
from policyscope.training.compute import Compute, Streams, floats
from policyscope.training.experts import EXPERTS
from policyscope.training.games import Games, as_sequence
from policyscope.training.recipe import Recipe
from policyscope.training.replay import Batch, Replay, Stretches
from policyscope.training.run import Run
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

_SURE = 0.95
"""Share of an expert's policy in what a student is taught; the teacher's has the rest."""

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


def opinion(streams: Streams, temperature: float) -> tuple[Tensor, Tensor]:
    """What a teacher says: the log of its policy (B, A), and its value (B, 1).

    Args:
        streams: ``q``, or ``policy`` logits and ``value``.
        temperature: Makes a policy of Q.
    """
    if "q" in streams:
        return (streams["q"] / temperature).log_softmax(dim=1), streams["q"].max(dim=1, keepdim=True).values
    value = streams["value"] if "value" in streams else torch.zeros_like(streams["policy"][:, :1])
    return streams["policy"].log_softmax(dim=1), value.reshape(-1, 1)


def disagreement(streams: Streams, log_policy: Tensor, value: Tensor, temperature: float) -> Tensor:
    """How far a student is from its teacher in each state (B,): KL of the policies, and the error of their values.

    A student of Q is compared as the policy softmax(Q / temperature) and the value max Q, which together fix Q:
    Q = max Q + temperature x (log policy - max log policy).

    Args:
        streams: The student's.
        log_policy: The teacher's (B, A).
        value: The teacher's (B, 1).
        temperature: Makes a policy of Q.
    """
    own_policy, own_value = opinion(streams, temperature)
    divergence = (log_policy.exp() * (log_policy - own_policy)).sum(dim=1)
    return divergence + nn.functional.smooth_l1_loss(own_value, value, reduction="none").squeeze(1)


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
    teacher = load_agent(recipe.teacher)
    expert = EXPERTS.get(recipe.expert)
    stack = max(recipe.frames, teacher.protocol.stack, expert.frames if expert else 0)
    games = Games(recipe, stack, seed=seed, threads=run.options.threads)
    check(teacher, games, recipe)
    compute.place(teacher.network)
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
            observations = torch.from_numpy(games.observations)
            log_policy, value = taught(teacher, observations, compute, recipe.temperature)
            if expert is not None:
                log_policy = advised(log_policy, torch.from_numpy(expert.says(games.observations)))
            mine = own(observations[:, -recipe.frames :], torch.from_numpy(games.age))
            run.watch(mine)
            theirs = act(log_policy, "policy" in teacher.streams, recipe.epsilon, rng)
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


def check(teacher: Agent, games: Games, recipe: Distillation) -> None:
    """Makes sure that a teacher understands what the student sees.

    Raises:
        RecipeError: It does not.
    """
    theirs, ours = teacher.protocol, games.protocol
    expert = EXPERTS.get(recipe.expert)
    if expert is not None and expert.game != ours.game:
        raise RecipeError(f"the expert {recipe.expert} plays {expert.game}, not {ours.game}: see --game")
    if theirs.game != ours.game:
        raise RecipeError(f"the teacher {recipe.teacher} plays {theirs.game}, not {ours.game}: see --game")
    alike = ("crop", "colour", "colour_first", "size", "resize", "stretch", "max_pool", "pad", "scale", "offset")
    for name in alike:
        if getattr(theirs, name) != getattr(ours, name):
            raise RecipeError(
                f"the teacher {recipe.teacher} sees the screen with {name} {getattr(theirs, name)!r}, students here "
                f"with {getattr(ours, name)!r}: a teacher under the protocol ale-vector is needed"
            )
    if teacher.memory_size or len(teacher.actions) != games.actions:
        raise RecipeError(
            f"the teacher {recipe.teacher} has {len(teacher.actions)} actions and a memory of {teacher.memory_size}; "
            f"one with {games.actions} actions and without memory is needed"
        )


def taught(teacher: Agent, observations: Tensor, compute: Compute, temperature: float) -> tuple[Tensor, Tensor]:
    """What the teacher says of observations (N, stack, H, W), of which it sees its own newest frames."""
    seen = observations[:, -teacher.protocol.stack :]
    if teacher.protocol.layout == "time":
        seen = seen[:, :, None]
    with torch.no_grad(), compute.autocast():
        streams = teacher.read(teacher.network(compute.inputs(seen)))
    return opinion(floats(streams), temperature)


def advised(log_policy: Tensor, chances: Tensor) -> Tensor:
    """A teacher's policy where an expert is silent, and nearly the expert's where it speaks.

    Args:
        log_policy: The teacher's (N, A).
        chances: The expert's (N, A), zeros where it is silent.

    Returns:
        The log of the policy (N, A) that is taught.
    """
    # In logs all along: a chance that fades to zero would make a divergence that is no number.
    chances = chances.to(log_policy.device)
    mixed = torch.logaddexp(log_policy + math.log(1 - _SURE), chances.log() + math.log(_SURE))
    return torch.where(chances.any(dim=1, keepdim=True), mixed, log_policy)


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
