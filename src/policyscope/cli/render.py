"""``policyscope render``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from policyscope.cli.options import Flag, shown
from policyscope.cli.record import recorded_elsewhere
from policyscope.cli.terminal import bar, note
from policyscope.errors import RunError
from policyscope.rendering.look import Look

if TYPE_CHECKING:
    from policyscope.episodes.episode import Episode
    from policyscope.saliency.maps import Maps


@dataclass
class Render:
    """Make the video, the pictures and the page of a run again, with another look."""

    folder: Annotated[tyro.conf.Positional[Path], shown("RUN")]
    """The run folder."""
    look: Look = field(default_factory=Look)
    """How maps are shown."""
    debug: Flag = False
    """Show the traceback of an error."""


def render_command(options: Render) -> None:
    """Renders a run again."""
    from policyscope.episodes.episode import Episode
    from policyscope.saliency.maps import Maps

    if not options.folder.is_dir():
        raise RunError(f"no folder {options.folder}; name the one that policyscope explain wrote")
    maps = Maps(options.folder)
    episode = recorded_elsewhere(options.folder) or Episode.open(options.folder)
    draw(options.folder, episode, maps, options.look)
    print(f"open {(options.folder / 'index.html').resolve()}")


def draw(folder: Path, episode: Episode, maps: Maps, look: Look) -> None:
    """Writes the pictures of a run, with a progress bar."""
    from policyscope.rendering.render import render_run

    notes: list[str] = []
    with bar("drawing", len(episode)) as advance:

        def told(done: int, total: int, text: str) -> None:
            if text.startswith("drawing "):
                advance(done, total, text)
            else:
                notes.append(text)

        render_run(folder, episode, maps, look=look, progress=told)
    for text in notes:
        note(text)
