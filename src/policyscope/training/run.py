"""A training run's folder: its checkpoints, its curve, its progress, and how it ends.

RUN/train.json                the recipe, and which files go on from which step; replaced last
RUN/agent.safetensors         the newest agent, as ``policyscope explain RUN/agent.safetensors`` takes it
RUN/checkpoints/agent-*.safetensors
RUN/optimiser-*.safetensors   what the newest checkpoint needs to go on
RUN/curve.csv, curve.png, tensorboard/
RUN/watch.jsonl, findings.json what the watcher saw, and what it found; ``policyscope watch RUN`` shows them
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from policyscope.agents.loading import load_agent
from policyscope.agents.protocol import Protocol
from policyscope.errors import TrainingError
from policyscope.storage import disk_errors
from policyscope.training.checkpoints import agent_of, begin_with, keep, kept_in, load_optimiser
from policyscope.training.compute import Compute, Precision, hardware
from policyscope.training.games import Games
from policyscope.training.progress import Progress
from policyscope.training.recipe import Recipe
from policyscope.training.reports import Reports
from policyscope.training.watch import Detected, Watcher
from policyscope.training.watching import Watching


@dataclass(frozen=True)
class RunOptions:
    """How a run is made; none of it shapes what is learnt."""

    out: Path
    """Folder of the run."""
    resume: bool = False
    """Go on from the newest checkpoint in the folder."""
    minutes: float = 0.0
    """Stop after this long (0: when the steps are done)."""
    device: str = "auto"
    """cpu, cuda, cuda:1 …"""
    threads: int = 1
    """Processor threads of the network and of the games."""
    precision: Precision = "auto"
    """Of products: bfloat16 where the hardware has it, else float32."""
    save_every: int = 50_000
    """Steps between checkpoints."""
    report_every: int = 10_000
    """Steps between rows of the curve."""
    saliency_every: int = 50_000
    """Steps between measurements of what the network looks at; 0 for none."""
    saliency_films: int = 10
    """Every how many of these measurements a film is made; 0 for none."""
    watch_every: int = 1_000
    """Steps between two looks for faults of the training; 0 for none."""
    tensorboard: bool = True
    """Write TensorBoard's files too, if it is installed."""


class Run:
    """A folder that a training writes to, as a context.

    Attributes:
        compute: Where the network is trained.
        step: Agent steps done so far.
        stopped: The signal that ended it early; 0 if none did.
    """

    def __init__(self, name: str, recipe: Recipe, options: RunOptions, how: str, command: str = "") -> None:
        """Starts a run, or finds the place where it stopped.

        Args:
            name: Of the recipe.
            recipe: Its values.
            options: How the run is made.
            how: How the agent is trained, in plain words, for a card.
            command: The command line that makes it.

        Raises:
            RunError: The folder holds a run and ``resume`` was not asked for, or it is of another recipe.
        """
        self.name, self.recipe, self.options, self.command = name, recipe, options, command
        weights = "those weights that it shares with" if recipe.start_body else "the weights of"
        self.how = f"{how}; begun with {weights} {recipe.start}" if recipe.start else how
        self.folder = options.out
        self.compute = Compute(options.device, options.threads, options.precision)
        self._kept = kept_in(self.folder, name, recipe, options.resume)
        self.step, self._seconds = (self._kept.step, self._kept.seconds) if self._kept else (0, 0.0)
        with disk_errors(self.folder):
            (self.folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        progress = Progress(recipe.steps, self.step, options.minutes)
        self._reports = Reports(self.folder, self.step, options.report_every, progress, options.tensorboard)
        self._watcher: Watcher | None = None
        board = self._reports.board
        self._watching = Watching(self.folder, options.saliency_every, self.step, board, options.saliency_films)
        self._began, self._next_save = time.monotonic(), self.step + options.save_every
        self.stopped = 0
        self._exits = ExitStack()

    # -- the network --

    def restore(self, network: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
        """Gives a network and its optimiser the newest checkpoint's state, or the network the recipe's first weights.

        Returns:
            The plain values saved beside it; empty at the start of a run.

        Raises:
            CheckpointError: The first weights are another network's.
        """
        if self._kept is None:
            if self.recipe.start:
                begin_with(self.recipe.start, network, shared=self.recipe.start_body)
            return {}
        network.load_state_dict(load_agent(self._kept.agent).network.state_dict())
        return load_optimiser(optimiser, self._kept.optimiser)

    def save(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        protocol: Protocol,
        policy: str,
        more: Mapping[str, Any] | None = None,
        *,
        now: bool = False,
    ) -> None:
        """Writes a checkpoint if one is due.

        Args:
            network: One that ``networks.build`` made.
            optimiser: Its optimiser.
            protocol: How the agent is fed.
            policy: How the agent acts.
            more: Plain values that the run needs to go on.
            now: Write it, due or not.
        """
        if not now and self.step < self._next_save:
            return
        self._next_save = self.step + self.options.save_every
        weights = network.state_dict()
        self.watch(*(value for value in weights.values() if value.is_floating_point()))
        facts = {"recipe": self.name, "step": self.step, "seed": self.recipe.seed}
        agent = agent_of(network.recipe, weights, protocol, policy, facts)  # type: ignore[arg-type]
        told = {
            "recipe": self.name,
            "values": self.recipe.values(),
            "command": self.command,
            "how": self.how,
            "seed": self.recipe.seed,
            "seconds": round(self.seconds, 1),
            "hardware": f"{hardware()}, {self.options.threads} thread{'s' * (self.options.threads > 1)}",
        }
        keep(self.folder, self.step, agent, optimiser, more or {}, told)

    # -- the way --

    @property
    def seconds(self) -> float:
        """Time spent, over all the times that the run was begun."""
        return self._seconds + time.monotonic() - self._began

    @property
    def fraction(self) -> float:
        """How much of the recipe's steps is done, 0 to 1."""
        return min(self.step / self.recipe.steps, 1.0)

    def going(self) -> bool:
        """Whether to go on: steps and time are left, and nobody asked to stop."""
        minutes = self.options.minutes
        late = minutes > 0 and time.monotonic() - self._began > 60 * minutes
        return not (self.stopped or late or self.step >= self.recipe.steps)

    def watch(self, *values: Tensor) -> None:
        """Makes sure that numbers are numbers.

        Raises:
            TrainingError: One is not.
        """
        if not all(bool(torch.isfinite(value).all()) for value in values):
            if self._watcher is not None:
                self._watcher.failed()
            raise TrainingError(
                f"the loss is not a number any more at step {self.step:,}; {self.last_good()}. "
                "A smaller --learning-rate or --max-grad-norm may help"
            )

    def last_good(self) -> str:
        """Where a run that failed can go on, in words."""
        newest = max((self.folder / "checkpoints").glob("agent-*"), default=None)
        return f"the last good checkpoint is {newest}" if newest else "there is no checkpoint yet"

    def look(self, network: nn.Module, games: Games, protocol: Protocol) -> None:
        """Measures what the network looks at, if it is time to; to be called after each step of the games.

        Args:
            network: What is trained; it is left as it is.
            games: What it plays.
            protocol: How it sees them.
        """
        scalars = self._watching(self.step, network, games, protocol)
        if scalars and self._watcher is not None:
            self._watcher.probed(self.step, scalars)

    def watcher(
        self,
        network: nn.Module,
        optimiser: torch.optim.Optimizer,
        target: nn.Module | None = None,
        target_every: int | None = None,
    ) -> Watcher:
        """Who looks for faults of this training; it writes to the folder and to TensorBoard, and says what it finds.

        Args:
            network: What learns.
            optimiser: What moves it.
            target: Its target network.
            target_every: Updates between copies into that.
        """
        every, recipe = self.options.watch_every, self.recipe
        # What a display pays comes beside the game's clipped reward: their sum may be beyond 1.
        clipped = recipe.clip_rewards and not recipe.display
        boards = [self._reports.board] if self._reports.board is not None else []
        with disk_errors(self.folder):
            self._watcher = Watcher(
                network,
                target=target,
                optimiser=optimiser,
                steps=recipe.steps,
                gamma=recipe.gamma,
                rewards="sign" if clipped else "none",
                target_every=target_every,
                lives=True,
                every=every,
                log=[self.folder, *boards] if every else None,
                step=self.step,
                told=self._tell,
            )
        return self._watcher

    def _tell(self, one: Detected) -> None:
        if one.finding.severity != "note":
            self._reports.progress.say(f"{one.finding.severity}, at step {one.first:,}: {one.text()}")

    def report(self, score: float, games: int, **values: float | Sequence[Tensor]) -> None:
        """Adds a row to the curve, to TensorBoard and to what the terminal shows, if one is due.

        Args:
            score: Mean return of the last games.
            games: Games finished.
            values: More numbers, or recent ones whose mean is shown; names with a slash go to TensorBoard alone.
        """
        self._reports(self.step, self.seconds, score, games, values)

    # -- the ends --

    def __enter__(self) -> Run:
        with ExitStack() as stack:
            stack.callback(self._finish)
            stack.enter_context(self.compute.settings())
            stack.enter_context(self._stopping())
            stack.enter_context(self._reports.progress)
            self._exits = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.__exit__(kind, error, trace)

    @contextmanager
    def _stopping(self) -> Iterator[None]:
        """Ctrl-C or a request to end is noted, and the training loop ends after its step."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self.stopped:  # asked twice: at once
                raise KeyboardInterrupt
            self.stopped = number
            self._reports.progress.say("stopping after this step; once more stops at once")

        if threading.current_thread() is not threading.main_thread():  # whoever runs us there stops us
            yield
            return
        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _finish(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
        self._reports.close(f"{self.name}, {self.recipe.game}")
