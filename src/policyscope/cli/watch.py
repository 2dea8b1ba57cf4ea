"""``policyscope watch``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from policyscope.cli.failures import Told
from policyscope.cli.options import Flag, shown
from policyscope.cli.terminal import for_a_reader, results

if TYPE_CHECKING:
    from policyscope.training.watch.following import Followed

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 32
_COLOURS = {"grave": "bold red", "warning": "yellow", "note": "dim"}
_SHOWN = {
    "watch/epsilon": "random actions",
    "watch/entropy": "policy's entropy",
    "watch/q": "greatest Q",
    "watch/change": "change of weights, an update",
    "watch/loss": "loss",
}


@dataclass
class Watch:
    """Follow a training: what was found to be wrong, its return, and when it began to recognise what moves.

    RUN is the --out of policyscope train, or the log= folder of a Watcher in your own loop or of WatchCallback. One
    that nobody watched is examined by its checkpoints. Exit status 1 if something grave was found.
    """

    run: Annotated[tyro.conf.Positional[Path], shown("RUN")]
    """The folder that a training writes to."""
    once: Flag = False
    """Show how it is now, and end."""
    every: Annotated[float, shown("SECONDS")] = 5.0
    """How often the folder is read."""
    patience: Annotated[float, shown("SECONDS")] = 1800.0
    """End when nothing was written for so long; a training that has done all its steps ends it at once."""
    debug: Flag = False
    """Show the traceback of an error."""

    @property
    def folder(self) -> Path:
        """What a message about an interruption is to name."""
        return self.run


def watch_command(options: Watch) -> None:
    """Shows a training until it is done.

    Raises:
        Told: Something grave was found.
    """
    from policyscope.training.watch.following import follow

    console = results()
    state = follow(options.run)
    if not options.once and not state.done and console.is_terminal:
        state = _live(options, console, state)
    elif not options.once and not state.done:
        state = _lines(options, console, state)
    found = _found(state)
    with for_a_reader():  # who leaves early still gets the status
        console.print(_page(state, found))
    if any(one.get("severity") == "grave" for one in found):
        raise Told(1)


def _live(options: Watch, console: Console, state: Followed) -> Followed:
    from policyscope.training.watch.following import follow

    try:
        with Live(_page(state, state.findings), console=console, transient=True, auto_refresh=False) as live:
            while not _ended(options, state):
                time.sleep(options.every)
                state = follow(options.run)
                live.update(_page(state, state.findings), refresh=True)
    except KeyboardInterrupt:  # the usual way to stop looking; the training goes on
        pass
    return state


def _lines(options: Watch, console: Console, state: Followed) -> Followed:
    """Where no page can be drawn: a line for each new finding."""
    from policyscope.training.watch.following import follow

    known: set[tuple[str, str]] = set()
    try:
        while True:
            for one in state.findings:
                key = (str(one.get("rule")), str(one.get("where")))
                if key not in known and one.get("severity") != "note":
                    console.print(_line(one), soft_wrap=True)
                known.add(key)
            if _ended(options, state):
                return state
            time.sleep(options.every)
            state = follow(options.run)
    except KeyboardInterrupt:
        return state


def _ended(options: Watch, state: Followed) -> bool:
    return state.done or time.time() - state.changed > options.patience


def _found(state: Followed) -> Sequence[Mapping[str, Any]]:
    """What the watcher has found; of a training without one, what its checkpoints show."""
    from policyscope.training.watch.afterwards import afterwards

    return state.findings if state.watched else [one.to_dict() for one in afterwards(state.folder)]


def _page(state: Followed, found: Sequence[Mapping[str, Any]]) -> RenderableType:
    parts: list[RenderableType] = [_heading(state), _curves(state)]
    parts += [_line(one) for one in found] or [
        Text("nothing was found to be wrong" + ("" if state.watched else " with the checkpoints; nobody watched"))
    ]
    return Group(*parts)


def _heading(state: Followed) -> Text:
    of = f" of {state.steps:,}" if state.steps else ""
    name = f"{state.folder}" + (f" ({state.about})" if state.about else "")
    return Text(f"{name}: step {state.step:,}{of}", style="bold")


def _curves(state: Followed) -> Table:
    table = Table.grid(padding=(0, 2))
    rows: dict[str, tuple[list[tuple[float, float]], str]] = {"return": (state.returns, "")}
    rows |= {words: (list(state.watched.get(name, [])), "") for name, words in _SHOWN.items()}
    for name, points in state.recognition.items():
        risen = state.risen(name)
        about = "" if risen is None else f"beyond untrained from step {risen:,.0f}"
        rows[name.replace("saliency/", "").replace("recognition/", "recognition, ")] = (points, about)
    for words, (points, about) in rows.items():
        if points:
            values = [value for _, value in points]
            table.add_row(words, sparkline(values), f"{values[0]:.4g} to {values[-1]:.4g}", about)
    return table


def _line(one: Mapping[str, Any]) -> Text:
    severity = str(one.get("severity", "note"))
    steps = f"step {one['first']:,}" if isinstance(one.get("first"), int) else ""
    text = Text()
    text.append(f"{severity:8}", style=_COLOURS.get(severity, ""))
    text.append(f" {one.get('rule')}", style="bold")
    text.append(f" ({', '.join(filter(None, [str(one.get('where', '')), str(one.get('sure', '')), steps]))})\n")
    text.append(f"         {one.get('evidence')}\n         try: {one.get('advice')}")
    return text


def sparkline(values: Iterable[float], width: int = _WIDTH) -> str:
    """A curve in one line of letters: means of equal stretches, from the least to the greatest.

    Args:
        values: At least one.
        width: In letters, at most.
    """
    every = list(values)
    size = max(len(every) / width, 1.0)
    groups = [every[int(i * size) : max(int((i + 1) * size), int(i * size) + 1)] for i in range(int(len(every) / size))]
    means = [sum(group) / len(group) for group in groups]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join(_BARS[round((value - low) / span * (len(_BARS) - 1))] for value in means)
