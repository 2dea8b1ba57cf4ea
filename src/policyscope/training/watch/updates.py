"""The updates of a training: every so many one is looked at, as the budget allows."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from policyscope.training.watch.activation import last_function
from policyscope.training.watch.budget import Budget
from policyscope.training.watch.given import rows_of
from policyscope.training.watch.lessons import Drawn, Lesson, Weights, goals_of, pull_of

KEPT, EVERY = 100, 11
"""Updates that are remembered, and every how many are looked at: a number that shares no factor with the intervals that
target networks are copied at."""


class Updates:
    """Counts updates, and looks at some.

    Attributes:
        count: So far.
        lessons: What was seen of the last ones that were looked at.
        drawn: The transitions of all of them; None where their ends are not told.
    """

    def __init__(self, weights: Weights | None, budget: Budget) -> None:
        """Prepares to look.

        Args:
            weights: Of the network that learns.
            budget: What looking may cost.
        """
        self.count, self.lessons = 0, deque[Lesson](maxlen=KEPT)
        self.drawn: Drawn | None = None
        self._weights, self._budget, self._next = weights, budget, 1

    @property
    def looking(self) -> bool:
        """Whether the next one will be looked at."""
        return self.count + 1 >= self._next and self._budget.allows("lesson")

    def add(
        self,
        step: int,
        share_of_ends: float,
        loss: Tensor | float | None,
        q: Tensor | None,
        policy: Tensor | None,
        actions: Tensor | None,
        targets: Any,
        rewards: Any,
        ends: Any,
        updates: int,
    ) -> None:
        """Adds an update, or several; what they are is said in ``Watcher.learnt``.

        Args:
            step: Where the training is.
            share_of_ends: Of all transitions so far, at least so many end a return.
            loss: As in ``Watcher.learnt``, like all that follow.
            q: Values.
            policy: Logits.
            actions: That were taken.
            targets: Of the values.
            rewards: Of the transitions.
            ends: Of returns.
            updates: How many these are.
        """
        looking, self.count = self.looking, self.count + updates
        if self._weights is not None and self._weights.waiting:
            with self._budget.counted("weights"):
                move = self._weights.moved(self.count)
                if move is not None and self.lessons:
                    self.lessons[-1] = replace(self.lessons[-1], move=move)
        if ends is not None:
            with self._budget.counted("ends"):
                flags, before = rows_of(ends), self.drawn or Drawn()
                self.drawn = Drawn(
                    before.rows + flags.size,
                    before.ended + int((flags > 0).sum()),
                    before.expected + flags.size * share_of_ends,
                )
        if looking:
            with self._budget.counted("lesson"):
                self._next = self.count + EVERY
                self.lessons.append(self._lesson(step, loss, q, policy, actions, targets, rewards, ends))
                if self._weights is not None:
                    self._weights.keep(self.count)

    def _lesson(
        self,
        step: int,
        loss: Tensor | float | None,
        q: Tensor | None,
        policy: Tensor | None,
        actions: Tensor | None,
        targets: Any,
        rewards: Any,
        ends: Any,
    ) -> Lesson:
        weights, pull = self._weights, None
        stream, outputs = ("q", q) if q is not None else ("policy", policy)
        if isinstance(loss, Tensor) and outputs is not None and actions is not None:
            pull = pull_of(loss, outputs, actions, stream)
        off, still = weights.target(self.count - 1) if weights is not None else (None, None)
        return Lesson(
            self.count,
            step,
            loss=None if loss is None else float(torch.as_tensor(loss).detach().float().mean()),
            finite=weights is None or weights.finite(),
            pull=pull,
            goals=None if ends is None else goals_of(ends, rewards, targets),
            target_off=off,
            target_still=still,
            activation=last_function(q) if q is not None and q.ndim == 2 else None,
            optimised=weights.optimised() if weights is not None else None,
        )
