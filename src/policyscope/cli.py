"""The command line: it connects the rooms along the way of the data, and does nothing else."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich import progress
from rich.console import Console

from policyscope.errors import PolicyscopeError, RunError, TargetError
from policyscope.rendering.look import Look

PROGRAM = "policyscope"
console = Console(stderr=True)
List = Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME …")]


@dataclass
class AgentOptions:
    """Which agent, and what its file does not tell."""

    agent: tyro.conf.Positional[str]
    """A file or folder, zoo:NAME, or hf:ORG/REPO."""
    game: str | None = None
    """The Atari game, in any spelling."""
    protocol: str | None = None
    """How the screen becomes an observation: a preset's name or a JSON file."""
    network: str | None = None
    """MODULE:FACTORY that builds the network (or SB3's features extractor) whose weights the file holds."""
    env: str | None = None
    """A Gymnasium id or MODULE:FACTORY, for an agent that does not play Atari."""
    normalise: str | None = None
    """npz file with mean and var of the observations (VecNormalize), or off."""
    policy: str | None = None
    """greedy, sample or epsilon=0.01; by default the agent's own way."""
    device: str = "cpu"
    """Where the network runs."""


@dataclass
class PlayOptions:
    """What is played, and where it is kept."""

    steps: int = 500
    """Actions to take."""
    seed: int = 0
    """Of the game and of the policy; the same seed gives the same run, bit for bit."""
    out: Path | None = None
    """The run folder; by default runs/AGENT-seed."""
    resume: bool = False
    """Continue an interrupted run."""
    debug: bool = False
    """Show tracebacks."""


@dataclass
class Play:
    """Play an agent and record what happens."""

    agent: tyro.conf.OmitArgPrefixes[AgentOptions]
    run: tyro.conf.OmitArgPrefixes[PlayOptions]


@dataclass
class ExplainOptions:
    """What is explained."""

    methods: List = ()
    """Saliency methods, or all; by default the nine gradient methods."""
    stream: List = ()
    """q, value, advantage, policy, probability, or the path of an inner module."""
    action: List = ()
    """taken, greedy, sum, contrast, or an action's index or name."""
    layer: List = ("1",)
    """Convolutions, counted from 1 or by module path."""
    lag: List = ("0",)
    """Frames before the newest, or sum or mean over them."""
    variant: Annotated[tuple[str, ...], tyro.conf.arg(metavar="METHOD=VARIANT …")] = ()
    """Other sources' variants, such as full_grad_pp=blog_code."""
    positive_inputs: bool = False
    """Guided rule to the letter: rectifiers pass nothing where their input was not positive."""
    batch: int = 64
    """States explained at once."""
    observations: Path | None = None
    """Explain recorded observations (npz) instead of playing."""
    render: bool = True
    """Make the video, the pictures and the page."""


@dataclass
class Explain:
    """Play an agent, explain every decision, and show the result."""

    agent: tyro.conf.OmitArgPrefixes[AgentOptions]
    run: tyro.conf.OmitArgPrefixes[PlayOptions]
    explain: tyro.conf.OmitArgPrefixes[ExplainOptions]
    look: Look = field(default_factory=Look)
    """How maps are shown."""


@dataclass
class Render:
    """Make the video, the pictures and the page of a run again, with another look."""

    folder: tyro.conf.Positional[Path]
    """The run folder."""
    look: Look = field(default_factory=Look)
    """How maps are shown."""
    debug: bool = False
    """Show tracebacks."""


@dataclass
class Zoo:
    """List the agents that come with policyscope."""

    debug: bool = False
    """Show tracebacks."""


COMMANDS: dict[str, Callable[..., Any]] = {"explain": Explain, "play": Play, "render": Render, "zoo": Zoo}


def play_command(options: Play) -> None:
    """Plays and records."""
    from policyscope.episodes.play import play

    agent = load(options.agent)
    out = run_folder(options.agent, options.run)
    episode = play(
        agent, options.run.steps, options.run.seed, out=out, resume=options.run.resume, progress=console.is_terminal
    )
    console.print(f"{len(episode)} steps, returns {_returns(episode)}: {out}", highlight=False)


def explain_command(options: Explain) -> None:
    """Plays (or reads observations), explains and renders."""
    from policyscope.episodes.episode import Episode
    from policyscope.episodes.play import play
    from policyscope.saliency.explain import check_request, explain
    from policyscope.saliency.plan import NAMES

    agent, run, asked = load(options.agent), options.run, options.explain
    request: dict[str, Any] = {
        "methods": NAMES if asked.methods == ("all",) else _split(asked.methods) or None,
        "stream": _split(asked.stream) or None,
        "action": _split(asked.action) or None,
        "layer": _split(asked.layer),
        "lag": _split(asked.lag),
        "variants": _variants(asked.variant),
        "positive_inputs": asked.positive_inputs,
    }
    check_request(agent, **request)  # before a long game is played for nothing
    out = run_folder(options.agent, run)
    if asked.observations is not None:
        _refuse_existing(out, run.resume)
        episode = Episode.from_npz(asked.observations, protocol=agent.protocol)
    else:
        episode = play(agent, run.steps, run.seed, out=out, resume=run.resume, progress=console.is_terminal)
    with bar("explaining", len(episode)) as advance:
        maps = explain(
            agent,
            episode,
            **request,
            out=out,
            resume=run.resume,
            batch=asked.batch,
            progress=lambda done, total: advance(done, total, "explaining"),
        )
    for note in maps.meta["notes"]:
        console.print(f"note: {note}", highlight=False)
    if asked.render:
        render(out, episode, maps, options.look)
    console.print(
        f"{len(maps)} steps explained by {len(maps.panels)} panels, returns {_returns(episode)}", highlight=False
    )
    console.print(f"open {(out / 'index.html' if asked.render else out).resolve()}", highlight=False, soft_wrap=True)


def render_command(options: Render) -> None:
    """Renders a run again."""
    from policyscope.episodes.episode import Episode
    from policyscope.saliency.maps import Maps

    maps = Maps(options.folder)
    render(options.folder, Episode.open(options.folder), maps, options.look)
    console.print(f"open {(options.folder / 'index.html').resolve()}", highlight=False, soft_wrap=True)


def zoo_command(_: Zoo) -> None:
    """Lists the shipped agents."""
    from policyscope.agents import zoo

    for name in zoo.names():
        card = zoo.card(name)
        print(f"zoo:{name:24} {card.get('summary', '')}")


def load(options: AgentOptions) -> Any:
    """The agent that the options name."""
    from policyscope.agents.loading import load_agent

    return load_agent(
        options.agent,
        game=options.game,
        protocol=options.protocol,
        network=options.network,
        env=options.env,
        policy=options.policy,
        device=options.device,
        normalise=options.normalise,
    )


def run_folder(agent: AgentOptions, run: PlayOptions) -> Path:
    """Where the run goes."""
    if run.out is not None:
        return run.out
    name = Path(agent.agent.split(":", 1)[-1]).name.split(".")[0] or "agent"
    return Path("runs") / f"{name}-{run.seed}"


def render(out: Path, episode: Any, maps: Any, look: Look) -> None:
    """Writes the pictures of a run, with a progress bar."""
    from policyscope.rendering.render import render_run

    with bar("drawing", len(episode)) as advance:
        render_run(out, episode, maps, look=look, progress=advance, command=shlex.join([PROGRAM, *sys.argv[1:]]))


@contextmanager
def bar(text: str, total: int) -> Iterator[Callable[[int, int, str], None]]:
    """A progress bar; yields a function (done, total, text)."""
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(text, total=total, rate="")

        def advance(done: int, whole: int, what: str) -> None:
            speed = shown.tasks[0].speed
            shown.update(task, completed=done, total=whole, description=what, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


def _split(values: Sequence[str]) -> list[str]:
    """Several values, by spaces or commas."""
    return [part for value in values for part in value.split(",") if part]


def _variants(pairs: Sequence[str]) -> dict[str, str]:
    split = [pair.partition("=") for pair in _split(pairs)]
    for method, equals, variant in split:
        if not (method and equals and variant):
            raise TargetError(f"--variant takes METHOD=VARIANT, not {method!r}")
    return {method: variant for method, _, variant in split}


def _refuse_existing(out: Path, resume: bool) -> None:
    if (out / "maps.zarr").exists() and not resume:
        raise RunError(f"{out} already holds a run; resume it, or choose another folder")


def _returns(episode: Any) -> str:
    returns = [f"{value:g}" for value in episode.returns()]
    running = (
        "" if len(episode) and episode.game_over[-1] else f"({episode.rewards.sum() - sum(episode.returns()):g} so far)"
    )
    return " ".join([*returns[:12], *(["…"] if len(returns) > 12 else []), *([running] if running else [])])


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; a user's mistake is one line and exit status 2."""
    run: dict[type[Any], Callable[[Any], None]] = {
        Explain: explain_command,
        Play: play_command,
        Render: render_command,
        Zoo: zoo_command,
    }
    options = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog=PROGRAM,
        description="What does my agent look at, and what is wrong with it?",
        args=list(sys.argv[1:] if arguments is None else arguments),
    )
    debug = bool(getattr(getattr(options, "run", options), "debug", False))
    try:
        run[type(options)](options)
    except PolicyscopeError as error:
        if debug:
            raise
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        if debug:
            raise
        print(f"{PROGRAM}: stopped; what was written is a valid run: continue it with --resume", file=sys.stderr)
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
