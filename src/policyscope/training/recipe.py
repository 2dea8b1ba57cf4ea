"""What every recipe has: the game, and how the run is made. Each family of algorithms adds its own values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from policyscope.agents.presets import game_name
from policyscope.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The values that all recipes share."""

    game: str = "breakout"
    """Any way to write one of ale-py's games."""
    steps: int = 10_000_000
    """Agent steps, of four frames each, over all games."""
    seed: int = 1
    start: str = ""
    """An agent whose weights the network begins with, in place of random ones: a file or zoo:NAME."""
    start_body: bool = False
    """Take only those layers of --start that the network has too, by name and shape; the others begin anew."""
    games: int = 32
    """Games played side by side."""
    sticky: float = 0.25
    """Chance that a frame repeats the previous action."""
    idle: int = 29
    """Most frames without action that a game starts with; how many is drawn for each. Where chance comes from sticky
    actions, Machado et al. (2018) start with none."""
    learning_rate: float = 2.5e-4
    gamma: float = 0.99
    """Discount of a step."""
    max_grad_norm: float = 10.0
    """Gradients are scaled down to this norm."""
    clip_rewards: bool = True
    """Learn from the sign of a reward, as the documents' agents did."""
    reward_scale: float = 1.0
    """What rewards are multiplied by when they are not clipped: games that pay hundreds need some 0.01."""
    display: tuple[int, ...] = ()
    """Boxes of the observation, each four numbers: top, left, bottom, right. A reward of 1 more whenever what one
    shows comes to differ more from the game's first frame: for teachers, where a game counts something and does not
    pay for it (Seaquest's divers and its oxygen: 71 20 75 60 68 26 70 59)."""
    shuffle_rewards: bool = False
    """Rewards and ends of lives come at moments drawn by chance, so that there is nothing to learn from them: the
    sanity check by shuffled labels (Adebayo et al., 2018)."""

    def __post_init__(self) -> None:
        game_name(self.game)
        for name, fits, right in self.rules():
            if not fits:
                raise RecipeError(f"--{name.replace('_', '-')} is {getattr(self, name)!r}; it must be {right}")

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values: (name, whether it does, what would be right)."""
        yield "start_body", bool(self.start) or not self.start_body, "left out without --start"
        yield "steps", self.steps >= 1, "at least 1"
        yield "games", 1 <= self.games <= 4096, "between 1 and 4096"
        yield "sticky", 0 <= self.sticky <= 1, "a chance between 0 and 1"
        yield "idle", 0 <= self.idle <= 1000, "between 0 and 1000"
        yield "learning_rate", 0 < self.learning_rate < 1, "between 0 and 1"
        yield "gamma", 0 <= self.gamma <= 1, "between 0 and 1"
        yield "max_grad_norm", self.max_grad_norm > 0, "above 0"
        yield "reward_scale", self.reward_scale > 0, "above 0"
        yield "reward_scale", self.reward_scale == 1 or not self.clip_rewards, "1 without --no-clip-rewards"
        yield "display", _are_boxes(self.display), "top left bottom right of boxes within 84 x 84 pixels"

    def values(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, kw_only=True)
class Exploring(Recipe):
    """A recipe whose agent takes random actions, fewer and fewer."""

    epsilon_start: float = 1.0
    epsilon_end: float = 0.01
    epsilon_steps: int = 200_000
    """Steps over which the chance of a random action falls."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        yield "epsilon_start", 0 <= self.epsilon_start <= 1, "a chance between 0 and 1"
        yield "epsilon_end", 0 <= self.epsilon_end <= self.epsilon_start, "between 0 and --epsilon-start"
        yield "epsilon_steps", self.epsilon_steps >= 1, "at least 1"

    def epsilon(self, step: int) -> float:
        """Chance of a random action."""
        fallen = min(step / self.epsilon_steps, 1.0)
        return self.epsilon_start + (self.epsilon_end - self.epsilon_start) * fallen


@dataclass(frozen=True, kw_only=True)
class Replaying(Exploring):
    """A recipe that learns values from replay, against a target network."""

    hidden: int = 512
    """Width of the dense layers, and of the LSTMs where there are some."""
    n_step: int = 3
    """Rewards added up before the target network is asked."""
    batch: int = 128
    """Transitions of a gradient step."""
    updates: int = 2
    """Gradient steps in a row."""
    replay: int = 600_000
    """States kept, 7 kB each (the paper's: 1,000,000)."""
    learn_after: int = 20_000
    """Steps before the first gradient step (also after --resume, which fills the replay anew; the paper's: 50,000)."""
    target_every: int = 250
    """Gradient steps between copies into the target network."""

    def rules(self) -> Iterable[tuple[str, bool, str]]:
        """What must hold of the values."""
        yield from super().rules()
        yield "hidden", 1 <= self.hidden <= 4096, "between 1 and 4096"
        yield "n_step", 1 <= self.n_step <= 50, "between 1 and 50"
        yield "batch", self.batch >= 1, "at least 1"
        yield "updates", self.updates >= 1, "at least 1"
        known = max(self.batch, self.games * (self.n_step + self.in_a_row))
        yield "learn_after", self.learn_after >= known, f"at least {known}: a batch, and returns of --n-step steps"
        yield "replay", self.replay >= self.learn_after, f"at least --learn-after = {self.learn_after:,}"
        yield "target_every", self.target_every >= 1, "at least 1"

    @property
    def in_a_row(self) -> int:
        """States of a game that are replayed together."""
        return 1


def _are_boxes(numbers: tuple[int, ...]) -> bool:
    corners = zip(*(numbers[part::4] for part in range(4)), strict=False)
    inside = all(0 <= top < bottom <= 84 and 0 <= left < right <= 84 for top, left, bottom, right in corners)
    return inside and len(numbers) % 4 == 0
