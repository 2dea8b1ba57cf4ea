"""From maps to pictures: overlays, films, contact sheets and a run's index page."""

from policyscope.rendering.index import write_index
from policyscope.rendering.look import Look
from policyscope.rendering.normalise import Normalised, normalise
from policyscope.rendering.overlay import overlay
from policyscope.rendering.palettes import PALETTES, Palette
from policyscope.rendering.render import render_run
from policyscope.rendering.sheet import write_sheet
from policyscope.rendering.video import write_gif, write_mp4

__all__ = [
    "PALETTES",
    "Look",
    "Normalised",
    "Palette",
    "normalise",
    "overlay",
    "render_run",
    "write_gif",
    "write_index",
    "write_mp4",
    "write_sheet",
]
