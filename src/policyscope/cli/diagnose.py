"""``policyscope diagnose``."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.table import Table
from rich.text import Text

from policyscope.cli.failures import Told
from policyscope.cli.options import AgentOptions, Flag, shown
from policyscope.cli.record import recorded, recorded_elsewhere
from policyscope.cli.terminal import bar, console, counted, for_a_reader, note, results
from policyscope.errors import PolicyscopeError, RunError

if TYPE_CHECKING:
    from policyscope.agents.agent import Agent
    from policyscope.diagnosis.finding import Finding
    from policyscope.diagnosis.writing import Checkup
    from policyscope.episodes.episode import Episode

SOMETHING_GRAVE = 1
COLUMNS = 80
STYLES = {"grave": "bold red", "warning": "yellow", "note": "dim"}


@dataclass
class Diagnose:
    """Say what is wrong with an agent, and where. Exit status 1 if something grave was found."""

    agent: tyro.conf.OmitArgPrefixes[AgentOptions]
    steps: Annotated[int, shown("N")] = 500
    """Of the episode that it plays and is judged by."""
    seed: Annotated[int, shown("N")] = 0
    """Of the game, the policy and the rules' own chances."""
    rules: Annotated[tuple[str, ...], shown("NAME …", "all")] = ()
    """What is asked, with spaces or commas."""
    play_on: bool = True
    """Rules may play further games, such as one of another difficulty, which takes some seconds."""
    episode: Annotated[Path | None, shown("RUN", "play one")] = None
    """Judge by the episode of a run folder, which the agent has played."""
    json: Annotated[str | None, shown("FILE|-", "for people alone")] = None
    """Write the diagnosis as JSON; - prints it, and nothing else, on stdout."""
    out: Annotated[Path | None, shown("RUN", "nothing is kept")] = None
    """Keep the episode, the findings and their pictures in a run folder, for policyscope view and report."""
    debug: Flag = False
    """Show the traceback of an error."""


def diagnose_command(options: Diagnose) -> None:
    """Plays, asks the rules, and says what they found.

    Raises:
        Told: Status 1: something grave was found.
    """
    from policyscope.diagnosis.doctor import diagnose
    from policyscope.diagnosis.rules import RULES
    from policyscope.diagnosis.writing import Checkup, told, write_findings

    rules = tuple(part for word in options.rules for part in word.split(",") if part) or tuple(RULES)
    unknown = [name for name in rules if name not in RULES]
    if unknown:
        raise PolicyscopeError(f"no rule {unknown[0]!r}; there are: {', '.join(RULES)}")
    if options.out is not None and options.episode is None:
        _check_folder(options.out)
    agent = options.agent.load()
    with recorded(options.out, options, agent.protocol) if options.out and not options.episode else nullcontext():
        episode = _episode(options, agent)
    begun = time.monotonic()
    with bar("asking", len(rules)) as advance:
        asked = iter(range(len(rules)))
        findings = diagnose(
            agent,
            episode,
            rules=rules,
            seed=options.seed,
            play_on=options.play_on,
            told=lambda name: advance(next(asked), len(rules), f"asking {name}"),
        )
    seed = episode.meta.get("seed")
    checkup = Checkup(
        agent.source,
        agent.fingerprint,
        episode.meta.get("game") or agent.protocol.game or agent.protocol.env,
        str(episode.meta.get("policy") or agent.policy),
        len(episode),
        seed if isinstance(seed, int) else None,
        rules,
        time.monotonic() - begun,
    )
    pictures = write_findings(options.out, findings) if options.out is not None else [None] * len(findings)
    with for_a_reader():  # who leaves early still gets the status
        if options.json is not None:
            _write_json(options.json, json.dumps(told(checkup, findings, pictures), indent=1))
        if options.json != "-":
            _show(checkup, findings, pictures, options.out)
    if any(finding.severity == "grave" for finding in findings):
        raise Told(SOMETHING_GRAVE)


def _check_folder(out: Path) -> None:
    """Refuses a folder that holds a run already, before time is spent on another."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; --out names the folder of a run")
    if (out / "episode.zarr" / "meta.json").exists():
        raise RunError(
            f"{out} already holds a run: diagnose its episode with --episode {out} --out {out}, or choose another --out"
        )


def _episode(options: Diagnose, agent: Agent) -> Episode:
    """The episode that the agent is judged by: one that is there, or one that it plays."""
    from policyscope.episodes.episode import Episode
    from policyscope.episodes.play import play

    if options.episode is None:
        return play(agent, options.steps, options.seed, out=options.out, progress=console.is_terminal)
    if not options.episode.is_dir():
        raise RunError(f"no folder {options.episode}; name one that policyscope play or explain wrote")
    episode = recorded_elsewhere(options.episode) or Episode.open(options.episode)
    played = episode.meta.get("agent")
    if isinstance(played, dict) and played.get("fingerprint") not in (None, agent.fingerprint):
        note(f"{options.episode} was played by an agent with other weights ({played.get('source')})")
    return episode


def _write_json(where: str, text: str) -> None:
    if where == "-":
        print(text)
    else:
        Path(where).write_text(text + "\n", encoding="utf-8")


def _show(checkup: Checkup, findings: Sequence[Finding], pictures: Sequence[str | None], out: Path | None) -> None:
    """Findings for people, the gravest first, and a last line that sums up."""
    screen = results(COLUMNS)
    for finding, picture in zip(findings, pictures, strict=True):
        table = Table.grid(padding=(0, 1))
        table.add_column(width=8, no_wrap=True)
        table.add_column(overflow="fold")
        head = Text(f"{finding.rule}: {finding.where}", style="bold")
        table.add_row(Text(finding.severity, style=STYLES[finding.severity]), head)
        table.add_row(Text(finding.sure, style="dim"), Text(finding.evidence))
        table.add_row("", Text(f"try: {finding.advice}", style="dim"))
        if picture is not None and out is not None:
            table.add_row("", Text(f"see: {out / picture}", style="dim"))
        screen.print(table)
        screen.print()
    counts = {name: sum(finding.severity == name for finding in findings) for name in STYLES}
    rest = ", ".join(counted(counts[name], name) for name in ("warning", "note") if counts[name])
    grave = f"{counts['grave']} grave" if counts["grave"] else "nothing grave found"
    screen.print(Text(", ".join(filter(None, (grave, rest))), style="bold"))
    screen.print(
        Text(
            f"{counted(len(checkup.rules), 'rule')} asked of {checkup.agent} over {counted(checkup.steps, 'state')} of "
            f"{checkup.game}, {checkup.seconds:.0f} s"
        )
    )
    if out is not None:
        screen.print(Text(f"kept in {out.resolve()}"))
