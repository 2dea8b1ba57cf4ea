"""The watcher: it is told what happens while somebody trains, and says when something is wrong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn

from policyscope.agents.agent import Streams
from policyscope.diagnosis.finding import Finding
from policyscope.errors import PolicyscopeError
from policyscope.training.watch.asked import Asked
from policyscope.training.watch.budget import Budget
from policyscope.training.watch.detected import Detected
from policyscope.training.watch.experience import Experience
from policyscope.training.watch.given import choices_of, each_of, outputs_of, pictures_of, rows_of
from policyscope.training.watch.lessons import Lesson, Weights
from policyscope.training.watch.outlets import Lines, Outlet, outlet
from policyscope.training.watch.rules import FOLLOWS, RULES
from policyscope.training.watch.scalars import scalars_of
from policyscope.training.watch.told import Clipping, Settings, Told
from policyscope.training.watch.updates import Updates


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
        if rewards not in get_args(Clipping):
            raise PolicyscopeError(f"rewards is {rewards!r}; say one of {', '.join(get_args(Clipping))}")
        if not 0 <= budget <= 1:
            raise PolicyscopeError(f"budget is {budget}; it is a share of the training's time, such as 0.02")
        noisy = network is not None and any("noisy" in type(m).__name__.lower() for m in network.modules())
        self.settings = Settings(
            steps, gamma, rewards, target_every, target_mixed, "own" if noisy else exploration, lives
        )
        self.every, self.budget, self.step = every, Budget(budget), step
        self.network, self._began, self._told = network, step, told
        self._experience, self._asked = Experience(), Asked(network, forward, read)
        self._updates = Updates(Weights(network, target, optimiser) if network is not None else None, self.budget)
        self._probe: deque[tuple[int, Mapping[str, float]]] = deque(maxlen=4)
        self._whole, self._partly = True, False
        self._first_reward: tuple[float, float] | None = None
        self._next = step + every
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
            ends = each_of("terminated", terminated, games) if np.ndim(terminated) else np.full(games, bool(terminated))
            cut = ends if truncated is None else ends | each_of("truncated", truncated, games)
            chosen = None if actions is None else choices_of(actions, games)
            seen = None if observations is None else pictures_of(observations, games)
            told = {"q": q, "policy": policy, "value": value}
            outputs = {name: outputs_of(name, v, games) for name, v in told.items() if v is not None}
            unsaid = chosen is not None and q is None and policy is None
            self._partly = self._partly or (chosen is not None and not unsaid)
            self._whole = self._whole and not (unsaid and self._partly)
        if unsaid and not self._partly:
            outputs |= self._asked(observations, games, self.budget)
        with self.budget.counted("acted"):
            overs = cut if over is None else each_of("over", over, games)
            self._experience.add(
                step, reward, ends, overs, actions=chosen, epsilon=epsilon, observations=seen, **outputs
            )
        if step >= self._next and self.budget.allows("rules"):
            self._next = (step // self.every + 1) * self.every
            return self.check()
        return []

    @property
    def looking(self) -> bool:
        """Whether :meth:`learnt` will look at the next update; what is laborious to tell is needed only then."""
        return bool(self.every) and self._updates.looking

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
        if self.every:
            ends_before = self._experience.share_of_ends
            self._updates.add(self.step, ends_before, loss, q, policy, actions, targets, rewards, ends, updates)

    def probed(self, step: int, scalars: Mapping[str, float]) -> None:
        """Tells what a saliency probe measured."""
        self._probe.append((step, dict(scalars)))

    def close(self) -> None:
        """Asks the rules a last time, if there is anything new, and writes what was found."""
        if self.step != self._checked:
            self.check()
        for place in self._outlets:
            if isinstance(place, Lines):
                place.close(self.found)

    def failed(self) -> None:
        """Tells that the loss or the weights are no numbers any more; the rules are asked at once."""
        self._updates.lessons.append(Lesson(self._updates.count, self.step, float("nan")))
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
                    known = self._found.get(one.key)
                    if known is None and self._follows(finding):
                        continue
                    if known is None:
                        fresh.append(one)
                    self._found[one.key] = one if known is None else Detected(finding, known.first, self.step)
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

    def _follows(self, finding: Finding) -> bool:
        """Whether something grave that is known explains it."""
        causes = FOLLOWS.get(finding.rule, ())
        return any(one.finding.severity == "grave" and one.finding.rule in causes for one in self._found.values())

    def _all(self) -> Told:
        acted = self._experience.acted()
        if self._first_reward is None:
            means = acted.rewards.mean(axis=1)
            self._first_reward = float(means.mean()), float(means.std() / np.sqrt(len(means)))
        lately, ever = self._experience.draws()
        return Told(
            self.step,
            self._began,
            self._updates.count,
            self.settings,
            acted,
            self._whole,
            self._experience.tally,
            lately,
            ever,
            tuple(self._updates.lessons),
            self._updates.drawn,
            self._asked.activation,
            self._first_reward,
            tuple(self._probe),
        )
