"""``policyscope zoo``: what there is, what is known about it, and whether that is true."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from policyscope.cli.options import Flag
from policyscope.cli.zoo.check import Check, check_command
from policyscope.cli.zoo.list import List, list_command
from policyscope.cli.zoo.show import Show, show_command

What = (
    Annotated[List, tyro.conf.subcommand("list", prefix_name=False)]
    | Annotated[Show, tyro.conf.subcommand("show", prefix_name=False)]
    | Annotated[Check, tyro.conf.subcommand("check", prefix_name=False)]
)


@dataclass
class Zoo:
    """List the trained agents of the zoo, show what is known about one, or check that it is true."""

    what: tyro.conf.OmitArgPrefixes[What] = field(default_factory=List)
    debug: Flag = False
    """Show the traceback of an error."""


def zoo_command(options: Zoo) -> None:
    """Does what was asked; listing, if nothing was."""
    match options.what:
        case List():
            list_command(options.what)
        case Show():
            show_command(options.what)
        case Check():
            check_command(options.what)
