"""Arrays that were recorded elsewhere, brought into the columns of an episode."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from policyscope.agents.observations import protocol_of_pictures
from policyscope.agents.protocol import Protocol
from policyscope.errors import ProtocolError, RunError
from policyscope.storage import Array

_TYPES: dict[str, Any] = {
    "rewards": np.float32,
    "starts": bool,
    "terminated": bool,
    "truncated": bool,
    "game_over": bool,
    "memories": np.float32,
    "screens": np.uint8,
    "ram": np.uint8,
    "lives": np.int16,
}

_NAMES = {
    "observations": ("observations", "observation", "obs", "states", "state", "frames", "images"),
    "actions": ("actions", "action"),
    "rewards": ("rewards", "reward"),
    "starts": ("starts", "episode_starts"),
    "terminated": ("terminated", "terminations", "terminals", "dones", "done"),
    "truncated": ("truncated", "truncations", "timeouts"),
    "memories": ("memories", "hidden_states", "rnn_states"),
    "screens": ("screens", "rgb"),
    "ram": ("ram",),
    "lives": ("lives",),
}


def columns_of_arrays(given: Mapping[str, Any], protocol: Protocol | None) -> tuple[dict[str, Any], Protocol]:
    """Checks arrays against each other and brings them into an episode's types.

    Args:
        given: The columns of an episode by name, ``observations`` among them.
        protocol: How the observations were made; None to derive it.

    Returns:
        The columns, with ``starts`` filled in, and the protocol.
    """
    observations = given["observations"]
    observations = observations if hasattr(observations, "shape") else np.asarray(observations)
    if isinstance(observations, Tensor):
        observations = observations.detach().cpu().numpy()
    if len(observations.shape) == 3:
        observations = np.asarray(observations)[:, None]
    if protocol is None:
        protocol = protocol_of_pictures(tuple(observations.shape[1:]), observations.dtype, "arrays")
        if protocol.layout == "time" and tuple(observations.shape[1:]) != protocol.observation_shape:
            observations = np.moveaxis(np.asarray(observations), -1, 2)
    elif tuple(observations.shape[1:]) != protocol.observation_shape:
        raise ProtocolError(
            f"the observations are of shape {tuple(observations.shape[1:])}, "
            f"those of protocol {protocol.name!r} of shape {protocol.observation_shape}"
        )
    columns: dict[str, Any] = {"observations": observations}
    for name, value in given.items():
        if name == "observations":
            continue
        array = value if name == "screens" and hasattr(value, "dtype") else np.asarray(value, dtype=_TYPES.get(name))
        if len(array) != len(observations):
            raise RunError(f"{name.removeprefix('streams.')} has {len(array)} rows, observations {len(observations)}")
        if name == "actions":
            array = _actions(array)
        elif name.startswith("streams."):
            array = array.astype(np.float32).reshape(len(array), -1)
        columns[name] = array
    if "starts" not in columns:
        ends = np.zeros(len(observations), bool)
        for flag in ("terminated", "truncated"):
            ends |= columns.get(flag, False)
        columns["starts"] = np.append(True, ends[:-1])[: len(observations)]
    return columns, protocol


def _actions(array: Array) -> Array:
    if array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iu":
        array = array[:, 0]
    return array.astype(np.int64 if array.ndim == 1 and array.dtype.kind in "iub" else np.float32)


def arrays_of_npz(path: Path) -> dict[str, Array]:
    """Reads an ``.npz`` file and names its arrays as an episode does; nothing in it is executed.

    Raises:
        RunError: The file is missing or damaged, or holds no observations.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise RunError(f"there is no file {path}") from None
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise RunError(f"{path} is not an .npz file of plain arrays: {str(error).splitlines()[0]}") from error
    arrays = {ours: found[name] for ours, names in _NAMES.items() for name in reversed(names) if name in found}
    arrays |= {name: value for name, value in found.items() if name.startswith("streams.")}
    if "observations" not in arrays:
        raise RunError(f"{path} holds no observations; its arrays are {', '.join(found) or 'none'}")
    if "truncated" in arrays and "terminated" in arrays:
        # Stable-Baselines3 counts a timeout among the ends.
        arrays["terminated"] = arrays["terminated"].astype(bool) & ~arrays["truncated"].astype(bool)
    return _one_after_the_other(arrays) if _has_environments(arrays) else arrays


def _has_environments(arrays: Mapping[str, Array]) -> bool:
    """Whether the second axis counts environments that were played side by side."""
    lead = arrays["observations"].shape[:2]
    if arrays["observations"].ndim < 4:
        return False
    for name in ("rewards", "terminated", "truncated", "starts"):
        if name in arrays:
            return bool(arrays[name].shape == lead)
    return "actions" in arrays and arrays["actions"].ndim == 3 and arrays["actions"].shape[:2] == lead


def _one_after_the_other(arrays: Mapping[str, Array]) -> dict[str, Array]:
    steps, count = arrays["observations"].shape[:2]
    flat = {name: np.swapaxes(value, 0, 1).reshape(steps * count, *value.shape[2:]) for name, value in arrays.items()}
    ends = flat.get("terminated", np.zeros(steps * count, bool)).astype(bool)
    ends = ends | flat.get("truncated", np.zeros(steps * count, bool)).astype(bool)
    starts = flat.get("starts", np.append(True, ends[:-1])).astype(bool)
    starts[::steps] = True
    return flat | {"starts": starts}
