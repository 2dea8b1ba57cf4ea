"""``policyscope evaluate``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.table import Table
from rich.text import Text

from policyscope.cli.options import AgentOptions, Flag, shown
from policyscope.cli.terminal import bar, console, counted, note, results
from policyscope.errors import PolicyscopeError, RunError
from policyscope.storage import read_count

if TYPE_CHECKING:
    from policyscope.agents.agent import Agent
    from policyscope.episodes.episode import Episode
    from policyscope.evaluation.runner import Evaluation
    from policyscope.evaluation.table import Table as Told

STYLES = {"yes": "green", "no": "red", "open": "dim"}


@dataclass
class Evaluate:
    """Judge maps by numbers: do they show objects, stay stable, matter to the agent, come from its weights?"""

    agents: Annotated[tyro.conf.Positional[tuple[str, ...]], shown("AGENT …")]
    """Checkpoints' files, folders of training runs, zoo:NAME; several are judged one after the other."""
    methods: Annotated[tuple[str, ...], shown("NAME …", "the nine of gradients, and three baselines")] = ()
    """Ours (grad_cam; grad_cam@3 for another convolution), edges, frame_difference, random, captum:CLASS; with
    spaces or commas."""
    parts: Annotated[tuple[str, ...], shown("NAME …", "all")] = ()
    """What is judged, with spaces or commas; frames has recognition, stability, sharpness and inversion."""
    stream: Annotated[tuple[str, ...], shown("NAME …", "what the agent acts by")] = ()
    """What is explained: q, value, advantage, policy."""
    action: Annotated[str | None, shown("ACTION", "taken")] = None
    """Which action: taken, greedy, contrast, or an index."""
    lag: Annotated[int, shown("N")] = 0
    """The input frame that is explained, 0 the newest."""
    steps: Annotated[int, shown("N")] = 1000
    """Of each episode."""
    seeds: Annotated[tuple[int, ...], shown("N …")] = (0,)
    """An episode each."""
    episode: Annotated[Path | None, shown("RUN", "play one")] = None
    """Judge on the episode of a run folder, which the agent has played."""
    sampled: Annotated[int, shown("N")] = 96
    """States of each episode for laborious measures."""
    games: Annotated[int, shown("N")] = 8
    """Played where an agent has to act with something hidden."""
    shuffled: Annotated[str | None, shown("AGENT", "none")] = None
    """Trained by the agent's recipe with --shuffle-rewards: do maps show what was learnt?"""
    twin: Annotated[str | None, shown("AGENT", "none")] = None
    """Trained by the agent's recipe from another seed: how alike are maps of two that learnt the same?"""
    game: Annotated[str | None, shown("GAME", "what the file or its folders tell")] = None
    """The Atari game."""
    protocol: Annotated[str | None, shown("NAME|FILE.json", "what the file's format implies")] = None
    """How the screen becomes an observation."""
    policy: Annotated[str | None, shown("POLICY", "the agent's own way")] = None
    """How it acts: greedy, sample, or epsilon=0.01."""
    device: Annotated[str, shown("DEVICE")] = "cpu"
    """Where the network runs."""
    out: Annotated[Path | None, shown("FOLDER", "runs/evaluate-AGENT")] = None
    """A run each in it, or the run itself where there is but one; called again, it goes on where it was stopped."""
    debug: Flag = False
    """Show the traceback of an error."""


def evaluate_command(options: Evaluate) -> None:
    """Plays, judges, and says where the tables and figures are.

    Raises:
        PolicyscopeError: No agent is named, or several for one recorded episode.
    """
    from policyscope.evaluation.runner import NAMES, together

    if not options.agents:
        raise PolicyscopeError("name an agent to evaluate: policyscope evaluate zoo:breakout-dddqn")
    if options.episode is not None and (len(options.agents) > 1 or len(options.seeds) > 1):
        raise PolicyscopeError("--episode is one agent's: evaluate it by itself, with one seed")
    parts = _words(options.parts)
    unknown = [name for name in parts if name not in NAMES]
    if unknown:
        raise PolicyscopeError(f"no part {unknown[0]!r}; there are: {', '.join(NAMES)}")
    out = options.out or Path("runs") / "evaluate-{}".format("-".join(map(_plain, options.agents))[:60])
    single = len(options.agents) == 1 and len(options.seeds) == 1
    named = {"shuffled": options.shuffled, "twin": options.twin}
    others = {name: _loaded(options, source) for name, source in named.items() if source is not None}
    done: list[Evaluation] = []
    for source in options.agents:
        agent = _loaded(options, source)
        for seed in options.seeds:
            folder = out if single else out / _plain(source) / f"seed-{seed}"
            done.append(_evaluated(options, agent, others, source, seed, folder, parts or NAMES))
    for evaluation in done:
        _show(evaluation)
    if not single:
        together(out, done)
    if find_spec("matplotlib") is None:
        note("no figures were drawn: pip install 'policyscope[evaluate]'")
    console.print(Text(f"tables and figures: {out.resolve()}", style="bold"), soft_wrap=True)
    if single:
        console.print(Text(f"look at it: policyscope view {out}"), soft_wrap=True)


def _evaluated(
    options: Evaluate,
    agent: Agent,
    others: Mapping[str, Agent],
    source: str,
    seed: int,
    folder: Path,
    parts: Sequence[str],
) -> Evaluation:
    from policyscope.evaluation.runner import evaluate
    from policyscope.evaluation.sources import DEFAULT

    episode = _episode(options, agent, seed, folder)
    _explain(options, agent, episode, folder)
    with ExitStack() as stack:

        def began(part: str) -> object:
            stack.close()
            advance = stack.enter_context(bar(part, 1))
            return lambda done, of: advance(done, of, part)

        return evaluate(
            agent,
            episode,
            _words(options.methods) or DEFAULT,
            out=folder,
            parts=parts,
            streams=_words(options.stream),
            action=options.action,
            lag=options.lag,
            seed=seed,
            sampled=options.sampled,
            games=options.games,
            shuffled=others.get("shuffled"),
            twin=others.get("twin"),
            name=source,
            began=began,  # type: ignore[arg-type]
        )


def _loaded(options: Evaluate, source: str) -> Agent:
    return AgentOptions(source, options.game, options.protocol, policy=options.policy, device=options.device).load()


def _explain(options: Evaluate, agent: Agent, episode: Episode, folder: Path) -> None:
    """Keeps the maps of our methods beside the episode, for the report; an explanation that was stopped goes on."""
    from policyscope.saliency.explain import explain
    from policyscope.saliency.plan import METHODS

    methods = [name for name in _words(options.methods) or METHODS if name in METHODS]
    kept = folder / "maps.zarr" / "meta.json"
    if (
        not methods
        or not (folder / "episode.zarr").is_dir()
        or (kept.exists() and read_count(kept.parent) == len(episode))
    ):
        return
    with bar("explaining", len(episode)) as advance:
        explain(
            agent,
            episode,
            methods,
            stream=_words(options.stream)[:1] or None,
            action=options.action,
            lag=options.lag,
            out=folder,
            resume=True,
            progress=lambda done, of: advance(done, of, "explaining"),
        )


def _episode(options: Evaluate, agent: Agent, seed: int, folder: Path) -> Episode:
    """The episode of a run that is named, of this one where it was begun, or a new one, which the run keeps."""
    from policyscope.episodes.episode import Episode
    from policyscope.episodes.play import play

    there = options.episode or (folder if (folder / "episode.zarr" / "meta.json").exists() else None)
    if there is None:
        return play(agent, options.steps, seed, out=folder, progress=console.is_terminal)
    if not there.is_dir():
        raise RunError(f"no folder {there}; name one that policyscope play or explain wrote")
    episode = Episode.open(there)
    played = episode.meta.get("agent")
    if isinstance(played, dict) and played.get("fingerprint") not in (None, agent.fingerprint):
        if options.episode is None:
            raise RunError(f"{folder} holds another agent's run: choose another --out")
        note(f"{there} was played by an agent with other weights ({played.get('source')})")
    if options.episode is None and len(episode) < options.steps and not episode.meta.get("complete", True):
        raise RunError(
            f"{folder} holds an episode that was stopped: choose another --out, or take it as --episode {folder}"
        )
    return episode


def _show(evaluation: Evaluation) -> None:
    """What one wants to know first: a line a method; of parts that have none, their own tables."""
    screen = results()
    first = evaluation.overview
    if first.rows:
        screen.print(_table(evaluation.name, first))
    for told in () if first.rows else evaluation.tables:
        screen.print(_table(f"{evaluation.name}: {told.title}", told))
        screen.print(Text(told.note, style="dim"))
    for part, outcome in evaluation.outcomes.items():
        for text in outcome.notes:
            screen.print(Text(f"{part}: {text}", style="dim"))
    if evaluation.tables:
        screen.print(Text(f"{counted(len(evaluation.tables), 'table')} in {evaluation.out / 'tables'}", style="dim"))
    screen.print()


def _table(title: str, told: Told) -> Table:
    from policyscope.evaluation.table import shown as shown_cell

    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for head in told.columns:
        table.add_column(head, overflow="fold")
    for row in told.rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell, "")) for cell in map(shown_cell, row)))
    return table


def _words(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for word in values for part in word.split(",") if part)


def _plain(source: str) -> str:
    """An agent's name as a folder's."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", source.removeprefix("zoo:")).strip("-")
