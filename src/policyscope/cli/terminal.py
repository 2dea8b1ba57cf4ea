"""What a person sees while a command works: progress and remarks on stderr, results on stdout."""

from __future__ import annotations

import os
import shlex
import sys
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


@contextmanager
def for_a_reader() -> Iterator[None]:
    """What the block prints may find that whoever read stdout has seen enough: then it ends, which is no mistake."""
    try:
        yield
    except BrokenPipeError:
        _discard_stdout()
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _discard_stdout()


def _discard_stdout() -> None:
    # Python flushes stdout once more as it ends, into a pipe that is closed.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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


class _Results(Console):
    def on_broken_pipe(self) -> None:
        raise  # rich would end the process with status 1; for_a_reader says what it means


def results(width: int = 200) -> Console:
    """A console on stdout.

    Args:
        width: Of lines where it is no terminal.
    """
    made = _Results(highlight=False)
    return made if made.is_terminal else _Results(highlight=False, width=width)
