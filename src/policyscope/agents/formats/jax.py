"""Checkpoints of JAX programs, which are told apart only to say what to do with them."""

from __future__ import annotations

import re
from typing import NoReturn

from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError

_ORBAX = {"_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt", "_sharding", "_strings.json"}


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """An orbax folder, Dopamine's ``ckpt.N``, or a MessagePack map as ``flax.serialization`` writes it."""
    if file.path.is_dir():
        return any((file.path / name).exists() for name in _ORBAX)
    if re.fullmatch(r"(tf_)?ckpt[.-]\d+(\..*)?", file.path.name) or file.path.suffix == ".msgpack":
        return True
    return re.match(rb"(?:[\x81-\x8f]|\xde..|\xdf....)[\xa1-\xbf\xd9]", file.head, re.DOTALL) is not None


def load(file: Checkpoint, wishes: Wishes) -> NoReturn:
    """Says what to do."""
    raise CheckpointError(
        f"{file.name} is a JAX checkpoint: copy its arrays into a torch network (kernels transposed to out, in, "
        "height, width), save that network's state_dict, and load it with --network MODULE:FACTORY"
    )
