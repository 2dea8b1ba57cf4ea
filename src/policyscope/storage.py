"""Files that are never half written: atomic replacement, and arrays that grow behind a count."""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc
from zarr.codecs import BloscCodec

from policyscope.errors import RunError

Array = np.ndarray[Any, np.dtype[Any]]
Specs = Mapping[str, tuple[tuple[int, ...], Any]]

_DISK = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.EISDIR,
    }
)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path`` that takes its place when the block ends well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Replaces a JSON file atomically."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        RunError: It is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged: {error}") from error


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a disk that is full or cannot be written to into one line for the user."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        reason = os.strerror(error.errno)
        raise RunError(f"cannot write to {folder}: {reason}; free space or choose another --out") from error


class Columns:
    """Arrays over steps in one zarr folder, appended in whole chunks behind an atomically replaced count.

    Rows beyond the count, as a kill may leave them, are overwritten by the next append. Chunks are compressed and
    put in their place here, because zarr's own writing costs more time than a game's step; everything that reads
    them is zarr's.
    """

    def __init__(self, folder: Path, specs: Specs, chunk: int = 64, meta: Any = None) -> None:
        self.folder, self.chunk = folder, chunk
        self.length = self._first = self._filled = 0
        with disk_errors(folder):
            group = open_group(folder, "a")
            self._arrays = {name: _array(group, name, *spec, chunk) for name, spec in specs.items()}
            self._buffers = {name: np.zeros((chunk, *a.shape[1:]), a.dtype) for name, a in self._arrays.items()}
            self._codecs = {name: _codec(a.dtype) for name, a in self._arrays.items()}
            self._room = min((a.shape[0] for a in self._arrays.values()), default=0)
            self.truncate(read_count(folder))
            if meta is not None:
                write_json(folder / "meta.json", meta)

    @property
    def total(self) -> int:
        """Rows that were appended, written or not."""
        return self._first + self._filled

    @property
    def shapes(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape of a row and type of each array."""
        return {name: (tuple(buffer.shape[1:]), buffer.dtype) for name, buffer in self._buffers.items()}

    def append(self, rows: Mapping[str, Any]) -> None:
        """Adds rows (each array (n, …), the same n) and writes the chunks that they fill."""
        count = len(next(iter(rows.values())))
        done = 0
        while done < count:
            take = min(count - done, self.chunk - self._filled)
            for name, buffer in self._buffers.items():
                buffer[self._filled : self._filled + take] = rows[name][done : done + take]
            self._filled += take
            done += take
            if self._filled == self.chunk:
                self.flush()

    def stage(self, values: Mapping[str, Any]) -> None:
        """Puts values into the row that comes next; it counts once :meth:`advance` is called."""
        for name, value in values.items():
            self._buffers[name][self._filled] = value

    def advance(self) -> None:
        """Adds the staged row."""
        self._filled += 1
        if self._filled == self.chunk:
            self.flush()

    def read(self, name: str, start: int, stop: int) -> Array:
        """Rows of an array that were appended, written or not, as a copy."""
        first = self._first
        parts = []
        if start < min(stop, first):
            parts.append(np.asarray(self._arrays[name][start : min(stop, first)]))
        if stop > first:
            parts.append(self._buffers[name][max(start - first, 0) : min(stop, self.total) - first].copy())
        return np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else self._buffers[name][:0].copy()

    def flush(self, whole_chunks: bool = False) -> None:
        """Writes what waits; the count moves only when all arrays have it."""
        if self.total == self.length or (whole_chunks and self._filled < self.chunk):
            return
        with disk_errors(self.folder):
            if self._first + self.chunk > self._room:
                self._resize(max(2 * self._room, self._first + self.chunk))
            for name, buffer in self._buffers.items():
                buffer[self._filled :] = 0
                place = (self._first // self.chunk, *(0,) * (buffer.ndim - 1))
                _put(self.folder.joinpath(name, "c", *map(str, place)), self._codecs[name].encode(buffer))
            self.length = self.total
            self._commit()
        if self._filled == self.chunk:
            self._first, self._filled = self.length, 0

    def truncate(self, length: int) -> None:
        """Forgets the rows from ``length`` on, and those that were not written."""
        self.length = length
        self._first = length // self.chunk * self.chunk
        self._filled = length - self._first
        if self._filled:
            for name, array in self._arrays.items():
                self._buffers[name][: self._filled] = array[self._first : length]
        with disk_errors(self.folder):
            self._commit()

    def close(self) -> None:
        """Writes what waits and gives the arrays the length that the count tells, for other readers of zarr."""
        self.flush()
        with disk_errors(self.folder):
            self._resize(self.length)

    def _resize(self, rows: int) -> None:
        for array in self._arrays.values():
            array.resize((rows, *array.shape[1:]))
        self._room = rows

    def _commit(self) -> None:
        write_json(self.folder / "count.json", {"steps": self.length})


def _put(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        try:
            part.write_bytes(data)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def open_group(folder: Path, mode: Any = "r") -> Any:
    """A zarr group on disk.

    Raises:
        RunError: The folder is none.
    """
    try:
        return zarr.open_group(folder, mode=mode)
    except (ValueError, TypeError, KeyError, FileNotFoundError) as error:
        raise RunError(f"{folder} holds no arrays of policyscope's: {str(error).splitlines()[0]}") from error


def check_chunks(folder: Path, arrays: Mapping[str, Any], count: int) -> None:
    """Makes sure that every chunk of the first ``count`` rows is there: zarr would read a lost one as zeros.

    Raises:
        RunError: One is missing.
    """
    for name, array in arrays.items():
        for row in range(0, count, array.chunks[0]):
            place = (row // array.chunks[0], *(0,) * (array.ndim - 1))
            if not folder.joinpath(name, "c", *map(str, place)).is_file():
                raise RunError(f"{folder} is damaged: the steps from {row} on are missing in {name!r}")


def read_count(folder: Path) -> int:
    """Rows that are wholly written."""
    path = folder / "count.json"
    if not path.exists():
        return 0
    value = read_json(path)
    count = value.get("steps") if isinstance(value, dict) else None
    if not isinstance(count, int) or count < 0:
        raise RunError(f"{path} is damaged: it holds no count of steps")
    return count


def _codec(dtype: np.dtype[Any]) -> Any:
    # Shuffled, lz4 at its fastest: a game's screens shrink fifty-fold in a millisecond a chunk.
    return Blosc(cname="lz4", clevel=3, shuffle=Blosc.SHUFFLE if dtype.itemsize > 1 else Blosc.NOSHUFFLE)


def _array(group: Any, name: str, shape: tuple[int, ...], dtype: Any, chunk: int) -> Any:
    wanted = (np.dtype(dtype), tuple(shape), (chunk, *shape))
    if name not in group:
        size = wanted[0].itemsize
        compressor = BloscCodec(cname="lz4", clevel=3, typesize=size, shuffle="shuffle" if size > 1 else "noshuffle")
        return group.create_array(
            name, shape=(0, *shape), chunks=wanted[2], dtype=wanted[0], compressors=compressor, fill_value=0
        )
    array = group[name]
    found = (np.dtype(array.dtype), tuple(array.shape[1:]), tuple(array.chunks))
    if found != wanted:
        raise RunError(f"the array {name!r} of {group.store_path} is {found}, not {wanted}: another run's")
    return array
