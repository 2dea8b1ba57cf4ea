"""What the server serves: a run that is finished, or one that is being played."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from policyscope.agents.agent import Agent
from policyscope.episodes.episode import Episode
from policyscope.errors import PolicyscopeError, RunError
from policyscope.saliency.maps import Maps, Panel
from policyscope.storage import Array
from policyscope.viewer.computing import Computing
from policyscope.viewer.document import WINDOW, Document
from policyscope.viewer.extras import NOTES, checked_notes, extras_of, read_notes, write_notes
from policyscope.viewer.judged import score_columns
from policyscope.viewer.panels import panel_of
from policyscope.viewer.questions import Edit, answer, inside, region_of, share_of

MOST_COMPUTED = 2048
"""Rows that a question may have explained before it is answered: a few seconds."""


class Session(Protocol):
    """What can be asked of a run, by any thread."""

    @property
    def title(self) -> str:
        """For the window."""

    @property
    def tag(self) -> str | None:
        """What its rows are known by while they do not change; None while they do."""

    def manifest(self) -> dict[str, Any]:
        """What the page must know first."""

    def bundle(self, key: str, track: int | None) -> bytes:
        """Rows, by their key."""

    def statistics(self, panel: str, track: int | None) -> dict[str, float]:
        """A panel's statistics over the episode."""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question."""

    def keep(self, notes: Any, before: Any) -> list[dict[str, Any]]:
        """Keeps notes; returns all that there are."""

    def end(self) -> None:
        """Lets nobody wait any longer."""


class RunSession:
    """A finished run.

    Attributes:
        title: For the window.
        tag: What its rows depend on.
    """

    def __init__(
        self, folder: Path, episode: Episode, maps: Maps | None, agents: Mapping[str, Agent], told: str
    ) -> None:
        """Opens a run for the page.

        Args:
            folder: The run folder.
            episode: What was played.
            maps: What was explained.
            agents: ``""`` who played and ``b`` whom it is compared with; empty where they cannot be had.
            told: What the page should say about that.
        """
        from policyscope import __version__

        if len(episode) == 0:
            raise RunError(f"{folder} holds no steps to look at")
        self._computing = Computing(agents, episode) if agents else None
        self._notes = Notes(folder)
        self._told = told
        compute = partial(self._computing.maps, episode) if self._computing else None
        layers = self._computing.layers() if self._computing else None
        scores = score_columns(folder, len(episode))
        self._document = Document(episode, maps, compute, names_of(agents), layers, extras_of(folder), scores)
        # Read once here: what is read lazily is not to be read by two threads at the same time.
        self._manifest = self._document.manifest()
        self.title = str(self._manifest["title"])
        stored = [] if maps is None else [str(maps.meta.get("fingerprint")), str(len(maps))]
        parts = [__version__, episode.fingerprint, *stored]
        # Whoever keeps rows by this name must not meet those of another version, or of other agents.
        self.tag: str | None = "-".join([*parts, *(agent.fingerprint.partition(":")[2] for agent in agents.values())])

    def manifest(self) -> dict[str, Any]:
        """What the page must know first."""
        return self._manifest | {"notes": self._notes.read(), "message": self._told or None}

    def bundle(self, key: str, track: int | None = None) -> bytes:
        """Rows, by their key."""
        return self._document.bundle(key)

    def statistics(self, panel: str, track: int | None = None) -> dict[str, float]:
        """A panel's statistics over the episode."""
        return self._document.statistics(panel)

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a question."""
        return asked(question, self._document, self._computing)

    def keep(self, notes: Any, before: Any = None) -> list[dict[str, Any]]:
        """Keeps notes; returns all that there are."""
        return self._notes.keep(notes, before)

    def end(self) -> None:
        """Lets nobody wait any longer."""
        if self._computing is not None:
            self._computing.end()


class Notes:
    """The notes on a run's steps, kept in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def read(self) -> list[dict[str, Any]]:
        """All notes, by step."""
        return read_notes(self._folder) if (self._folder / NOTES).exists() else []

    def keep(self, notes: Any, before: Any = None) -> list[dict[str, Any]]:
        """Replaces the notes that a page knows of by those that it has now.

        Args:
            notes: ``step`` and ``text`` of each.
            before: Those that the page knew of: what another page has added since then stays. By default, all.

        Raises:
            RunError: They are no notes.
        """
        with self._lock:
            if before is not None:
                known = [(note["step"], note["text"]) for note in _plain(before)]
                given = [(note["step"], note["text"]) for note in _plain(notes)]
                others = [note for note in self.read() if (note["step"], note["text"]) not in known]
                added = [note for note in others if (note["step"], note["text"]) not in given]
                notes = [*_plain(notes), *added]
            return write_notes(self._folder, notes)


def asked(
    question: Mapping[str, Any], document: Document, computing: Computing | None, name: str = ""
) -> dict[str, Any]:
    """Answers a question about a document.

    Args:
        question: Its ``kind`` is ``edit`` or ``inside``; see :mod:`~policyscope.viewer.questions`.
        document: Whose rows.
        computing: Runs the agents; None where they cannot be had.
        name: Of the episode, for maps that are kept.

    Raises:
        PolicyscopeError: It cannot be answered; the line says why.
    """
    kind, episode = question.get("kind"), document.episode
    if kind == "edit":
        if computing is None:
            raise RunError("what the network would say needs the agent, which is not here")
        agent = computing.agent(str(question.get("agent") or ""))
        edit = Edit.of(question, agent, episode)
        with computing.lock:
            return answer(agent, episode, edit)
    if kind == "inside":
        panel, agent_key = panel_of(str(question.get("panel")))
        stored = 0 if agent_key or document.maps is None or panel not in document.maps.panels else len(document.maps)
        read = _reader(document, computing, panel, agent_key, stored, name)
        count = len(episode) if computing is not None else stored
        searched = min(count, stored // WINDOW * WINDOW + MOST_COMPUTED) if stored < count else count
        if not searched:
            raise RunError(f"the run has no maps of {panel.label}")
        box = region_of(question.get("region"), document.inputs.size)
        found = inside(read, range(0, searched, WINDOW), document.inputs.size, box, share_of(question))
        return {"steps": found.steps, "shares": found.shares, "searched": searched, "of": len(episode)}
    raise PolicyscopeError(f"no question {kind!r}; there are: edit, inside")


def names_of(agents: Mapping[str, Agent]) -> dict[str, str]:
    """What the page calls the agents beside the one who played."""
    return {key: agent.source for key, agent in agents.items() if key}


def _reader(
    document: Document, computing: Computing | None, panel: Panel, agent: str, stored: int, name: str
) -> Callable[[int, int], Array]:
    def read(start: int, stop: int) -> Array:
        if document.maps is not None and stop <= stored:
            return np.asarray(document.maps[panel].stored[start:stop])
        assert computing is not None
        return computing.maps(document.episode, panel, agent, start, stop, name)

    return read


def _plain(notes: Any) -> list[dict[str, Any]]:
    return checked_notes(notes, "the notes")
