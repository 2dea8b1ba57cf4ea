"""A checkpoint file, looked at with care: sizes before contents, and nothing in it is ever run."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import re
import struct
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from policyscope.agents.weights import State, find_state
from policyscope.errors import CheckpointError

LARGEST = 2 << 30
"""Bytes that a checkpoint may have when it is unpacked."""

_INSTEAD = "save the network's state_dict alone (torch.save(network.state_dict(), path)) or use safetensors"
_FREE = 64 << 20
_RATIO = 100


class ForeignFileError(CheckpointError):
    """A file that begins as no checkpoint does."""


@dataclass(frozen=True)
class Checkpoint:
    """One file that may hold an agent.

    Attributes:
        path: Where it is on this machine.
        name: What the user called it.
        hints: Texts that may tell the game: folder and file names, a repository's name.
    """

    path: Path
    name: str
    hints: tuple[str, ...] = ()

    @cached_property
    def head(self) -> bytes:
        """Its first bytes; none of a folder."""
        if self.path.is_dir():
            return b""
        with self.path.open("rb") as file:
            return file.read(16)

    @cached_property
    def members(self) -> dict[str, zipfile.ZipInfo]:
        """What a zip archive holds, sizes checked; empty for other files."""
        if self.head[:4] != b"PK\x03\x04":
            return {}
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = {info.filename: info for info in archive.infolist()}
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise CheckpointError(f"{self.name} is a truncated or damaged archive ({error})") from error
        _check_archive(members, self.name)
        return members

    def member(self, name: str, limit: int = LARGEST) -> bytes:
        """The contents of one file in the archive."""
        if self.members[name].file_size > limit:
            raise CheckpointError(f"{name} in {self.name} unpacks to {self.members[name].file_size:,} bytes; not read")
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(name) as file:
                return file.read(limit)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
            raise CheckpointError(f"{name} in {self.name} cannot be read ({error}); is the file truncated?") from error

    @cached_property
    def unzipped(self) -> bytes | None:
        """The contents of a gzip'd file; None for other files."""
        if self.head[:2] != b"\x1f\x8b":
            return None
        limit = min(LARGEST, max(_FREE, _RATIO * self.path.stat().st_size))
        try:
            with gzip.open(self.path) as file:
                contents = file.read(limit + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise CheckpointError(f"{self.name} is a truncated or damaged gzip file ({error})") from error
        if len(contents) > limit:
            raise CheckpointError(f"{self.name} unpacks to more than {limit:,} bytes; not read")
        return contents

    @cached_property
    def is_safetensors(self) -> bool:
        """Whether the file begins as a safetensors file does."""
        if len(self.head) < 9 or self.head[8:9] != b"{":
            return False
        return 2 <= int.from_bytes(self.head[:8], "little") <= self.path.stat().st_size - 8

    @cached_property
    def header(self) -> dict[str, Any]:
        """The header of a safetensors file: names, types, shapes, metadata; no tensor is read for it."""
        try:
            with self.path.open("rb") as file:
                (length,) = struct.unpack("<Q", file.read(8))
                header: dict[str, Any] = json.loads(file.read(length))
        except (ValueError, struct.error, RecursionError) as error:
            raise CheckpointError(f"{self.name} is a damaged safetensors file ({error})") from error
        return header

    @cached_property
    def saved(self) -> Any:
        """What ``torch.save`` put there, read without running anything."""
        if self.is_safetensors:
            return self._tensors()
        if self.unzipped is not None:
            return load_torch(io.BytesIO(self.unzipped), self.name)
        # A torch file is a zip archive or, before torch 1.6, a pickle of protocol 2.
        if not self.members and self.head[:1] != b"\x80":
            raise ForeignFileError(f"{self.name} is empty" if not self.head else f"{self.name} is of no known format")
        return load_torch(self.path, self.name)

    @cached_property
    def state(self) -> State:
        """The state dict in it, wherever it is nested, without the prefixes of wrappers."""
        return find_state(self.saved, self.name)

    def _tensors(self) -> dict[str, Tensor]:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(self.path)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise CheckpointError(f"{self.name} is a truncated or damaged safetensors file ({error})") from error


def load_torch(file: Path | io.BytesIO, name: str) -> Any:
    """``torch.load`` of untrusted contents: weights only, in one line if it fails.

    Args:
        file: A path, or contents in memory.
        name: What to call it in an error.
    """
    # Torch itself never wrote pickles of later protocols bare.
    if (head := _head(file))[:1] == b"\x80" and head[1:] > b"\x02":
        raise CheckpointError(
            f"{name} is a plain pickle, which would run whatever was put into it, so it was not loaded: {_INSTEAD}"
        )
    if isinstance(file, io.BytesIO) and zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            _check_archive({info.filename: info for info in archive.infolist()}, name)
        file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(_refusal(str(error), name)) from error
    # A damaged file makes torch's readers fail in a dozen ways, none of which the user can tell apart.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{name} is truncated, damaged or no torch checkpoint ({reason})") from error


def _head(file: Path | io.BytesIO) -> bytes:
    if isinstance(file, io.BytesIO):
        return file.getvalue()[:2]
    with file.open("rb") as opened:
        return opened.read(2)


def _refusal(reason: str, name: str) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", reason) or re.search(r"[Uu]nsupported (?:global|class)[^\w]+([\w.]+)", reason)
    if found:
        return f"{name} is a pickle that would run {found[1]}, so it was not loaded: {_INSTEAD}"
    return f"{name} is no checkpoint that can be read safely (not a torch state dict): {_INSTEAD}"


def _check_archive(members: dict[str, zipfile.ZipInfo], name: str) -> None:
    for info in members.values():
        if info.file_size > max(_FREE, _RATIO * info.compress_size):
            sizes = f"{info.compress_size:,} to {info.file_size:,} bytes"
            raise CheckpointError(f"{info.filename} in {name} unpacks from {sizes}; not read")
    total = sum(info.file_size for info in members.values())
    if total > LARGEST:
        raise CheckpointError(f"{name} unpacks to {total:,} bytes, more than the {LARGEST:,} that are read")
