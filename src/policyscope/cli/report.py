"""``policyscope report``."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from policyscope.cli.options import Flag, shown
from policyscope.cli.record import recorded_elsewhere
from policyscope.cli.terminal import bar, note
from policyscope.errors import RunError


@dataclass
class Report:
    """Put a run into one HTML file that can be scrubbed, compared and sent to somebody."""

    folder: Annotated[tyro.conf.Positional[Path], shown("RUN")]
    """The run folder, as policyscope explain wrote it."""
    out: Annotated[Path | None, shown("FILE.html", "RUN/report.html")] = None
    """The file."""
    megabytes: Annotated[float, shown("N")] = 15.0
    """Its largest size; what does not fit is left out, farthest from the moments first, and the page says so."""
    open: Flag = False
    """Open it in the browser."""
    debug: Flag = False
    """Show the traceback of an error."""


def report_command(options: Report) -> None:
    """Writes the report of a run."""
    from policyscope.episodes.episode import Episode
    from policyscope.rendering.sources import explained
    from policyscope.saliency.maps import Maps
    from policyscope.viewer.document import Document
    from policyscope.viewer.extras import extras_of
    from policyscope.viewer.report import write_report

    run = options.folder
    if not run.is_dir():
        raise RunError(f"no folder {run}; name the one that policyscope explain wrote")
    if options.megabytes <= 0:
        raise RunError(f"--megabytes is above 0, not {options.megabytes:g}")
    episode = recorded_elsewhere(run) or Episode.open(run)
    maps = Maps(run, episode)
    if len(explained(episode, maps)) < len(episode):
        note(
            f"the maps cover the first {len(maps)} of {len(episode)} steps: continue with policyscope explain --resume"
        )
        episode = explained(episode, maps)
    out = options.out or run / "report.html"
    document = Document(episode, maps, extras=extras_of(run))
    with bar("writing", len(episode)) as advance:
        contents = write_report(out, document, options.megabytes, advance)
    if contents.told:
        note(contents.told)
    print(f"open {out.resolve()} ({out.stat().st_size / 1e6:.1f} MB)")
    if options.open:
        webbrowser.open(out.resolve().as_uri())
