"""The command line: it connects the rooms along the way of the data, and does nothing else."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from policyscope.cli.diagnose import Diagnose, diagnose_command
from policyscope.cli.evaluate import Evaluate, evaluate_command
from policyscope.cli.explain import Explain, explain_command
from policyscope.cli.export import Export, export_command
from policyscope.cli.failures import TERMINATED, Told, described
from policyscope.cli.play import Play, play_command
from policyscope.cli.render import Render, render_command
from policyscope.cli.report import Report, report_command
from policyscope.cli.terminal import PROGRAM, command_line, for_a_reader
from policyscope.cli.train import Train, train_command, train_type
from policyscope.cli.view import View, view_command
from policyscope.cli.watch import Watch, watch_command
from policyscope.cli.zoo import Zoo, zoo_command

COMMANDS: dict[str, tuple[type[Any], Callable[[Any], None]]] = {
    "diagnose": (Diagnose, diagnose_command),
    "evaluate": (Evaluate, evaluate_command),
    "explain": (Explain, explain_command),
    "export": (Export, export_command),
    "play": (Play, play_command),
    "render": (Render, render_command),
    "report": (Report, report_command),
    "train": (Train, train_command),
    "view": (View, view_command),
    "watch": (Watch, watch_command),
    "zoo": (Zoo, zoo_command),
}
"""Name -> its options, and what they are given to."""


def _types(words: Sequence[str]) -> dict[str, Any]:
    """What each command's options are made from; the trainers are imported for their own command alone."""
    types: dict[str, Any] = {name: made for name, (made, _) in COMMANDS.items()}
    if words[:1] == ["train"]:
        types["train"] = train_type(words[1:])
    return types


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; what goes wrong is one line, after its traceback if ``--debug`` asks for it.

    Args:
        arguments: The words after the program's name; by default those of this process.

    Raises:
        SystemExit: Status 2 for a user's mistake, 130 for Ctrl-C, 143 if asked to end, 1 for a mistake of our own.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    options: Any = None
    try:
        with command_line(words), for_a_reader():
            options = tyro.extras.subcommand_cli_from_dict(
                _types(words),
                prog=PROGRAM,
                description="What does my agent look at, and what is wrong with it?",
                args=words,
            )
            next(run for made, run in COMMANDS.values() if isinstance(options, made))(options)
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        # The parser's own way to end, and a command's that has said why.
        if isinstance(error, Told) or (isinstance(error, SystemExit) and error.code != TERMINATED):
            raise
        if "--debug" in words:
            traceback.print_exc()
        line, status = described(error, options)
        print(f"{PROGRAM}: {line}", file=sys.stderr)
        raise SystemExit(status) from None
