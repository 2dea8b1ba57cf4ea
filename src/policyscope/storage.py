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

from policyscope.errors import RunError

Array = np.ndarray[Any, np.dtype[Any]]


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
        part.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns a full or read-only disk into one line for the user."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
            raise RunError(f"cannot write to {folder}: {os.strerror(error.errno)}; free space or choose another --out") from error
        raise


class Lazy:
    """The first ``length`` rows of a stored array, read when indexed."""

    def __init__(self, array: Any, length: int) -> None:
        self._array, self._length = array, length

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows first."""
        return (self._length, *self._array.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return np.dtype(self._array.dtype)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Array]:
        for start in range(0, self._length, 64):
            yield from np.asarray(self._array[start : min(start + 64, self._length)])

    def __getitem__(self, key: Any) -> Array:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        if isinstance(rows, (int, np.integer)):
            index = int(rows) + (self._length if rows < 0 else 0)
            if not 0 <= index < self._length:
                raise IndexError(f"row {rows} of {self._length}")
            value = np.asarray(self._array[index])
            return value[rest] if rest else value
        if isinstance(rows, slice):
            start, stop, step = rows.indices(self._length)
            if step > 0:
                value = np.asarray(self._array[start:stop])[::step]
            else:
                value = np.asarray(self._array[stop + 1 : start + 1])[::-1][:: -step]
        elif rows is Ellipsis:
            return np.asarray(self)[key]
        else:
            indices = np.asarray(rows)
            indices = np.flatnonzero(indices) if indices.dtype == bool else np.where(indices < 0, indices + self._length, indices)
            if indices.size and not (0 <= indices.min() and indices.max() < self._length):
                raise IndexError(f"rows {indices.min()} to {indices.max()} of {self._length}")
            value = self._rows(indices)
        return value[(slice(None), *rest)] if rest else value

    def _rows(self, indices: Array) -> Array:
        if isinstance(self._array, np.ndarray):
            return self._array[indices]
        unique, inverse = np.unique(indices, return_inverse=True)
        return np.asarray(self._array.oindex[unique])[inverse] if unique.size else np.empty((0, *self.shape[1:]), self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        return np.asarray(self._array[: self._length], dtype=dtype)

    def __repr__(self) -> str:
        return f"Lazy(shape={self.shape}, dtype={self.dtype})"


class Columns:
    """Arrays over steps in one zarr folder, appended in whole chunks behind an atomically replaced count.

    Rows beyond the count, as a kill may leave them, are overwritten by the next append.
    """

    def __init__(self, folder: Path, specs: Mapping[str, tuple[tuple[int, ...], Any]], chunk: int = 64, meta: Any = None) -> None:
        self.folder, self.chunk, self.length = folder, chunk, 0
        self._pending: dict[str, list[Array]] = {name: [] for name in specs}
        self._waiting = 0
        with disk_errors(folder):
            group = zarr.open_group(folder, mode="a")
            compressor = zarr.codecs.BloscCodec(cname="lz4", clevel=3, shuffle="shuffle")
            self._arrays = {}
            for name, (shape, dtype) in specs.items():
                if name in group:
                    self._arrays[name] = group[name]
                else:
                    self._arrays[name] = group.create_array(
                        name, shape=(0, *shape), chunks=(chunk, *shape), dtype=np.dtype(dtype), compressors=compressor
                    )
            count = read_count(folder)
            self.length = count
            if meta is not None:
                write_json(folder / "meta.json", meta)
            self._commit()

    def append(self, rows: Mapping[str, Array]) -> None:
        """Adds rows (each array (n, …), the same n) and writes what fills whole chunks."""
        n = len(next(iter(rows.values())))
        for name, value in rows.items():
            self._pending[name].append(value)
        self._waiting += n
        if self._waiting >= self.chunk:
            self.flush(whole_chunks=True)

    def flush(self, whole_chunks: bool = False) -> None:
        """Writes what waits; the count moves only when all arrays have it."""
        if not self._waiting:
            return
        take = self._waiting
        if whole_chunks:
            take = (self.length + self._waiting) // self.chunk * self.chunk - self.length
            if take <= 0:
                return
        with disk_errors(self.folder):
            for name, parts in self._pending.items():
                block = parts[0] if len(parts) == 1 else np.concatenate(parts)
                array = self._arrays[name]
                end = self.length + take
                if array.shape[0] < end:
                    array.resize((end, *array.shape[1:]))
                array[self.length : end] = block[:take]
                self._pending[name] = [block[take:]] if take < len(block) else []
            self.length += take
            self._waiting -= take
            self._commit()

    def truncate(self, length: int) -> None:
        """Forgets the rows from ``length`` on."""
        self.length = min(self.length, length)
        self._commit()

    def _commit(self) -> None:
        write_json(self.folder / "count.json", {"steps": self.length})


def read_count(folder: Path) -> int:
    """Rows that are wholly written."""
    path = folder / "count.json"
    return int(json.loads(path.read_text())["steps"]) if path.exists() else 0
