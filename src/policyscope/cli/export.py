"""``policyscope export``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from policyscope.cli.options import Flag, shown
from policyscope.cli.record import recorded_elsewhere
from policyscope.cli.terminal import bar
from policyscope.errors import PolicyscopeError, RunError


@dataclass
class Export:
    """Write a run in another program's format."""

    folder: Annotated[tyro.conf.Positional[Path], shown("RUN")]
    """The run folder, as policyscope explain wrote it."""
    rerun: Annotated[Path | None, shown("FILE.rrd", "needed")] = None
    """A recording for Rerun: screens, maps and numbers."""
    raw: Flag = False
    """With the maps' values too, as tensors: a large file."""
    debug: Flag = False
    """Show the traceback of an error."""


def export_command(options: Export) -> None:
    """Exports a run."""
    from policyscope.episodes.episode import Episode
    from policyscope.rendering.rerun import write_rerun
    from policyscope.rendering.sources import explained
    from policyscope.saliency.maps import Maps
    from policyscope.viewer.series import columns

    run, file = options.folder, options.rerun
    if not run.is_dir():
        raise RunError(f"no folder {run}; name the one that policyscope explain wrote")
    if file is None:
        raise PolicyscopeError("nothing to export to; name a file: --rerun FILE.rrd")
    if file.suffix != ".rrd":
        raise PolicyscopeError(f"Rerun's recordings end in .rrd: --rerun {file.with_suffix('.rrd')}")
    if not file.parent.is_dir():
        raise PolicyscopeError(f"there is no folder {file.parent}")
    episode = recorded_elsewhere(run) or Episode.open(run)
    maps = Maps(run, episode)
    episode = explained(episode, maps)
    series = {(column.group, column.name): column.values for column in columns(episode, maps)}
    with bar("writing", len(episode)) as advance:
        write_rerun(file, episode, maps, series, raw=options.raw, progress=advance)
    print(f"open it with: rerun {file} ({file.stat().st_size / 1e6:.1f} MB)")
