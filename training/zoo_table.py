"""Writes the zoo's agents into docs/zoo.md, as their cards have them.

python training/zoo_table.py
"""

from __future__ import annotations

from pathlib import Path

import policyscope as ps
from policyscope.agents.zoo import Card
from policyscope.storage import replacing

PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"
BEGIN, END = "<!-- training/zoo_table.py -->\n", "<!-- to here -->\n"
HEAD = (
    "| agent and its learning curve | network | steps | learnt | own protocol | `paper` | `modern` |",
    "| --- | --- | ---: | --- | ---: | ---: | ---: |",
)


def row(card: Card) -> str:
    """A line of the table."""
    learnt = "from a teacher" if card.recipe == "distil" else "by itself"
    cells = [
        f"[{card.name}](images/zoo/{card.name}.png)",
        f"`{card.architecture}`",
        f"{card.steps:,}",
        learnt,
        f"**{card.own.mean:,.1f}** [{card.own.interval[0]:,.1f}, {card.own.interval[1]:,.1f}]",
        *(f"{card.returns[name].mean:,.1f}" for name in ("paper", "modern")),
    ]
    return f"| {' | '.join(cells)} |"


def table() -> str:
    """All agents of the zoo in Markdown."""
    return "\n".join([*HEAD, *(row(ps.zoo.card(name)) for name in ps.zoo.names())]) + "\n"


def written(page: str) -> str:
    """The page with the table as it is now between its marks."""
    before, rest = page.split(BEGIN)
    return before + BEGIN + table() + END + rest.split(END)[1]


def write(file: Path) -> None:
    """Brings the table of a page up to date."""
    text = written(file.read_text())
    with replacing(file) as part:
        part.write_text(text)


if __name__ == "__main__":
    write(PAGE)
