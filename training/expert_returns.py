"""How a rule written by hand plays: mean return of whole games with its interval.

    python training/expert_returns.py --expert seaquest-hunt

Where it is silent a teacher plays, or chance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
import tyro
from torch import Tensor, nn

import policyscope as ps
from policyscope.agents.presets import preset
from policyscope.episodes.returns import LIMIT, play_returns
from policyscope.episodes.statistics import mean_interval
from policyscope.training.distillation import Distillation
from policyscope.training.experts import EXPERTS, Expert
from policyscope.training.teaching import opinion

_TEMPERATURE = Distillation.temperature
"""What makes a policy of a teacher's Q, as in distillation."""


@dataclass
class Options:
    expert: str
    """One of ``policyscope train distil --expert``'s."""
    teacher: str | None = None
    """Who plays where it is silent; left out, chance."""
    policy: Literal["greedy", "sample"] = "greedy"
    """The expert's likeliest action, or one by chance."""
    games: int = 30
    seed: int = 1000
    limit: int = LIMIT


class Obeyed(nn.Module):
    """A policy that is an expert's where it speaks, and a teacher's elsewhere."""

    def __init__(self, expert: Expert, teacher: ps.Agent | None, actions: int) -> None:
        super().__init__()
        self._expert, self._teacher, self._actions = expert, teacher, actions

    def forward(self, observations: Tensor) -> dict[str, Tensor]:
        """Maps (N, frames, 84, 84) in [0, 1] to logits (N, A)."""
        screens = (observations * 255).round().to(torch.uint8).numpy()
        chances = torch.from_numpy(self._expert.says(screens))
        if self._teacher is None:
            others = torch.zeros(len(chances), self._actions)
        else:
            seen = observations[:, -self._teacher.protocol.stack :]
            others, _ = opinion(self._teacher.read(self._teacher.network(seen)), _TEMPERATURE)
        return {"policy": torch.where(chances.any(dim=1, keepdim=True), chances.log().clamp(min=-100), others)}


def main(options: Options) -> None:
    torch.set_num_threads(1)
    expert = EXPERTS[options.expert]
    teacher = ps.load_agent(options.teacher) if options.teacher else None
    frames = max(expert.frames, teacher.protocol.stack if teacher else 1)
    protocol = replace(preset("ale-vector", expert.game), stack=frames)
    actions = expert.says(np.zeros((1, frames, 84, 84), np.uint8)).shape[1]
    agent = ps.make_agent(Obeyed(expert, teacher, actions), protocol)
    returns = play_returns(agent, options.games, options.seed, policy=options.policy, limit=options.limit)
    low, high = mean_interval(returns)
    print(f"{options.expert}: mean return {returns.mean():.1f} [{low:.1f}, {high:.1f}] over {len(returns)} games")


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
