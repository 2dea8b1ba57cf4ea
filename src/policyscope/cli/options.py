"""The options that several commands share; a command's own are beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from policyscope.errors import RunError

if TYPE_CHECKING:
    from policyscope.agents.agent import Agent


def shown(metavar: str, default: str | None = None) -> Any:
    """How the help writes an option's value, and what it is if left out (None: as the field says)."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=None if default is None else f"(default: {default})")


Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff, tyro.conf.arg(help_behavior_hint="")]
"""An option without a value, off unless it is given."""


@dataclass
class AgentOptions:
    """Which agent, and what its file does not tell."""

    agent: Annotated[tyro.conf.Positional[str], shown("AGENT")]
    """A checkpoint's file or the folder of a training run, zoo:NAME, hf:ORG/REPO or hf:ORG/REPO:FILE."""
    game: Annotated[str | None, shown("GAME", "what the file or its folders tell")] = None
    """The Atari game, in any spelling: breakout, SpaceInvaders, ALE/Pong-v5."""
    protocol: Annotated[str | None, shown("NAME|FILE.json", "what the file's format implies")] = None
    """How the screen becomes an observation: modern, classic, paper, paper-a3c, paper-recurrent, sb3, cleanrl, v5,
    ale-vector, baby-a3c, or a JSON file."""
    network: Annotated[str | None, shown("MODULE:FACTORY", "known from the file")] = None
    """FACTORY(observation_shape, actions) builds the network whose weights the file holds; for a Stable-Baselines3
    zip, its features extractor. my_nets:make is make() in ./my_nets.py."""
    env: Annotated[str | None, shown("ID|MODULE:FACTORY", "Atari, through ale-py")] = None
    """What the agent plays if it is not Atari: CarRacing-v3, or my_envs:make for make() in ./my_envs.py."""
    normalise: Annotated[str | None, shown("FILE.npz|off", "as the file says")] = None
    """mean and var of the observations, where VecNormalize scaled them; off if it scaled rewards alone."""
    policy: Annotated[str | None, shown("POLICY", "the agent's own way")] = None
    """How it acts: greedy, sample, or epsilon=0.01."""
    device: Annotated[str, shown("DEVICE")] = "cpu"
    """Where the network runs: cpu, cuda, cuda:1, mps."""

    def load(self) -> Agent:
        """The agent that the options name."""
        from policyscope.agents.loading import load_agent

        return load_agent(
            self.agent,
            game=self.game,
            protocol=self.protocol,
            network=self.network,
            env=self.env,
            policy=self.policy,
            device=self.device,
            normalise=self.normalise,
        )


@dataclass
class RunOptions:
    """How long it plays, and where that is kept."""

    steps: Annotated[int, shown("N")] = 500
    """Actions to take, over as many games as they last."""
    seed: Annotated[int, shown("N")] = 0
    """Of the game and of the policy; the same seed gives the same run, bit for bit."""
    out: Annotated[Path | None, shown("FOLDER", "runs/AGENT-SEED")] = None
    """The run folder. One that holds a run is left alone, unless --resume continues it."""
    resume: Flag = False
    """Continue the run in the folder, stopped or complete: the same options as before, and any larger --steps."""
    debug: Flag = False
    """Show the traceback of an error."""

    def folder(self, agent: str) -> Path:
        """Where the run of an agent goes."""
        if self.out is not None:
            return self.out
        name = Path(re.split("[:/\\\\]", agent.rstrip("/\\"))[-1]).stem.strip(".")
        return Path("runs") / f"{name or 'agent'}-{self.seed}"

    def check_folder(self, folder: Path) -> None:
        """Refuses a folder that holds a run already, before time is spent on another.

        Raises:
            RunError: It does, and ``resume`` is off; or it is a file.
        """
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file; --out names the folder of a run")
        if not self.resume and any((folder / part / "meta.json").exists() for part in ("episode.zarr", "maps.zarr")):
            raise RunError(f"{folder} already holds a run: continue it with --resume, or choose another --out")
