"""Maps in a notebook: a small report in the cell, which stays alive in an exported notebook, or a widget."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any

from policyscope.agents.agent import Agent
from policyscope.errors import MissingExtraError, PolicyscopeError
from policyscope.rendering.sources import explained
from policyscope.saliency.maps import Maps
from policyscope.viewer.computing import Computing
from policyscope.viewer.document import Document
from policyscope.viewer.page import script, style
from policyscope.viewer.report import report_html
from policyscope.viewer.session import asked, names_of

MEGABYTES = 4.0
"""Of a cell's output: a notebook holds every output it shows."""

HEIGHT = 780
"""Of the cell, in pixels."""


def cell(maps: Maps, megabytes: float = MEGABYTES, height: int = HEIGHT) -> str:
    """A run as HTML for a notebook's cell, in a frame of its own that reaches nothing outside.

    Args:
        maps: What was explained.
        megabytes: Largest size; steps beyond it are left out, and the page says so.
        height: In pixels.
    """
    document = Document(explained(maps.episode, maps), maps)
    text, _ = report_html(document, megabytes, address=False)
    return (
        f'<iframe sandbox="allow-scripts allow-downloads" title="policyscope" width="100%" height="{height}" '
        f'style="border:0;border-radius:8px" srcdoc="{escape(text)}"></iframe>'
    )


def view(maps: Maps, agent: Agent | None = None, against: Agent | None = None, height: int = HEIGHT) -> Any:
    """A widget that shows a run in a notebook and asks the kernel for what it needs.

    Args:
        maps: What was explained; none of its rows is copied into the notebook.
        agent: Who played: with it, maps that were not stored are made when they are asked for, and questions answered.
        against: Another agent, which explains the same episode beside the first.
        height: In pixels.

    Returns:
        An ``anywidget``. An exported notebook cannot ask a kernel: there, show the maps themselves.

    Raises:
        MissingExtraError: anywidget is not installed.
        ProtocolError: An agent cannot explain this episode.
    """
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise MissingExtraError("anywidget", "notebook", "a widget") from error
    answers = Answers(maps, agent, against)

    class Widget(anywidget.AnyWidget):
        _esm = script()
        _style = traitlets.Unicode(style()).tag(sync=True)
        _height = traitlets.Int(height).tag(sync=True)

    widget = Widget()

    def told(_: Any, message: Any, __: Any) -> None:
        reply, buffers = answers.to(message)
        widget.send(reply, buffers)

    widget.on_msg(told)
    return widget


class Answers:
    """What the kernel says to a widget."""

    def __init__(self, maps: Maps, agent: Agent | None = None, against: Agent | None = None) -> None:
        episode = explained(maps.episode, maps)
        agents = {key: given for key, given in (("", agent), ("b", against)) if given is not None}
        if against is not None and agent is None:
            raise PolicyscopeError("against= compares with the agent that played: give agent= as well")
        self._computing = Computing(agents, episode) if agents else None
        compute = partial(self._computing.maps, episode) if self._computing else None
        layers = self._computing.layers() if self._computing else None
        self.document = Document(episode, maps, compute, names_of(agents), layers)

    def to(self, message: Any) -> tuple[dict[str, Any], list[bytes]]:
        """The reply to a message (``id``, and ``key`` or ``question``), and the bytes that go with it."""
        message = message if isinstance(message, Mapping) else {}
        number, key = message.get("id"), str(message.get("key", ""))
        try:
            if "question" in message:
                return {"id": number, "answer": asked(message["question"], self.document, self._computing)}, []
            if key == "manifest":
                return {"id": number, "answer": self.document.manifest()}, []
            if key.startswith("stats/"):
                return {"id": number, "answer": self.document.statistics(key.removeprefix("stats/"))}, []
            return {"id": number}, [self.document.bundle(key)]
        except PolicyscopeError as error:
            return {"id": number, "error": str(error)}, []
