"""Asynchronous advantage actor-critic, A3C proper (Mnih et al., 2016, Algorithm S3): processes on shared weights.

Each worker copies the shared weights, plays a few steps, and moves the shared weights along the gradient that it found,
without waiting for anybody and without a lock (Recht et al., 2011). What the gradients follow is the batched form's.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.errors import RecipeError, TrainingError
from policyscope.training.actor_critic import ActorCritic, losses, make_network, make_view
from policyscope.training.compute import Compute
from policyscope.training.games import SCORED, Games, as_sequence
from policyscope.training.recipe import Recipe
from policyscope.training.rollout import Rollout
from policyscope.training.run import Run
from policyscope.training.shared_memory import SharedRMSprop, share, shared_adam
from policyscope.training.workers import Post, WorkerError, Workers

HOW = "asynchronous advantage actor-critic (A3C): processes that each play and update shared weights without locks"

SHOWN = ("loss", "entropy", "value_error")
"""Numbers of an update that the curve shows."""


@dataclass(frozen=True, kw_only=True)
class AsynchronousActorCritic(Recipe):
    """The paper's A3C networks, trained as its authors did."""

    network: Literal["actor_critic", "recurrent_actor_critic"] = "actor_critic"
    """Feed-forward on stacked frames, or with LSTMs and attention on a sequence of them."""
    hidden: int = 0
    """Width of the dense layer (and the LSTMs); 0 is the paper's, 256 and 512."""
    stack: int = 3
    """Frames of an observation; the paper's are 3, and 10 for the recurrent network."""

    workers: int = 16
    """Processes that play and learn, one thread each."""
    games: int = 16
    """Games of all workers together; each plays the same number of them."""
    length: int = 20
    """Steps of each game between updates."""
    trace: float = 1.0
    """Lambda of the generalised advantage estimate (Schulman et al., 2016); 1 is A3C's n-step return."""
    entropy: float = 0.01
    """Weight of the policy's entropy."""
    value_weight: float = 0.5
    """Weight of the value's squared error."""
    max_grad_norm: float = 0.5
    learning_rate: float = 4e-4
    decay: bool = True
    """The learning rate falls to zero over the steps."""
    optimiser: Literal["rmsprop", "adam"] = "rmsprop"
    """Either one's statistics are shared by all workers."""
    smoothing: float = 0.99
    """RMSprop: how much of the average of squares an update keeps."""
    eps: float = 1e-8
    """What keeps the optimiser from dividing by nothing. The loss is a mean, whose gradients are of the size 1e-4: with
    the 1e-5 that suits A3C's sums, RMSprop's root of it would outweigh them, and nothing is learnt."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        yield "workers", 1 <= self.workers <= 256, "between 1 and 256"
        yield "games", self.games % self.workers == 0, f"a multiple of --workers = {self.workers}"
        yield "length", 1 <= self.length <= 1000, "between 1 and 1000"
        yield "trace", 0 <= self.trace <= 1, "between 0 and 1"
        yield "entropy", self.entropy >= 0, "at least 0"
        yield "value_weight", self.value_weight >= 0, "at least 0"
        yield "stack", 1 <= self.stack <= 64, "between 1 and 64"
        yield "hidden", 0 <= self.hidden <= 4096, "between 0 and 4096"
        yield "smoothing", 0 <= self.smoothing < 1, "at least 0 and below 1"
        yield "eps", self.eps > 0, "above 0"

    def rate(self, fraction: float) -> float:
        """The learning rate when a fraction of the steps is done."""
        return self.learning_rate * (1 - min(fraction, 1.0)) if self.decay else self.learning_rate

    def of_worker(self) -> ActorCritic:
        """What one worker does between two copies of the weights: a small batch, used once."""
        own = self.games // self.workers
        shared = {field.name for field in fields(ActorCritic)} & asdict(self).keys()
        values = {name: getattr(self, name) for name in shared}
        return ActorCritic(**values | {"games": own, "batch": own * self.length, "objective": "a2c", "epochs": 1})


def make_optimiser(recipe: AsynchronousActorCritic, network: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimiser, all its statistics at their beginning."""
    if recipe.optimiser == "rmsprop":
        return SharedRMSprop(network.parameters(), recipe.learning_rate, recipe.smoothing, recipe.eps)
    return shared_adam(network.parameters(), recipe.learning_rate, recipe.eps)


def check(log_policy: Tensor) -> None:
    """Makes sure that a policy can be drawn from.

    Raises:
        FloatingPointError: It is no number any more.
    """
    if not log_policy.isfinite().all():
        raise FloatingPointError


class Player:
    """One worker's games, and its own copy of the network that all share.

    Attributes:
        games: What it plays.
    """

    def __init__(
        self,
        recipe: AsynchronousActorCritic,
        shared: nn.Module,
        optimiser: torch.optim.Optimizer,
        seed: int,
        compute: Compute,
    ) -> None:
        """Sits down.

        Args:
            recipe: Of all workers.
            shared: The network that they share.
            optimiser: Of the shared network.
            seed: Of this worker's games.
            compute: In what precision.
        """
        self._recipe = recipe.of_worker()
        self._shared, self._optimiser = shared, optimiser
        self.games = Games(self._recipe, recipe.stack, seed=seed)
        self.network = copy.deepcopy(shared)
        self.view = make_view(self._recipe, self.network, compute, self.games.observations.shape)
        self.rollout = Rollout.empty(recipe.length, self._recipe.games)

    def update(self, rate: float) -> dict[str, float]:
        """Copies the shared weights, plays, and moves the shared weights along the gradient, unless it is no number.

        Args:
            rate: How far.

        Returns:
            What the curve shows; ``loss`` is not a number where the gradient is not.
        """
        with torch.no_grad():
            for own, theirs in zip(self.network.parameters(), self._shared.parameters(), strict=True):
                own.copy_(theirs)
        rollout = self.rollout
        try:
            for step in range(self._recipe.length):
                rollout.play(step, self.view, self.games, check)
        except FloatingPointError:  # another worker's update went too far
            return dict.fromkeys(SHOWN, math.nan)
        lessons = rollout.lessons(self.view, self.games, self._recipe.gamma, self._recipe.trace)
        ((rows, streams),) = self.view.batches()
        batch = {name: value[rows] for name, value in lessons.items()}
        loss, numbers = losses(streams, batch, self._recipe)
        self.network.zero_grad()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._recipe.max_grad_norm)
        found = {name: numbers[name].item() for name in SHOWN}
        if not (norm.isfinite() and loss.isfinite()):
            return found | {"loss": math.nan}
        for own, theirs in zip(self.network.parameters(), self._shared.parameters(), strict=True):
            theirs.grad = own.grad
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.step()
        return found


@dataclass(frozen=True)
class News:
    """What a worker tells after an update.

    Attributes:
        numbers: For the curve.
        finished: Returns of the games that ended.
    """

    numbers: dict[str, float]
    finished: list[float]


def work(
    post: Post,
    recipe: AsynchronousActorCritic,
    shared: nn.Module,
    optimiser: torch.optim.Optimizer,
    begun: int,
    steps: Tensor,
) -> None:
    """What a worker does, until the steps of all are done or it is told to stop.

    Args:
        post: Its place among the others.
        recipe: Of all.
        shared: The network, its weights in shared memory.
        optimiser: Its statistics likewise.
        begun: Steps done before the workers began.
        steps: (workers,) Steps of each; a worker writes only its own, so that none is lost.
    """
    compute = Compute("cpu")
    seed = int(np.random.SeedSequence([recipe.seed, begun, post.number]).generate_state(1)[0]) // 2
    torch.manual_seed(seed)
    player = Player(recipe, shared, optimiser, seed, compute)
    games, told = player.games, 0
    try:
        while post.going() and (done := begun + int(steps.sum())) < recipe.steps:
            numbers = player.update(recipe.rate(done / recipe.steps))
            steps[post.number - 1] += player.rollout.actions.numel()
            fresh, told = games.count - told, games.count
            post.tell(News(numbers, list(games.finished)[len(games.finished) - min(fresh, len(games.finished)) :]))
            if math.isnan(numbers["loss"]):
                return
    finally:
        games.close()


def train(recipe: AsynchronousActorCritic, run: Run) -> None:
    """Trains an actor-critic in several processes.

    Args:
        recipe: Its values.
        run: The folder that it goes to.

    Raises:
        RecipeError: The run is to be on a GPU.
        TrainingError: A worker died, or the loss is not a number.
    """
    if run.options.device != "auto" and torch.device(run.options.device).type != "cpu":
        raise RecipeError(
            f"--device is {run.options.device!r}, but A3C's workers share weights in the processor's memory: "
            "use --device cpu, or the batched form on a GPU"
        )
    torch.manual_seed(recipe.seed + run.step)
    own = recipe.of_worker()
    games = Games(own, recipe.stack, seed=recipe.seed)
    protocol = as_sequence(games.protocol) if own.recurrent else games.protocol
    network = Compute("cpu").place(make_network(own, games.actions))
    games.close()
    optimiser = make_optimiser(recipe, network)
    run.restore(network, optimiser)
    share(network, optimiser)

    begun, steps = run.step, torch.zeros(recipe.workers, dtype=torch.int64).share_memory_()
    finished, count = deque[float](maxlen=SCORED), 0
    numbers = deque[dict[str, float]](maxlen=100)
    try:
        with Workers(recipe.workers, work, recipe, network, optimiser, begun, steps) as workers:
            while run.going() and workers.busy:
                for news in workers.hear(0.2):
                    run.watch(torch.tensor(news.numbers["loss"]))
                    numbers.append(news.numbers)
                    finished.extend(news.finished)
                    count += len(news.finished)
                run.step = begun + int(steps.sum())
                if numbers:
                    score = float(np.mean(finished)) if finished else math.nan
                    run.report(score, count, **{key: float(np.mean([n[key] for n in numbers])) for key in numbers[0]})
                run.save(network, optimiser, protocol, "sample")
    except WorkerError as death:
        raise TrainingError(f"{death}; {run.last_good()}") from death
    run.step = begun + int(steps.sum())
    run.save(network, optimiser, protocol, "sample", now=True)
