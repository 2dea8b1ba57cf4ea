"""``policyscope play``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from policyscope.cli.options import AgentOptions, RunOptions
from policyscope.cli.record import recorded
from policyscope.cli.terminal import console, counted, returns_of


@dataclass
class Play:
    """Play an agent and record what happens."""

    agent: tyro.conf.OmitArgPrefixes[AgentOptions]
    run: tyro.conf.OmitArgPrefixes[RunOptions]

    @property
    def folder(self) -> Path:
        """Where the run goes."""
        return self.run.folder(self.agent.agent)


def play_command(options: Play) -> None:
    """Plays and records."""
    from policyscope.episodes.play import play

    run, out = options.run, options.folder
    run.check_folder(out)
    agent = options.agent.load()
    with recorded(out, options, agent.protocol):
        episode = play(agent, run.steps, run.seed, out=out, resume=run.resume, progress=console.is_terminal)
    print(f"{counted(len(episode), 'step')} played, {returns_of(episode)}")
    print(f"recorded in {out.resolve()}")
