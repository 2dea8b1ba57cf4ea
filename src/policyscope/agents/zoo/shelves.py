"""Where the zoo's files are: in the package, in a checkout, in the cache, or at the release address."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from pathlib import Path
from typing import Literal

from policyscope.agents.zoo.cards import Card
from policyscope.agents.zoo.fetch import fetch
from policyscope.errors import CheckpointError

FOLDER = Path(__file__).resolve().parents[2] / "zoo"
"""All cards and learning curves, and the weights that come with the package."""

ADDRESS = "https://github.com/policyscope/policyscope/releases/download/zoo-1"
"""Where the other weights are fetched from, unless POLICYSCOPE_ZOO_URL names another place."""

Place = Literal["shipped", "here", "to be fetched"]


def names() -> tuple[str, ...]:
    """Names of the agents that have a card, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def card(name: str) -> Card:
    """What is known about an agent: how it was trained, how well it plays.

    Raises:
        CheckpointError: There is no such agent, or its card is damaged.
    """
    _check_name(name)
    file = FOLDER / f"{name}.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"the card {file} is damaged: {error}") from error
    read = Card.from_dict(values, str(file))
    if read.name != name:
        raise CheckpointError(f"the card {file} is wrong: name is {read.name!r}; it must be the file's")
    return read


def curve(name: str) -> Path:
    """The learning curve of an agent, a CSV file with the columns ``step`` and ``return`` among others.

    Raises:
        CheckpointError: There is no such agent, or its curve is missing.
    """
    file = FOLDER / Path(card(name).curve).name
    if not file.is_file():
        raise CheckpointError(f"zoo:{name} has no learning curve {file}; reinstall policyscope")
    return file


def place(name: str) -> tuple[Place, Path]:
    """Where the weights of an agent are, and the file that holds them or will hold them once they are fetched."""
    _check_name(name)
    file = f"{name}.safetensors"
    for folder in (FOLDER, *checkout()):
        if (folder / file).is_file():
            return "shipped" if folder == FOLDER else "here", folder / file
    cached = cache() / file
    return ("here" if cached.is_file() else "to be fetched"), cached


def path(name: str) -> Path:
    """The file of an agent, fetched if it is nowhere on this machine, and known to be the one of its card.

    Raises:
        CheckpointError: There is no such agent; its file is another than its card says; or it is not here and cannot
            be fetched.
    """
    (where, file), known = place(name), card(name)
    wrong = None if where == "to be fetched" else difference(file, known)
    if wrong and file.parent != cache():
        raise CheckpointError(f"{file} is not the file of zoo:{name}: {wrong}; restore it from git, or reinstall")
    if wrong or where == "to be fetched":
        fetch(known, address(name), file)
    return file


def difference(file: Path, known: Card) -> str | None:
    """How a file differs from the one that a card describes; None if it is that."""
    size = file.stat().st_size
    if size != known.weights.size:
        return f"it has {size:,} bytes, its card says {known.weights.size:,}"
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    return None if found == known.weights.sha256 else f"its sha256 is {found}, its card says {known.weights.sha256}"


def checkout() -> tuple[Path, ...]:
    """The folder ``zoo/`` of the checkout that the package is run from, if it is."""
    root = FOLDER.parents[2]
    return (root / "zoo",) if FOLDER.parents[1].name == "src" and (root / "pyproject.toml").is_file() else ()


def cache() -> Path:
    """The folder for what was fetched: in POLICYSCOPE_CACHE, else the user's cache."""
    own = os.environ.get("POLICYSCOPE_CACHE")
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(own).expanduser() if own else users / "policyscope") / "zoo"


def address(name: str) -> str:
    """Where an agent's file is fetched from."""
    base = os.environ.get("POLICYSCOPE_ZOO_URL") or ADDRESS
    if "://" not in base:
        base = Path(base).expanduser().resolve().as_uri()
    return f"{base.rstrip('/')}/{name}.safetensors"


def _check_name(name: str) -> None:
    known = names()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
        hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known) or 'none yet'}"
        raise CheckpointError(f"the zoo has no agent {name!r}; {hint}")
