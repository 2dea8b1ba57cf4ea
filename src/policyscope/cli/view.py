"""``policyscope view``."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from signal import SIGTERM
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from policyscope.cli.failures import INTERRUPTED, TERMINATED, Told
from policyscope.cli.options import AgentOptions, Flag, RunOptions, shown
from policyscope.cli.record import progress_of, recorded, recorded_elsewhere
from policyscope.cli.terminal import bar, counted, note, returns_of
from policyscope.errors import MissingExtraError, PolicyscopeError

if TYPE_CHECKING:
    from policyscope.agents.agent import Agent
    from policyscope.episodes.episode import Episode
    from policyscope.viewer.live import Live
    from policyscope.viewer.serve import Server

_CODE = ("network", "env")
METHODS = ("gradient", "grad_cam", "full_grad", "guided_backprop")


@dataclass
class ViewedOptions(AgentOptions):
    """What is looked at, and what an agent's file does not tell."""

    agent: Annotated[tyro.conf.Positional[str], shown("RUN|AGENT")]
    """A run's folder; or an agent, which is then played live: a checkpoint's file, the folder of a training run,
    zoo:NAME, hf:ORG/REPO or hf:ORG/REPO:FILE."""


@dataclass
class LiveOptions:
    """How an agent is played live."""

    steps: Annotated[int, shown("N", "none")] = 0
    """Pause after this many steps."""
    seed: Annotated[int, shown("N")] = 0
    """Of the game and of the policy: while nobody interferes, the run is that of policyscope play."""
    out: Annotated[Path | None, shown("FOLDER", "runs/AGENT-SEED")] = None
    """The run folder: what was seen becomes a run."""
    rate: Annotated[float, shown("N")] = 15.0
    """Steps a second; 0 for as fast as it goes."""
    methods: Annotated[tuple[str, ...], shown("NAME …", "four of the gradient methods")] = METHODS
    """What is shown at first."""
    stream: Annotated[str | None, shown("NAME", "q, else policy")] = None
    """What is explained at first: q, value, advantage, policy or probability."""
    layer: Annotated[str, shown("NAME")] = "1"
    """The convolution of the methods that explain one, by number from 1 or by module path."""

    def folder(self, agent: str) -> Path:
        """Where the run of an agent goes: its usual place, or the next one that is free."""
        if self.out is not None:
            return self.out
        usual = RunOptions(seed=self.seed).folder(agent)
        names = [usual, *(usual.with_name(f"{usual.name}-{count}") for count in range(2, 1000))]
        return next((name for name in names if not (name / "episode.zarr").exists()), usual)

    def words(self) -> dict[str, Any]:
        """What is shown at first, as keywords of ``explain``."""
        names = [name for value in self.methods for name in value.split(",") if name]
        return {"methods": names, "stream": self.stream, "layer": self.layer}


@dataclass
class View:
    """Look into a run, or into an agent while it plays, in the browser."""

    agent: tyro.conf.OmitArgPrefixes[ViewedOptions]
    live: tyro.conf.OmitArgPrefixes[LiveOptions] = field(default_factory=LiveOptions)
    against: Annotated[str | None, shown("AGENT", "none")] = None
    """Another agent, which explains the same steps beside the one that played them."""
    port: Annotated[int, shown("N")] = 8377
    """Where the viewer listens, on this machine alone; 0 for any port that is free."""
    open: bool = True
    """Open the browser; the address is printed either way."""
    debug: Flag = False
    """Show the traceback of an error."""


def view_command(options: View) -> None:
    """Serves a run or a live game until Ctrl-C."""
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "view", "the viewer")
    folder = Path(options.agent.agent)
    run = folder if (folder / "episode.zarr").is_dir() else folder.parent if folder.name == "episode.zarr" else None
    elsewhere = recorded_elsewhere(folder) if run is None and folder.is_dir() else None
    if run is not None or elsewhere is not None:
        _view_run(run or folder, elsewhere, options)
    else:
        _view_agent(options)


def _view_run(folder: Path, episode: Episode | None, options: View) -> None:
    from policyscope.agents.comparing import check_agents
    from policyscope.episodes.episode import Episode
    from policyscope.saliency.maps import Maps
    from policyscope.viewer.serve import Server, bound
    from policyscope.viewer.session import RunSession

    episode = episode or Episode.open(folder)
    maps = Maps(folder, episode) if (folder / "maps.zarr" / "meta.json").exists() else None
    agent, told = _player_of(folder, episode, options.agent, maps.meta.get("agent") if maps else None)
    agents = {} if agent is None else {"": agent}
    if options.against is not None:
        if agent is None:
            raise PolicyscopeError(f"--against needs the agent that played, too: {told}")
        agents["b"] = _other(options, agent)
        check_agents(agent, agents["b"])
    if told:
        note(told)
    place = bound(options.port)
    server = Server(RunSession(folder, episode, maps, agents, told), place)
    if _serve(server, options) == SIGTERM:
        raise Told(TERMINATED)


def _view_agent(options: View) -> None:
    from policyscope.agents.comparing import check_agents
    from policyscope.saliency.explain import check_request
    from policyscope.saliency.request import make_request
    from policyscope.viewer.live import Live
    from policyscope.viewer.livesession import LiveSession
    from policyscope.viewer.panels import key_of
    from policyscope.viewer.player import Player
    from policyscope.viewer.serve import Server, bound

    wishes = options.live
    if wishes.steps < 0 or wishes.rate < 0:
        raise PolicyscopeError(f"--steps and --rate are 0 or more, not {wishes.steps} and {wishes.rate:g}")
    agent = options.agent.load()
    words = wishes.words()
    check_request(agent, **words)
    others = {} if options.against is None else {"b": _other(options, agent)}
    for other in others.values():
        check_agents(agent, other)
    out, place = wishes.folder(options.agent.agent), bound(options.port)
    with recorded(out, options, agent.protocol):
        player = Player(agent, out, wishes.seed)
        live = Live(player, others, (), wishes.rate, wishes.steps)
        try:
            request = make_request(agent, player.track.episode(), live.computing.layers(), **words)
            live.show([key_of(panel) for panel in request.panels])
            live.start()
            ended = _serve(Server(LiveSession(live), place), options)
        finally:
            live.stop()
        if ended == SIGTERM:
            note(f"stopped; {out} is a valid run with {counted(progress_of(out)['played'], 'step')} played")
            raise Told(TERMINATED)
        _explain(live, out)


def _explain(live: Live, out: Path) -> None:
    """Explains every step of the game for the panels that were shown last, as ``explain`` would have."""
    from policyscope.episodes.episode import Episode
    from policyscope.saliency.explain import explain_request

    episode, request = Episode.open(out), live.request()
    try:
        if request is not None:
            with bar("explaining", len(episode)) as advance:
                explain_request(
                    live.player.agent,
                    episode,
                    request,
                    out,
                    progress=lambda done, total: advance(done, total, "explaining"),
                )
    except KeyboardInterrupt:
        done = counted(progress_of(out).get("explained", 0), "step")
        note(f"stopped; {out} is a valid run of {counted(len(episode), 'step')}, with maps of the first {done}")
        raise Told(INTERRUPTED) from None
    explained = "" if request is None else f" and explained by {counted(len(request.panels), 'panel')}"
    print(f"{counted(len(episode), 'step')} played{explained}, {returns_of(episode)}")
    print(f"look again with: policyscope view {out}")


def _serve(server: Server, options: View) -> int | None:
    from policyscope.viewer.serve import serve

    def started(link: str) -> None:
        print(f"open {link}", flush=True)
        note("the link works once, on this machine; Ctrl-C ends the viewer")
        if options.open and _has_windows():
            # Some browsers keep who opens them waiting.
            threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()

    return serve(server, started)


def _has_windows() -> bool:
    """Whether a browser would have windows: one that takes over the terminal is of no use."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))


def _player_of(folder: Path, episode: Episode, given: AgentOptions, explained: str | None) -> tuple[Agent | None, str]:
    """The agent that played a run, or why it cannot be had."""
    from policyscope.storage import read_json

    known: Mapping[str, Any] = {}
    if (folder / "run.json").exists():
        record = read_json(folder / "run.json")
        known = record.get("options", {}).get("agent", {}) if isinstance(record, dict) else {}
    met = episode.meta.get("agent") or {}
    source = known.get("agent") or met.get("source")
    if not source:
        return None, "the run does not tell which agent it is of: what is not stored cannot be computed"
    try:
        said = {name: value for name, value in asdict(given).items() if value is not None}
        # A run may come from anywhere: what it names is read, but no code is imported at its word.
        code = [f"--{name} {known[name]}" for name in _CODE if ":" in str(known.get(name) or "") and name not in said]
        if code:
            return None, f"the run was made with code of your own: to have maps computed, add {' '.join(code)}"
        agent = AgentOptions(**{**known, **said, "agent": str(source), "policy": None}).load()
    except Exception as error:  # whatever a user's own network raises must not keep the run from being seen
        why = " ".join(str(error).split()) or type(error).__name__
        return None, f"the agent cannot be loaded, so what is not stored cannot be computed: {why}"
    known_by = {name for name in (met.get("fingerprint"), explained) if name}
    if known_by and agent.fingerprint not in known_by:
        return None, (
            f"the weights of {source} are not those that played, so what is not stored cannot be computed: "
            f"{agent.fingerprint}, not {' or '.join(sorted(known_by))}"
        )
    return replace(agent, protocol=episode.protocol), ""


def _other(options: View, first: Agent) -> Agent:
    """The agent that is compared: on the same game, unless its file says otherwise."""
    given, protocol = options.agent, first.protocol
    wishes = replace(given, agent=str(options.against), game=given.game or protocol.game, policy=None)
    return replace(wishes, env=given.env or protocol.env).load()
