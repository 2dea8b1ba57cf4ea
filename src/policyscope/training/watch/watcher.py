"""The watcher: it is told what happens while somebody trains, and says when something is wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Streams
from policyscope.agents.custom import Guess
from policyscope.errors import PolicyscopeError
from policyscope.saliency.record import evaluating
from policyscope.storage import Array
from policyscope.training.watch.activation import Activation, last_function
from policyscope.training.watch.budget import Budget
from policyscope.training.watch.detected import Detected
from policyscope.training.watch.experience import Experience
from policyscope.training.watch.given import choices_of, outputs_of, pictures_of, rows_of
from policyscope.training.watch.lessons import Lesson, Weights, goals_of, pull_of
from policyscope.training.watch.outlets import Outlet, outlet
from policyscope.training.watch.rules import RULES
from policyscope.training.watch.scalars import scalars_of
from policyscope.training.watch.told import Clipping, Settings, Told

LESSONS, EVERY_UPDATE = 100, 11
"""Updates that are remembered, and every how many are looked at: a number that shares no factor with the intervals that
target networks are copied at."""


class Watcher:
    """Watches a training, whoever's loop it is, and finds what is wrong with it.

    All that it is told is optional: a rule speaks where it knows enough. It changes nothing: no weights, no gradients,
    no random numbers. What each rule looks at is in ``docs/watch.md``.

    Args:
        network: What learns. With it, and observations, outputs are worked out where the loop does not tell them.
        target: Its target network.
        optimiser: What moves it.
        steps: The training is planned for.
        gamma: Discount of a step.
        rewards: How they come to the learner: ``sign``, ``clip`` (to [-1, 1]), ``none`` (as they are), ``unknown``.
        target_every: Updates between copies into the target network.
        target_mixed: The target network follows smoothly instead.
        exploration: ``own`` where the learner does not explore by random actions or by drawing from its policy.
        lives: Whether a lost life ends a return and the same game goes on.
        every: Steps between two rounds of the rules, at least; 0 watches nothing.
        budget: Share of the training's time that all this may take; what would take more is put off.
        log: A folder, a SummaryWriter, a run of Weights & Biases, or several of them.
        step: Where the training is.
        forward: How the network is called, where that is not ``network(observations)``.
        read: From what it returns to its streams by name; left out, a single tensor is ``q``, and of a pair the one
            with a single column is ``value`` and the other ``policy``.
        told: Called with each new finding.

    Example:
        >>> watcher = Watcher(q_network, target=target_network, optimiser=optimizer, log="runs/pong")
        >>> watcher.acted(step, observations, actions, rewards, terminated, truncated)
        >>> watcher.learnt(loss, q=q, actions=batch.actions, targets=y, rewards=batch.rewards, ends=batch.dones)
    """

    def __init__(
        self,
        network: nn.Module | None = None,
        *,
        target: nn.Module | None = None,
        optimiser: torch.optim.Optimizer | None = None,
        steps: int | None = None,
        gamma: float | None = None,
        rewards: Clipping = "unknown",
        target_every: float | None = None,
        target_mixed: bool = False,
        exploration: Literal["epsilon", "own"] = "epsilon",
        lives: bool | None = None,
        every: int = 1_000,
        budget: float = 0.02,
        log: Any = None,
        step: int = 0,
        forward: Callable[[nn.Module, Tensor], Any] | None = None,
        read: Callable[[Any], Streams] | None = None,
        told: Callable[[Detected], None] | None = None,
    ) -> None:
        if every < 0:
            raise PolicyscopeError(f"every is {every}; it must be at least 1, or 0 to watch nothing")
        noisy = network is not None and any("noisy" in type(m).__name__.lower() for m in network.modules())
        self.settings = Settings(
            steps, gamma, rewards, target_every, target_mixed, "own" if noisy else exploration, lives
        )
        self.every, self.budget, self.updates, self.step = every, Budget(budget), 0, step
        self._network, self._began, self._told = network, step, told
        self._forward, self._read = forward, read or Guess()
        self._weights = Weights(network, target, optimiser) if network is not None else None
        self._experience, self._lessons = Experience(), deque[Lesson](maxlen=LESSONS)
        self._probe: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=4)
        self._whole, self._partly = True, False
        self._drawn: tuple[int, int] | None = None
        self._asked = False
        self._activation: Activation | None = None
        self._first_reward: tuple[float, float] | None = None
        self._next, self._next_look = step + every, 1
        self._checked = -1
        self._found: dict[tuple[str, str, str], Detected] = {}
        outlets = log if isinstance(log, list | tuple) else [] if log is None else [log]
        self._outlets: list[Outlet] = [outlet(to, step) for to in outlets]

    # -- what the loop tells --

    def acted(
        self,
        step: int,
        observations: Any = None,
        actions: Any = None,
        rewards: Any = 0.0,
        terminated: Any = False,
        truncated: Any = None,
        *,
        over: Any = None,
        q: Any = None,
        policy: Any = None,
        value: Any = None,
        epsilon: float | None = None,
    ) -> list[Detected]:
        """Tells a step of one game, or of N side by side (everything (N, …) then).

        Args:
            step: Where the training is now.
            observations: What was acted on (not what came of it).
            actions: What was done.
            rewards: What it brought, as the learner is given it.
            terminated: Whether the return ended.
            truncated: Whether the game was cut off.
            over: Whether the next observation is another game's first; by default where it terminated or was truncated.
            q: The network's values (N, A) of these observations.
            policy: Its logits (N, A).
            value: Its values (N,) or (N, 1).
            epsilon: Chance of a random action.

        Returns:
            What was found for the first time.
        """
        if not self.every:
            return []
        with self.budget.counted("acted"):
            self.step = step
            if observations is not None and np.ndim(rewards) == 0 and not isinstance(observations, Mapping):
                observations = observations[None]  # of one game, without a row for it
            reward = rows_of(rewards)
            games = len(reward)
            ends = rows_of(terminated, bool)
            cut = ends if truncated is None else ends | rows_of(truncated, bool)
            chosen = None if actions is None else choices_of(actions, games)
            seen = None if observations is None else pictures_of(observations, games)
            outputs = {
                "q": outputs_of(q, games),
                "policy": outputs_of(policy, games),
                "value": outputs_of(value, games, True),
            }
        if chosen is not None and outputs["q"] is None and outputs["policy"] is None:
            outputs |= self._worked_out(observations, games)
        elif chosen is not None:
            self._partly = True
        with self.budget.counted("acted"):
            missing = chosen is not None and self._partly and outputs["q"] is None and outputs["policy"] is None
            self._whole = self._whole and not missing
            self._experience.add(
                step,
                reward,
                ends,
                cut if over is None else rows_of(over, bool),
                actions=chosen,
                epsilon=epsilon,
                observations=seen,
                **outputs,
            )
        if step >= self._next and self.budget.allows("rules"):
            self._next = (step // self.every + 1) * self.every
            return self.check()
        return []

    @property
    def looking(self) -> bool:
        """Whether :meth:`learnt` will look at the next update; what is laborious to tell is needed only then."""
        due = self.updates + 1 >= self._next_look
        return bool(self.every) and due and self.budget.allows("lesson")

    def learnt(
        self,
        loss: Tensor | float | None = None,
        *,
        q: Tensor | None = None,
        policy: Tensor | None = None,
        actions: Tensor | None = None,
        targets: Any = None,
        rewards: Any = None,
        ends: Any = None,
        updates: int = 1,
    ) -> None:
        """Tells an update, just before ``loss.backward()``.

        Args:
            loss: What is to be lessened.
            q: Values (B, A) that the loss was computed from, with their graph.
            policy: Logits likewise.
            actions: (B,) that were taken.
            targets: (B,) that values are to be; returns, for an actor-critic.
            rewards: (B,) of the transitions (summed over n steps where targets are).
            ends: (B,) whether the return ended with them.
            updates: How many updates this stands for.
        """
        looking, self.updates = self.looking, self.updates + updates
        if self._weights is not None and self._weights.waiting:
            with self.budget.counted("weights"):
                self._moved(self._weights)
        if ends is not None and self.every:
            with self.budget.counted("ends"):
                rows, ended = self._drawn or (0, 0)
                flags = rows_of(ends)
                self._drawn = rows + flags.size, ended + int((flags > 0).sum())
        if not looking:
            return
        with self.budget.counted("lesson"):
            self._next_look = self.updates + EVERY_UPDATE
            self._lessons.append(self._lesson(loss, q, policy, actions, targets, rewards, ends))
            if self._weights is not None:
                self._weights.keep(self.updates)

    def probed(self, step: int, scalars: Mapping[str, float]) -> None:
        """Tells what a saliency probe measured."""
        self._probe.append((step, dict(scalars)))

    def close(self) -> None:
        """Asks the rules a last time, if there is anything new."""
        if self.step != self._checked:
            self.check()

    def failed(self) -> None:
        """Tells that the loss or the weights are no numbers any more; the rules are asked at once."""
        self._lessons.append(Lesson(self.updates, self.step, float("nan")))
        self.check()

    # -- what it says --

    @property
    def found(self) -> list[Detected]:
        """All findings so far, the gravest first."""
        return sorted(self._found.values(), key=lambda one: (one.finding.order, one.first))

    def check(self) -> list[Detected]:
        """Asks all rules now, and logs.

        Returns:
            What was found for the first time.
        """
        if not self._experience.sweeps:
            return []
        self._checked = self.step
        with self.budget.counted("rules"):
            told = self._all()
            fresh = []
            for rule in RULES.values():
                for finding in rule(told):
                    one = Detected(finding, self.step, self.step)
                    if one.key in self._found:
                        one = Detected(finding, self._found[one.key].first, self.step)
                    else:
                        fresh.append(one)
                    self._found[one.key] = one
            planned = {"watch/planned": float(self.settings.steps)} if self.settings.steps else {}
            scalars = (
                scalars_of(told)
                | planned
                | {"watch/findings": float(len(self._found)), "watch/cost": self.budget.taken}
            )
            for place in self._outlets:
                place.write(self.step, scalars, fresh, self.found)
        for one in fresh:
            if self._told is not None:
                self._told(one)
        return fresh

    # -- inside --

    def _all(self) -> Told:
        acted = self._experience.acted()
        if self._first_reward is None:
            means = acted.rewards.mean(axis=1)
            self._first_reward = float(means.mean()), float(means.std() / np.sqrt(len(means)))
        return Told(
            self.step,
            self._began,
            self.updates,
            self.settings,
            acted,
            self._whole,
            self._experience.tally,
            tuple(self._lessons),
            self._drawn,
            self._activation,
            self._first_reward,
            tuple(self._probe),
        )

    def _lesson(
        self,
        loss: Tensor | float | None,
        q: Tensor | None,
        policy: Tensor | None,
        actions: Tensor | None,
        targets: Any,
        rewards: Any,
        ends: Any,
    ) -> Lesson:
        pull = None
        stream, outputs = ("q", q) if q is not None else ("policy", policy)
        if isinstance(loss, Tensor) and outputs is not None and actions is not None:
            pull = pull_of(loss, outputs, actions, stream)
        off, still = self._weights.target(self.updates - 1) if self._weights is not None else (None, None)
        return Lesson(
            self.updates,
            self.step,
            None if loss is None else float(torch.as_tensor(loss).detach()),
            True if self._weights is None else self._weights.finite(),
            pull,
            None if ends is None else goals_of(ends, rewards, targets),
            None,
            off,
            still,
            last_function(q) if q is not None and q.ndim == 2 else None,
            self._weights.optimised() if self._weights is not None else None,
        )

    def _moved(self, weights: Weights) -> None:
        move = weights.moved(self.updates)
        if move is not None and self._lessons:
            self._lessons[-1] = _with(self._lessons[-1], move=move)

    def _worked_out(self, observations: Any, games: int) -> dict[str, Array | None]:
        """The network's outputs where the loop does not tell them, as often as the budget allows."""
        usable = self._network is not None and observations is not None and not isinstance(observations, Mapping)
        if not usable or self._network is None or self._partly or not self.budget.allows("forward"):
            return {}
        with self.budget.counted("forward"):
            device = next(self._network.parameters()).device
            seen = torch.as_tensor(observations, device=device)
            first = not self._asked  # its graph tells what the outputs go through last
            with evaluating(self._network), torch.inference_mode(False), torch.set_grad_enabled(first):
                made = self._forward(self._network, seen) if self._forward is not None else self._network(seen)
                streams = self._read(made)
            if first and "q" in streams:
                self._activation = last_function(streams["q"])
            self._asked = True
            return {
                "q": outputs_of(streams.get("q"), games),
                "policy": outputs_of(streams.get("policy"), games),
                "value": outputs_of(streams.get("value"), games, True),
            }


def _with(lesson: Lesson, **changes: Any) -> Lesson:
    return Lesson(**(vars(lesson) | changes))
