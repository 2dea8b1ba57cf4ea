"""``policyscope zoo show``."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import tyro
from rich.table import Table
from rich.text import Text

from policyscope.cli.options import Flag, shown
from policyscope.cli.plot import plotted
from policyscope.cli.terminal import results
from policyscope.cli.zoo.list import told, with_interval

if TYPE_CHECKING:
    from policyscope.agents.zoo import Card


@dataclass
class Show:
    """Show an agent's card, with its learning curve and the command that explains it."""

    name: Annotated[tyro.conf.Positional[str], shown("NAME")]
    """As the list has it, with or without zoo: before it."""
    json: Flag = False
    """Print the card as JSON."""
    debug: Flag = False
    """Show the traceback of an error."""


def show_command(options: Show) -> None:
    """Shows a card."""
    from policyscope.agents import zoo

    card = zoo.card(options.name.removeprefix("zoo:"))
    if options.json:
        print(json.dumps(told(card), indent=1))
        return
    out = results()
    out.print(f"[bold]zoo:{card.name}[/]  {card.summary}\n")
    facts = _table(2)
    for what, text in _facts(card).items():
        facts.add_row(what, Text(text))
    out.print(facts)
    out.print("\n[bold]mean return \\[95 % interval][/]")
    returns = _table(4)
    for name, measured in card.returns.items():
        games = f"{len(measured.returns)} games, {measured.policy}"
        returns.add_row(name, Text(with_interval(measured)), games, measured.protocol)
    out.print(returns)
    out.print("\n[bold]learning curve[/] (return over steps)")
    unicode = (out.encoding or "").startswith("utf")
    for line in plotted(*_curve(card.name), width=min(64, max(20, out.width - 12)), unicode=unicode):
        out.print(line, markup=False, no_wrap=True)
    out.print(f"\npolicyscope explain zoo:{card.name} --out runs/{card.name}", markup=False)


def _table(columns: int) -> Table:
    """A table without lines or titles, whose last column folds."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for column in range(columns):
        table.add_column(style="" if column else "dim", no_wrap=column < columns - 1, overflow="fold")
    return table


def _facts(card: Card) -> dict[str, str]:
    """What a card says besides its numbers, in the order of reading."""
    from policyscope.agents import zoo

    where, path = zoo.place(card.name)
    options = "".join(f", {name}={value}" for name, value in card.options.items())
    hours = "" if card.seconds is None else f", {card.seconds / 3600:.1f} hours"
    kept = ""
    if card.weights.dtype != "float32" and card.weights.map_correlation:
        method, least = min(card.weights.map_correlation.items(), key=lambda item: item[1])
        kept = f"; maps keep a rank correlation of at least {least:.4f} ({method}) with those of the trained weights"
    return {
        "game": card.game,
        "network": f"{card.architecture}{options}",
        "trained": card.how,
        "steps": f"{card.steps:,} ({card.frames:,} frames)",
        "seeds": ", ".join(map(str, card.seeds)),
        "hardware": f"{card.hardware}{hours}",
        "recipe": " ".join([card.recipe, *(f"{name}={value}" for name, value in card.values.items())]),
        "command": card.command,
        "weights": f"{card.weights.dtype}, {card.weights.size / 1e6:.1f} MB{kept}",
        "file": f"{where}: {path}",
    }


def _curve(name: str) -> tuple[list[float], list[float]]:
    """Steps and returns of a learning curve; returns that were not known yet are NaN."""
    from policyscope.agents import zoo

    with zoo.curve(name).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(row["step"]) for row in rows], [float(row["return"] or "nan") for row in rows]
