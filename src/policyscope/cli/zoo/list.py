"""``policyscope zoo list``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table

from policyscope.cli.options import Flag
from policyscope.cli.terminal import results

if TYPE_CHECKING:
    from policyscope.agents.zoo import Card, Measured


@dataclass
class List:
    """List the agents: name, game, network, how long they learned, how they play, where they are."""

    json: Flag = False
    """Print whole cards as JSON, with where each agent's file is."""
    debug: Flag = False
    """Show the traceback of an error."""


def list_command(options: List) -> None:
    """Lists the agents, one a line."""
    from policyscope.agents import zoo

    cards = [zoo.card(name) for name in zoo.names()]
    if options.json:
        print(json.dumps([told(card) for card in cards], indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("agent", "game", "network"):
        table.add_column(title, no_wrap=True)
    for title in ("steps", "mean return", "MB"):
        table.add_column(title, no_wrap=True, justify="right")
    table.add_column("file", no_wrap=True)
    for card in cards:
        table.add_row(
            f"zoo:{card.name}",
            card.game,
            card.architecture,
            f"{card.steps:,}",
            with_interval(card.own),
            f"{card.weights.size / 1e6:.1f}",
            zoo.place(card.name)[0],
        )
    results().print(table if cards else "the zoo is empty")


def told(card: Card) -> dict[str, object]:
    """A card as JSON has it, with the place of its file."""
    from policyscope.agents import zoo

    where, path = zoo.place(card.name)
    return {**card.to_dict(), "where": where, "path": str(path)}


def with_interval(measured: Measured) -> str:
    """A mean with its interval, to three digits or to whole points."""
    low, high = measured.interval
    return f"{rounded(measured.mean)} [{rounded(low)}, {rounded(high)}]"


def rounded(value: float) -> str:
    """A return for people."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}"
