"""What a person sees while a command works: progress and remarks on stderr, results on stdout."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from rich import progress
from rich.console import Console

if TYPE_CHECKING:
    from policyscope.episodes.episode import Episode

PROGRAM = "policyscope"
console = Console(stderr=True)
_words: ContextVar[tuple[str, ...]] = ContextVar("words", default=())


@contextmanager
def command_line(words: Sequence[str]) -> Iterator[None]:
    """Remembers the words of the command that is run."""
    token = _words.set(tuple(words))
    try:
        yield
    finally:
        _words.reset(token)


def command() -> str:
    """The command line that makes the same run again."""
    return shlex.join([PROGRAM, *(word for word in _words.get() if word not in ("--resume", "--debug"))])


def note(text: str) -> None:
    """Something that the reader of the result should know."""
    console.print(f"note: {text}", highlight=False, markup=False, soft_wrap=True)


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
            if what != shown.tasks[0].description:  # another job, whose speed has nothing to do with the last one's
                shown.reset(task, description=what)
            speed = shown.tasks[0].speed
            shown.update(task, completed=done, total=whole, description=what, rate=f"{speed:.0f}/s" if speed else "")

        yield advance


def counted(count: int, what: str) -> str:
    """A number of things in words."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def returns_of(episode: Episode, most: int = 12) -> str:
    """The returns of an episode's games in words, and what the unfinished one has so far."""
    finished = list(episode.returns())
    listed = " ".join([*(f"{value:g}" for value in finished[:most]), *(["…"] if len(finished) > most else [])])
    parts = [f"return{'s' if len(finished) > 1 else ''} {listed}"] if finished else []
    if len(episode) and not episode.game_over[-1]:
        parts.append(f"{float(episode.rewards.sum()) - sum(finished):g} so far in the unfinished game")
    return ", ".join(parts) or "no game finished"


def results() -> Console:
    """A console on stdout; where it is no terminal, lines are as long as they need to be."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=200)
