"""Agents from the Hugging Face Hub: ``hf:ORG/REPO`` or ``hf:ORG/REPO:FILE``."""

from __future__ import annotations

import re
from pathlib import Path

from policyscope.errors import CheckpointError, MissingExtraError

SUFFIXES = (".safetensors", ".zip", ".cleanrl_model", ".gz", ".pth", ".pt", ".tar")
"""Endings of checkpoints, the likelier first."""

NO_AGENTS = frozenset({"train_eval_metrics.zip", "optimizer.pt", "policy.optimizer.pth", "pytorch_variables.pth"})
"""Names of files with such endings that rl-baselines3-zoo and others put beside their agents."""

NEIGHBOURS = frozenset({"args.yml", "config.yml", "vec_normalize.pkl", "vecnormalize.pkl"})
"""Files beside a checkpoint that tell about it, if only by being there."""


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
        held = _files(repository)
        chosen = file or choose(held, f"hf:{repository}")
        folder = chosen.rpartition("/")[0]
        for name in held:
            if name.rpartition("/")[0] == folder and name.rpartition("/")[2] in NEIGHBOURS:
                huggingface_hub.hf_hub_download(repository, name)
        return Path(huggingface_hub.hf_hub_download(repository, chosen)), (repository, chosen)
    except CheckpointError:
        raise
    # The client raises its own errors, those of whichever HTTP library it uses, and the system's.
    except Exception as error:
        raise CheckpointError(
            f"hf:{address} could not be fetched, and is not in the local cache: {first_sentence(error)}"
        ) from error


def choose(files: list[str], name: str, separator: str = ":") -> str:
    """The one checkpoint among the files of a repository or a folder.

    Args:
        files: Their paths; those of folders end with a slash.
        name: What to call the whole in an error.
        separator: What stands between its name and a file's.
    """
    for suffix in SUFFIXES:
        found = [file for file in files if file.endswith(suffix) and file.rpartition("/")[2] not in NO_AGENTS]
        highest = min((file.count("/") for file in found), default=0)
        found = [file for file in found if file.count("/") == highest]
        if len(found) == 1:
            return found[0]
        if found:
            these = f"choose one, {name}{separator}FILE, of {', '.join(found[:8])}"
            raise CheckpointError(f"{name} has several checkpoints: {these}")
    held = ", ".join(files[:8]) + (f" and {len(files) - 8} more" if len(files) > 8 else "")
    raise CheckpointError(
        f"no file of {name} is a checkpoint ({', '.join(SUFFIXES)}); it {f'holds {held}' if files else 'is empty'}"
    )


def first_sentence(error: Exception) -> str:
    """What an error says first, without the request's number and what the server calls its answer."""
    text = re.sub(r"\(Request ID: [^)]*\)", "", str(error)).strip()
    # The server's own line is dropped where an explanation follows.
    text = re.sub(r"^\d{3} (Client|Server) Error[.:]\s+(?=\S)", "", text)
    first = re.split(r"(?<=[.!?])\s+(?=[A-Z])|\n\s*(?=[A-Z])", text)[0]
    return " ".join(first.split()).rstrip(".") or type(error).__name__


def _files(repository: str) -> list[str]:
    import huggingface_hub
    from huggingface_hub.constants import HF_HUB_OFFLINE

    unreached: Exception | None = None
    if not HF_HUB_OFFLINE:
        try:
            return list(huggingface_hub.list_repo_files(repository))
        # Without a network, for which each HTTP library has errors of its own, the cache may still have it.
        except Exception as error:
            unreached = error
    try:
        folder = Path(huggingface_hub.snapshot_download(repository, local_files_only=True))
    except OSError as error:
        raise unreached or error from error
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
