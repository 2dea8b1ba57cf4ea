"""All pictures of a run in one call."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from policyscope.episodes.episode import Episode
from policyscope.errors import MissingExtraError, PolicyscopeError, RunError
from policyscope.rendering.board import Board
from policyscope.rendering.index import write_index
from policyscope.rendering.look import Look
from policyscope.rendering.moments import Moment
from policyscope.rendering.sheet import write_sheet
from policyscope.rendering.sources import explained
from policyscope.rendering.video import Progress, write_gif, write_mp4
from policyscope.saliency.maps import Maps


def render_run(
    run_folder: str | Path,
    episode: Episode,
    maps: Maps,
    *,
    look: Look | None = None,
    progress: Progress | None = None,
    command: str | None = None,
    **options: Any,
) -> list[Path]:
    """Writes the video, the GIF, the contact sheet and the index page of a run.

    Where PyAV is missing, the GIF is made in the video's place, and the page and ``progress`` say so.

    Args:
        run_folder: Where they go.
        episode: What was played.
        maps: What was explained.
        look: How it is shown.
        progress: Called with (done, total, text).
        command: The command line, for the page to tell.
        **options: Fields of ``Look`` that differ from ``look``'s.

    Returns:
        The files written, the page last.

    Raises:
        RunError: There is nothing to show.
        PolicyscopeError: An option does not exist.
    """
    unknown = sorted(set(options) - set(Look.__dataclass_fields__))
    if unknown:
        raise PolicyscopeError(f"no option '{unknown[0]}'; there are {', '.join(Look.__dataclass_fields__)}")
    look = replace(look or Look(), **options)
    folder = Path(run_folder)
    whole, episode = len(episode), explained(episode, maps)
    if not len(episode):
        raise RunError(f"{folder} has no explained steps to show; play and explain some first")
    folder.mkdir(parents=True, exist_ok=True)

    written: list[Path] = []
    notes: list[str] = []
    if len(episode) < whole:
        notes.append(f"The maps cover the first {len(episode)} of {whole} steps; the rest was not explained.")
    moments: list[Moment] = []
    gif, every = look.gif, 1
    board = Board(episode, maps, look) if look.video or look.gif else None
    if board and look.video:
        try:
            write_mp4(folder / "video.mp4", board, look.fps, progress)
            written.append(folder / "video.mp4")
        except MissingExtraError as error:
            gif = True
            notes.append(f"{error}. The GIF takes its place.")
            if progress:
                progress(0, len(episode), notes[-1])
    if board and gif:
        frames, every = write_gif(folder / "video.gif", board, look.fps, look.gif_frames, progress)
        written.append(folder / "video.gif")
        if every > 1 and progress:
            progress(frames, frames, f"video.gif shows one step in {every}")
    if look.sheet:
        moments = write_sheet(folder / "sheet.png", episode, maps, look)
        written.append(folder / "sheet.png")
    made = [path.name for path in written]
    page = write_index(
        folder, episode, maps, look, made=made, moments=moments, gif_every=every, notes=notes, command=command
    )
    return [*written, page]
