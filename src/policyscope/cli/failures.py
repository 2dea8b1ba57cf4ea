"""What went wrong, in one line, and the exit status that says whose mistake it was."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path
from typing import Any

from policyscope.cli.record import progress_of
from policyscope.cli.terminal import counted
from policyscope.errors import PolicyscopeError

USERS_MISTAKE, OUR_MISTAKE, INTERRUPTED, TERMINATED = 2, 1, 130, 143
LONGEST = 400


class Told(SystemExit):
    """An end with a status, of which the command has said all there is to say."""


def described(error: BaseException, options: Any = None) -> tuple[str, int]:
    """One line for the user, and the exit status.

    Args:
        error: What a command raised.
        options: The command's options, as far as they were read.
    """
    if isinstance(error, KeyboardInterrupt | SystemExit):
        status = INTERRUPTED if isinstance(error, KeyboardInterrupt) else TERMINATED
        return _stopped(getattr(options, "folder", None)), status
    text = " ".join(str(error).split())
    if isinstance(error, PolicyscopeError):
        return text, USERS_MISTAKE
    text = f"{type(error).__name__}: {text[:LONGEST]}" if text else type(error).__name__
    theirs = _own_code(error)
    if theirs:
        return f"{theirs} raised {text} (--debug shows the traceback)", USERS_MISTAKE
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or text}; is it there, with space, and may you write there?", USERS_MISTAKE
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return f"out of memory: explain fewer states at once with a smaller --batch ({text})", USERS_MISTAKE
    return f"{text}; this is a mistake in policyscope: please report it with what --debug shows", OUR_MISTAKE


def _stopped(folder: Path | None) -> str:
    try:
        progress = {} if folder is None else progress_of(folder)
    except PolicyscopeError:
        progress = {}
    if not any(progress.values()):
        return "stopped before anything was recorded"
    steps = " and ".join(f"{counted(count, 'step')} {what}" for what, count in progress.items())
    return f"stopped; {folder} is a valid run with {steps}: go on with the same command and --resume"


def _own_code(error: BaseException) -> str | None:
    """The place in the user's own module that an error went through last; None where it met none."""
    installed = [Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    ours = Path(__file__).resolve().parent.parent
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_file() and not any(path.resolve().is_relative_to(folder) for folder in (ours, *installed)):
            return f"{path.name}:{frame.lineno}"
    return None
