"""Maps in a notebook: a small report in the cell, which stays as it is when the notebook is exported."""

from __future__ import annotations

from html import escape

from policyscope.rendering.sources import explained
from policyscope.saliency.maps import Maps
from policyscope.viewer.document import Document
from policyscope.viewer.report import report_html

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
