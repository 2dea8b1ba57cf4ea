"""``run.json``: how a run was made, so that it can be made again, and how far it came."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policyscope.agents.protocol import Protocol
from policyscope.cli.terminal import command
from policyscope.storage import disk_errors, read_count, read_json, write_json

if TYPE_CHECKING:
    from policyscope.cli.diagnose import Diagnose
    from policyscope.cli.explain import Explain
    from policyscope.cli.play import Play
    from policyscope.cli.view import View
    from policyscope.episodes.episode import Episode


@contextmanager
def recorded(folder: Path, options: Diagnose | Explain | Play | View, protocol: Protocol) -> Iterator[None]:
    """Writes ``run.json`` into a run folder when the block ends well or is interrupted; an error leaves it alone."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if progress_of(folder):
            _write(folder, options, protocol)
        raise
    _write(folder, options, protocol)


def _write(folder: Path, options: Diagnose | Explain | Play | View, protocol: Protocol) -> None:
    told = asdict(options)
    observations = told.get("explain", {}).get("observations")
    record = {
        "command": command(),
        "options": _plain(told),
        "observations": observations and {"file": str(observations.resolve()), "protocol": protocol.to_dict()},
        "versions": {"python": platform.python_version(), **{name: version(name) for name in ("policyscope", "torch")}},
        "state": progress_of(folder),
    }
    with disk_errors(folder):
        write_json(folder / "run.json", record)


def progress_of(folder: Path) -> dict[str, int]:
    """How many steps of a run are recorded and explained."""
    return {
        what: read_count(folder / part)
        for what, part in (("played", "episode.zarr"), ("explained", "maps.zarr"))
        if (folder / part / "count.json").exists()
    }


def recorded_elsewhere(folder: Path) -> Episode | None:
    """The episode of a run that explains somebody's observations, which stay where they are; else None."""
    from policyscope.episodes.episode import Episode

    if (folder / "episode.zarr").exists() or not (folder / "run.json").exists():
        return None
    record = read_json(folder / "run.json")
    observations = record.get("observations") if isinstance(record, dict) else None
    if not observations:
        return None
    return Episode.from_npz(observations["file"], protocol=Protocol.from_dict(observations["protocol"]))


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if key not in ("resume", "debug")}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value
