"""Early recognition, of an agent that is the end of a training whose checkpoints are there."""

from __future__ import annotations

from pathlib import Path

from policyscope.evaluation.early import checkpoints
from policyscope.evaluation.early import early as measured
from policyscope.evaluation.objects import GAMES
from policyscope.evaluation.outcome import Outcome
from policyscope.evaluation.subject import Subject
from policyscope.evaluation.table import Cell, Table


def early(subject: Subject) -> Outcome:
    """The step at which each method first shows each kind of object, and that of the reward's rise."""
    run = Path(subject.agent.source)
    run = run if run.is_dir() else run.parent
    if len(checkpoints(run)) < 2 or subject.agent.protocol.game not in GAMES:
        return Outcome(
            notes=["skipped: it needs the folder of a training with checkpoints, of a game whose objects are known"]
        )
    found = measured(
        run,
        subject.episode,
        subject.gradient_methods,
        stream=subject.streams[0] if subject.streams else None,
        seed=subject.seed,
        progress=subject.progress,
    )
    rows: list[list[Cell]] = []
    for method in found.methods:
        steps = [found.shown(method, kind) for kind in found.kinds]
        known = [step for step in steps if step is not None]
        sooner = None if found.reward is None or not known else found.reward / min(known)
        cells: list[Cell] = [None if step is None else f"{step:,.0f}" for step in steps]
        rows.append([method, *cells, None if sooner is None else f"{sooner:.2g}"])
    reward = "nowhere" if found.reward is None else f"at step {found.reward:,.0f}"
    note = (
        "The step from which on a method's gain is above that of networks with shuffled weights. The return has risen "
        f"{reward}; the last column is that step over the method's first."
    )
    columns = ("method", *found.kinds, "sooner than the reward")
    told = {name: getattr(found, name) for name in ("steps", "methods", "kinds", "gains", "limits", "curve", "reward")}
    return Outcome({}, [Table("early recognition", columns, rows, note)], told)
