"""Arrays that are read when they are indexed."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from policyscope.storage import Array


class ArrayLike(NDArrayOperatorsMixin):
    """What is read when it is needed: arithmetic, comparison and numpy's functions read all of it."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        read = [np.asarray(value) if isinstance(value, ArrayLike) else value for value in inputs]
        return getattr(ufunc, method)(*read, **kwargs)


class Lazy(ArrayLike):
    """Rows ``start`` to ``start + length`` of a stored array, read when indexed.

    The chunk that was read last is kept, so that walking from row to row reads each chunk once.
    """

    def __init__(self, array: Any, length: int, start: int = 0) -> None:
        self._array: Any = array
        self._length, self._start = length, start
        self._chunk = 1 if isinstance(array, np.ndarray) else int(array.chunks[0])
        self._kept: tuple[int, Array] | None = None

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
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    def rows(self, start: int, stop: int) -> Lazy:
        """A view of the rows from ``start`` to ``stop``, with nothing read."""
        return Lazy(self._array, max(stop - start, 0), self._start + start)

    def when_unused(self, function: Callable[..., Any], *args: Any) -> None:
        """Calls a function once nothing refers to this array, nor to any other that was opened with it."""
        weakref.finalize(self._array.store, function, *args)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Array]:
        return (self[index] for index in range(self._length))

    def __getitem__(self, key: Any) -> Array:
        rows, rest = (key[0], key[1:]) if isinstance(key, tuple) and key else (key, ())
        if rows is Ellipsis or rows is None or (isinstance(key, tuple) and not key):
            whole: Array = np.asarray(self)[key]
            return whole
        if isinstance(rows, (int, np.integer)) and not isinstance(rows, (bool, np.bool_)):
            index = int(rows) + (self._length if rows < 0 else 0)
            if not 0 <= index < self._length:
                raise IndexError(f"row {rows} of {self._length}")
            value = self._row(index)
            return np.asarray(value[rest]) if rest else value
        value = self._slice(rows) if isinstance(rows, slice) else self._pick(np.asarray(rows))
        return value[(*(slice(None),) * (1 if isinstance(rows, slice) else np.ndim(rows)), *rest)] if rest else value

    def _row(self, index: int) -> Array:
        row = self._start + index
        if isinstance(self._array, np.ndarray):
            return np.asarray(self._array[row])
        chunk, kept = row // self._chunk, self._kept
        if kept is None or kept[0] != chunk:
            kept = (chunk, np.asarray(self._array[chunk * self._chunk : (chunk + 1) * self._chunk]))
            self._kept = kept
        return np.array(kept[1][row - chunk * self._chunk])

    def _slice(self, rows: slice) -> Array:
        start, stop, step = rows.indices(self._length)
        if step > 0:
            return np.asarray(self._array[self._start + start : self._start + max(start, stop)])[::step]
        if stop >= start:
            return np.empty((0, *self.shape[1:]), self.dtype)
        return np.asarray(self._array[self._start + stop + 1 : self._start + start + 1])[::step]

    def _pick(self, rows: Array) -> Array:
        if rows.dtype == bool:
            if rows.shape != (self._length,):
                raise IndexError(f"a mask of shape {rows.shape} for {self._length} rows")
            rows = np.flatnonzero(rows)
        elif rows.size and not np.issubdtype(rows.dtype, np.integer):
            raise IndexError(f"rows are picked by integers, not by {rows.dtype}")
        rows = rows.astype(np.int64)
        rows = np.where(rows < 0, rows + self._length, rows)
        if rows.size and not (rows.min() >= 0 and rows.max() < self._length):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {self._length}")
        if isinstance(self._array, np.ndarray):
            return np.asarray(self._array[rows + self._start])
        unique, inverse = np.unique(rows, return_inverse=True)
        if not unique.size:
            return np.empty((*rows.shape, *self.shape[1:]), self.dtype)
        return np.asarray(self._array.oindex[unique + self._start])[inverse.reshape(rows.shape)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False and not isinstance(self._array, np.ndarray):
            raise ValueError("a stored array cannot be read without a copy")
        return np.array(self._array[self._start : self._start + self._length], dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        return f"Lazy(shape={self.shape}, dtype={self.dtype})"
