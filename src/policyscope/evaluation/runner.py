"""An evaluation: scores of each frame, then parts, each kept as soon as it is done; tables and figures of it all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError
from policyscope.evaluation.badges import Badge, badges_of, write_badges
from policyscope.evaluation.figures import draw_by_kind, draw_of_maps
from policyscope.evaluation.outcome import Outcome, load, save
from policyscope.evaluation.parts import PARTS
from policyscope.evaluation.scores import Scores, score_frames
from policyscope.evaluation.sources import DEFAULT
from policyscope.evaluation.subject import Progress, Subject
from policyscope.evaluation.summaries import Line, lines_of, long_table, overview, tables_of
from policyscope.evaluation.table import Table, write_tables

FRAMES = "frames"
NAMES = (FRAMES, *PARTS)
"""What can be asked for."""

Began = Callable[[str], Progress]
"""Told a part's name before it begins; what it returns is told how far it is."""


@dataclass(frozen=True)
class Evaluation:
    """What is known of an agent's maps.

    Attributes:
        name: Of the agent.
        out: Run folder.
        scores: Of each frame; None where they were not asked for.
        outcomes: Part -> what it found.
        lines: Means of the frames' scores.
        tables: For people, all of them.
    """

    name: str
    out: Path
    scores: Scores | None
    outcomes: Mapping[str, Outcome]
    lines: tuple[Line, ...]
    tables: tuple[Table, ...]

    @cached_property
    def badges(self) -> dict[str, list[Badge]]:
        """Method -> what may be trusted of it."""
        return badges_of(self.outcomes)

    @cached_property
    def overview(self) -> Table:
        """What each method finds, whether it is stable, faithful, and depends on the weights."""
        return overview(self.lines, self.badges)


def evaluate(
    agent: Agent,
    episode: Episode,
    methods: Iterable[str] = DEFAULT,
    *,
    out: str | Path,
    parts: Iterable[str] = NAMES,
    streams: Iterable[str] = (),
    action: str | int | None = None,
    lag: int = 0,
    seed: int = 0,
    sampled: int = 96,
    games: int = 8,
    shuffled: Agent | None = None,
    twin: Agent | None = None,
    name: str | None = None,
    began: Began | None = None,
) -> Evaluation:
    """Judges an agent's maps on an episode; called again, it goes on where it was stopped.

    Args:
        agent: Whose maps.
        episode: What it saw and did.
        methods: Names of ours, baselines (``edges``, ``frame_difference``, ``random``), ``captum:CLASS``; a convolution
            other than the first as ``grad_cam@3``.
        out: Run folder for ``scores.zarr``, ``evaluation/``, ``tables/`` and ``figures/``.
        parts: What is done: ``frames`` (recognition, stability, sharpness, inversion), and names of ``PARTS``.
        streams: That are explained; the acting one by default.
        action: Which action is explained: ``taken``, ``greedy``, ``contrast`` or an index.
        lag: The input frame that is explained, 0 the newest.
        seed: Of what is drawn by chance.
        sampled: States for laborious measures.
        games: That are played where the agent acts under another condition.
        shuffled: An agent trained by the same recipe from shuffled rewards, for the part ``shuffled-labels``.
        twin: One trained by it from another seed, for the same part.
        name: Of the agent, in tables.
        began: Told of each part.

    Raises:
        PolicyscopeError: A part or a method is not known, or the folder is another evaluation's.
    """
    wanted = tuple(dict.fromkeys(parts))
    unknown = [part for part in wanted if part not in NAMES]
    if unknown:
        raise PolicyscopeError(f"no part {unknown[0]!r}; there are: {', '.join(NAMES)}")
    folder = Path(out)
    told: dict[str, Any] = {"action": action, "lag": lag, "seed": seed, "sampled": sampled, "games": games}
    told |= {"shuffled": shuffled, "twin": twin}
    subject = Subject(agent, episode, folder, tuple(methods), tuple(streams), **told)
    scores = None
    if FRAMES in wanted:
        progress = began(FRAMES) if began is not None else None
        scores = score_frames(agent, episode, subject.sources, folder, progress=progress)
    outcomes: dict[str, Outcome] = {}
    for part in [part for part in PARTS if part in wanted]:
        found = load(folder, part, subject.fingerprint(part))
        if found is None:
            mine = subject if began is None else replace(subject, progress=began(part))
            found = PARTS[part](mine)
            save(folder, part, found, subject.fingerprint(part))
        outcomes[part] = found
    return _finished(name or agent.source, folder, scores, outcomes, subject.sources.streams[0], action)


def _finished(
    name: str,
    out: Path,
    scores: Scores | None,
    outcomes: Mapping[str, Outcome],
    stream: str,
    action: str | int | None,
) -> Evaluation:
    """Tables, figures and badges of what was found, written into the run."""
    lines = tuple(lines_of(name, [scores])) if scores is not None else ()
    tables = (*tables_of(lines), *(table for found in outcomes.values() for table in found.tables))
    made = Evaluation(name, out, scores, outcomes, lines, tables)
    first = [made.overview] if made.overview.rows else []
    write_tables(out, (*first, *tables, *([long_table(lines)] if lines else [])))
    for measure in ("gain", "precision", "seen") if find_spec("matplotlib") is not None else ():
        draw_by_kind(out, f"evaluation-{measure}", lines, measure, f"{measure} of {name}")
    sharp = ("entropy", "half_area", "blob_width", "flicker", "flash", "inverted")
    if find_spec("matplotlib") is not None:
        draw_of_maps(out, "evaluation-maps", lines, sharp, f"maps of {name}")
    if made.badges:
        write_badges(out, made.badges, stream, action)
    return made


def together(out: Path, evaluations: Sequence[Evaluation]) -> list[Table]:
    """Tables and figures over several runs: the episodes of an agent are strata of one mean.

    Args:
        out: Folder for ``tables/`` and ``figures/``.
        evaluations: Of one agent or several, with the same methods.
    """
    lines: list[Line] = []
    for name in dict.fromkeys(one.name for one in evaluations):
        runs = [one.scores for one in evaluations if one.name == name and one.scores is not None]
        lines += lines_of(name, runs) if runs else []
    tables = tables_of(lines)
    write_tables(out, (*tables, *([long_table(lines)] if lines else [])))
    return tables
