"""Arrays that were recorded elsewhere, brought into the columns of an episode."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from policyscope.agents.protocol import Layout, Protocol
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


def protocol_of_pictures(shape: tuple[int, ...], dtype: Any, name: str, high: float | None = None) -> Protocol:
    """The protocol that describes ready observations of a shape and type.

    The shorter of the first and the last axis holds the channels. A multiple of three is taken for colours.

    Args:
        shape: Of one observation: (H, W), (C, H, W), (H, W, C), (lags, C, H, W) or (lags, H, W, C).
        dtype: Of its values; bytes are divided by 255, floats are left alone unless ``high`` says otherwise.
        name: Of the protocol.
        high: The largest value that can occur, where it is known.

    Raises:
        ProtocolError: That is no picture.
    """
    kind = np.dtype(dtype)
    if len(shape) not in (2, 3, 4) or kind.kind not in "uif" or min(shape) < 1:
        raise ProtocolError(f"an observation of shape {shape} and type {kind} is no picture: (C, H, W) is expected")
    layout: Layout
    if len(shape) == 4:
        layout, frames = "time", shape[0]
        channels_first = shape[1] <= shape[3]
        channels, height, width = shape[1:] if channels_first else (shape[3], shape[1], shape[2])
        if channels not in (1, 3):
            raise ProtocolError(
                f"an observation of shape {shape} over time has {channels} channels: 1 or 3 are expected"
            )
        colour_channels = channels
    else:
        channels_first = len(shape) == 2 or shape[0] < shape[-1]
        layout = "channels" if channels_first else "channels_last"
        channels, height, width = (
            (1, *shape) if len(shape) == 2 else shape if channels_first else (shape[2], *shape[:2])
        )
        colour_channels = 3 if channels % 3 == 0 else 1
        frames = channels // colour_channels
    largest = (255.0 if kind.kind in "ui" else 1.0) if high is None or not np.isfinite(high) else float(high)
    return Protocol(
        name=name,
        frame_skip=1,
        sticky=0.0,
        max_frames=0,
        max_pool="none",
        colour="rgb" if colour_channels == 3 else "grey",
        size=(int(height), int(width)),
        stack=int(frames),
        layout=layout,
        ready=True,
        scale=255.0 if largest > 1 else 1.0,
    )


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
