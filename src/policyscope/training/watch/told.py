"""What a rule looks at: what the learner was said to be, what it did lately, and what was seen of its updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from policyscope.training.watch.activation import Activation
from policyscope.training.watch.draws import Draws
from policyscope.training.watch.experience import Acted, Tally
from policyscope.training.watch.lessons import Drawn, Lesson

Clipping = Literal["sign", "clip", "none", "unknown"]


@dataclass(frozen=True)
class Settings:
    """What the learner was said to be; what is not known is None.

    Attributes:
        steps: The training is planned for.
        gamma: Discount of a step.
        rewards: How they come to the learner: their ``sign``, clipped to [-1, 1] (``clip``), as they are (``none``).
        target_every: Updates between copies into the target network; infinite for never.
        target_mixed: The target network follows smoothly (Polyak), a little with each update.
        exploration: ``epsilon``: by random actions, whose chance falls; ``own``: in another way (noisy layers, a
            bonus, an expert), of which nothing is expected.
        lives: Whether a lost life is an end, after which the same game goes on.
    """

    steps: int | None = None
    gamma: float | None = None
    rewards: Clipping = "unknown"
    target_every: float | None = None
    target_mixed: bool = False
    exploration: Literal["epsilon", "own"] = "epsilon"
    lives: bool | None = None


@dataclass(frozen=True)
class Told:
    """All that a rule is given.

    Attributes:
        step: Where the training is.
        began: Where it was when the watcher began.
        updates: Of the weights, so far.
        settings: What was said of the learner.
        acted: What it did lately.
        whole: Outputs are told (or worked out) whatever the action was, and not for greedy actions alone.
        tally: Counts since the watcher began.
        lately: How actions agreed with outputs, in the last thousands of states.
        ever: The same since the watcher began.
        lessons: Updates that were looked at, the last hundred.
        drawn: The transitions that were learnt from; None where their ends are not told.
        activation: What the outputs of Q go through last, where the watcher asked the network itself.
        first_reward: Mean reward a step of the first stretch that was kept, and its standard error.
        probe: Scalars of the saliency probe, by step, the last few.
    """

    step: int
    began: int
    updates: int
    settings: Settings
    acted: Acted
    whole: bool
    tally: Tally
    lately: Draws
    ever: Draws
    lessons: Sequence[Lesson]
    drawn: Drawn | None = None
    activation: Activation | None = None
    first_reward: tuple[float, float] = (0.0, float("inf"))
    probe: Sequence[tuple[int, Mapping[str, float]]] = field(default_factory=tuple)

    @property
    def fraction(self) -> float | None:
        """How much of the plan is done."""
        return None if not self.settings.steps else self.step / self.settings.steps
