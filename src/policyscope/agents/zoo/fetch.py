"""Fetches the file of an agent, and keeps it only if it is the one that its card describes."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from rich import progress
from rich.console import Console

from policyscope.agents.zoo.cards import Card
from policyscope.errors import CheckpointError
from policyscope.storage import replacing

TIMEOUT = 30.0
"""Seconds without a byte after which a server is given up."""

PATIENCE = 2.0
"""Seconds before a progress bar appears."""

_CHUNK = 1 << 16


def fetch(card: Card, url: str, target: Path) -> None:
    """Streams a file from ``url`` to ``target``, which appears whole and as the card says, or not at all.

    Args:
        card: Of the agent.
        url: Where from.
        target: Where to; its folder is made.

    Raises:
        CheckpointError: The address cannot be reached, what it has is another file, or there is no place for it.
    """
    digest, size = hashlib.sha256(), 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as part, part.open("wb") as file, _Bar(card) as bar:
            for chunk in _chunks(card, url, target):
                size += len(chunk)
                if size > card.weights.size:
                    raise _another(card, url, f"more than {card.weights.size:,} bytes")
                digest.update(chunk)
                file.write(chunk)
                bar.update(size)
            if size < card.weights.size:
                raise _another(card, url, f"{size:,} bytes of {card.weights.size:,}")
            if digest.hexdigest() != card.weights.sha256:
                raise _another(card, url, f"sha256 {digest.hexdigest()}, not {card.weights.sha256}")
    except OSError as error:
        reason = error.strerror or error
        raise CheckpointError(
            f"zoo:{card.name} cannot be kept in {target.parent}: {reason}; POLICYSCOPE_CACHE names another folder"
        ) from error


def _chunks(card: Card, url: str, target: Path) -> Iterator[bytes]:
    """The bytes at an address; whatever the network does wrong is one line."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            while chunk := answer.read(_CHUNK):
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        status = f"{error.code} " if isinstance(error, urllib.error.HTTPError) else ""
        raise CheckpointError(
            f"zoo:{card.name} is not on this machine and {url} could not be fetched ({status}{reason}): go online, or "
            f"put the file at {target}, or let POLICYSCOPE_ZOO_URL name a folder or a mirror that has it"
        ) from error


def _another(card: Card, url: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{url} is not the file of zoo:{card.name} that its card describes ({what}) and was thrown away: try again, "
        "upgrade policyscope, or let POLICYSCOPE_ZOO_URL name a mirror"
    )


class _Bar:
    """A progress bar on stderr, for those who wait long enough to wonder."""

    def __init__(self, card: Card) -> None:
        console = Console(stderr=True)
        self._begun, self._shown = time.monotonic(), False
        self._bar = progress.Progress(
            progress.TextColumn(f"fetching zoo:{card.name}"),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=card.weights.size)

    def update(self, size: int) -> None:
        """After each chunk."""
        if not self._shown and time.monotonic() - self._begun > PATIENCE:
            self._bar.start()
            self._shown = True
        self._bar.update(self._task, completed=size)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._bar.stop()
