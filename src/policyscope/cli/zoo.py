"""``policyscope zoo``."""

from __future__ import annotations

from dataclasses import dataclass

from policyscope.cli.options import Flag


@dataclass
class Zoo:
    """List the agents that come with policyscope."""

    debug: Flag = False
    """Show the traceback of an error."""


def zoo_command(_: Zoo) -> None:
    """Lists the shipped agents, one a line."""
    from policyscope.agents import zoo

    names = zoo.names()
    for name in names:
        print(f"zoo:{name:24} {zoo.card(name).get('summary', '')}".rstrip())
    if not names:
        print("no agent comes with this policyscope")
