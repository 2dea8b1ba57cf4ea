"""Checkpoints of JAX programs, which are told apart only to say what to do with them."""

from __future__ import annotations

import re
from typing import NoReturn

from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError

_ORBAX = {"_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt", "_sharding", "_strings.json"}
_DOPAMINE = re.compile(r"ckpt\.\d+|(tf_)?ckpt-\d+\.(index|meta|data-.*)|sentinel_checkpoint_complete\.\d+")
_MAP = re.compile(rb"(?:[\x81-\x8f]|\xde..|\xdf....)[\xa1-\xbf\xd9]", re.DOTALL)


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """Folders of orbax and Dopamine, its ``ckpt.N``, and MessagePack maps as ``flax.serialization`` writes them."""
    if file.path.is_dir():
        return any(path.name in _ORBAX or _DOPAMINE.fullmatch(path.name) for path in file.path.iterdir())
    if file.members:
        return False
    if _DOPAMINE.fullmatch(file.path.name) or file.path.suffix == ".msgpack":
        return True
    return _MAP.match(file.head) is not None


def load(file: Checkpoint, wishes: Wishes) -> NoReturn:
    """Says what to do."""
    kind = "TensorFlow" if "ckpt-" in file.path.name else "JAX"
    raise CheckpointError(
        f"{file.name} is a {kind} checkpoint: copy its arrays into a torch network (kernels transposed to out, in, "
        "height, width), save that network's state_dict, and load it with --network MODULE:FACTORY"
    )
