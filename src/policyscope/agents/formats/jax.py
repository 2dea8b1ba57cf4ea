"""Checkpoints of JAX programs, which are told apart only to say what to do with them."""

from __future__ import annotations

import re
from typing import NoReturn

from policyscope.agents.checkpoint import Checkpoint
from policyscope.agents.wishes import Wishes
from policyscope.errors import CheckpointError

_ORBAX = {"_METADATA", "_CHECKPOINT_METADATA", "manifest.ocdbt", "_sharding", "_strings.json"}


def recognise(file: Checkpoint, wishes: Wishes) -> bool:
    """An orbax folder, Dopamine's ``ckpt.N``, or a MessagePack map or list as ``flax.serialization`` writes it."""
    if file.path.is_dir():
        return any((file.path / name).exists() for name in _ORBAX)
    if re.fullmatch(r"(tf_)?ckpt[.-]\d+(\.\w+)*", file.path.name) or file.path.suffix == ".msgpack":
        return True
    # A torch pickle begins with 0x80 and its protocol (2 or above), a MessagePack map with its count and a text.
    if file.is_safetensors or not file.head:
        return False
    return 0x81 <= file.head[0] <= 0x9F or file.head[0] in (0xDC, 0xDD, 0xDE, 0xDF)


def load(file: Checkpoint, wishes: Wishes) -> NoReturn:
    """Says what to do."""
    raise CheckpointError(
        f"{file.name} is a JAX checkpoint: copy its arrays into a torch network (kernels transposed to out, in, "
        "height, width), save that network's state_dict, and load it with --network MODULE:FACTORY"
    )
