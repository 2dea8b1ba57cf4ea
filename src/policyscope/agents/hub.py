"""Agents from the Hugging Face Hub: ``hf:ORG/REPO`` or ``hf:ORG/REPO:FILE``."""

from __future__ import annotations

import re
from pathlib import Path

from policyscope.errors import CheckpointError, MissingExtraError

SUFFIXES = (".safetensors", ".zip", ".cleanrl_model", ".gz", ".pth", ".pt", ".tar")
"""Endings of checkpoints, the likelier first."""


def fetch(address: str) -> tuple[Path, tuple[str, ...]]:
    """Downloads a checkpoint, or finds it in the local cache.

    Args:
        address: ``ORG/REPO`` or ``ORG/REPO:FILE``.

    Returns:
        The file, and texts that may tell its game.
    """
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError("huggingface-hub", "hub", "loading an agent from the Hugging Face Hub") from error
    repository, _, file = address.partition(":")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise CheckpointError(f"hf:{address} is not of the form hf:ORG/REPO or hf:ORG/REPO:FILE")
    try:
        chosen = file or choose(_files(repository), f"hf:{repository}")
        return Path(huggingface_hub.hf_hub_download(repository, chosen)), (repository, chosen)
    except CheckpointError:
        raise
    # The client raises its own errors, those of whichever HTTP library it uses, and the system's.
    except Exception as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise CheckpointError(f"hf:{address} could not be fetched, and is not in the local cache: {reason}") from error


def choose(files: list[str], name: str) -> str:
    """The one checkpoint among a repository's files.

    Args:
        files: Their paths.
        name: What to call the repository in an error.
    """
    for suffix in SUFFIXES:
        found = [file for file in files if file.endswith(suffix)]
        if len(found) == 1:
            return found[0]
        if found:
            raise CheckpointError(f"{name} has several checkpoints: choose one, {name}:FILE, of {', '.join(found[:8])}")
    raise CheckpointError(
        f"{name} has no checkpoint ({', '.join(SUFFIXES)}) among {', '.join(files[:8]) or 'no files'}"
    )


def _files(repository: str) -> list[str]:
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_OFFLINE

    if not HF_HUB_OFFLINE:
        try:
            return list(huggingface_hub.list_repo_files(repository))
        # Without a network the cache may still have it; without either, the next call says what is wrong.
        except OSError:
            pass
    folder = Path(huggingface_hub.snapshot_download(repository, local_files_only=True))
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
