"""What an agent earns with the salient part of what it sees hidden from it."""

from __future__ import annotations

from policyscope.evaluation.hidden_return import NONE, hidden_returns
from policyscope.evaluation.outcome import Key, Outcome
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table
from policyscope.storage import Array

LIMIT = 1_000
"""Actions after which a game ends."""
METHODS = ("guided_backprop", "grad_cam", "full_grad")
"""Those that are played with: two conditions each, which take as long as the games themselves, and longer."""


def hidden(subject: Subject) -> Outcome:
    """Returns with the most and the least salient twentieth of the picture hidden, beside chance and nothing."""
    if subject.agent.protocol.game is None:
        return Outcome(notes=["skipped: the agent is played by policyscope's emulator, and plays no game of it"])
    methods = tuple(name for name in METHODS if name in subject.methods)
    told: list[str] = []

    def watch(condition: str) -> None:
        told.append(condition)
        subject.progress(len(told), 2 + 2 * len(methods))

    seed = subject.seed + 1000
    found = hidden_returns(subject.agent, methods, games=subject.games, seed=seed, limit=LIMIT, watch=watch)
    values: dict[Key, Array] = {("return", name, ""): returns for name, returns in found.returns.items()}
    rows: list[list[Cell]] = []
    for name in found.returns:
        drop = None if name == NONE else str(found.drop(name))
        beside = None if name in (NONE, "random") else str(found.drop(name, "random"))
        rows.append([name, str(found.mean(name)), drop, beside])
    columns = ("hidden", "return", "less than with nothing hidden", "less than with as much hidden by chance")
    note = (
        f"The first {LIMIT:,} actions of {subject.games} games each, the same starts; {found.share:.0%} of the pixels "
        "of all frames are blurred."
    )
    return Outcome(values, [Table("returns with parts hidden", columns, rows, note)])
