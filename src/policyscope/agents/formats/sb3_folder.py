"""What lies around a zip in an rl-baselines3-zoo folder: texts that are read as lines, and a pickle that is not."""

from __future__ import annotations

import re
from pathlib import Path

from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError


def environments(path: Path) -> tuple[str, ...]:
    """Environments that the training run's ``args.yml`` names."""
    found = (re.search(r"-\s+env\s*\n\s*-\s+(\S+)", text) for text in _texts(path, "args.yml"))
    return tuple(match[1] for match in found if match)


def check_normalisation(file: Checkpoint, wishes: Wishes) -> None:
    """Refuses an agent whose observations were normalised with numbers that only a pickle holds."""
    # The first name is of rl-baselines3-zoo's folders, the second of its repositories.
    pickles = [*_beside(file.path, "vecnormalize.pkl"), *_beside(file.path, "vec_normalize.pkl")]
    if wishes.normalise is not None or not pickles:
        return
    settings = " ".join(_texts(file.path, "config.yml"))
    normalise = re.search(r"-\s+normalize\s*\n\s*-\s+(.+)", settings)
    if normalise and re.search(r"norm_obs['\"]*\s*[:=]\s*False|^\s*false", normalise[1]):
        return
    raise CheckpointError(
        f"beside {file.name} lies {pickles[0].name}, a pickle that is not opened: if observations were normalised, "
        "save numpy.savez(PATH, mean=v.obs_rms.mean, var=v.obs_rms.var) and pass --normalise PATH.npz, "
        "else --normalise off"
    )


def _beside(path: Path, name: str) -> list[Path]:
    folders = [path.parent, *(folder for folder in path.parent.iterdir() if folder.is_dir())]
    return [folder / name for folder in folders[:20] if (folder / name).is_file()]


def _texts(path: Path, name: str) -> list[str]:
    return [found.read_text(errors="replace")[:100_000] for found in _beside(path, name)]
