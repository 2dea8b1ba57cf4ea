import errno
import json
import os

import numpy as np
import pytest
import zarr

from policyscope import storage
from policyscope.errors import RunError
from policyscope.lazy import Lazy
from policyscope.storage import Columns, read_count, read_json, replacing, write_json

SPECS = {"pictures": ((5, 7), np.uint8), "streams.q": ((3,), np.float32), "ends": ((), bool)}


def rows(first: int, last: int) -> dict[str, np.ndarray]:
    index = np.arange(first, last)
    return {
        "pictures": (index[:, None, None] * 3 + np.arange(35).reshape(5, 7)).astype(np.uint8),
        "streams.q": np.sin(index[:, None] + np.arange(3)).astype(np.float32),
        "ends": index % 3 == 0,
    }


def assert_holds(folder, count: int) -> None:
    assert read_count(folder) == count
    for name, expected in rows(0, count).items():
        np.testing.assert_array_equal(zarr.open_group(folder, mode="r")[name][:count], expected)


@pytest.fixture
def columns(tmp_path) -> Columns:
    return Columns(tmp_path / "run.zarr", SPECS, chunk=8)


@pytest.mark.parametrize("sizes", [[1] * 30, [30], [8, 8, 8, 6], [5, 20, 5]])
def test_rows_come_back_however_they_were_put_in(columns, sizes):
    first = 0
    for size in sizes:
        columns.append(rows(first, first + size))
        first += size
    columns.close()
    assert_holds(columns.folder, 30)
    assert zarr.open_group(columns.folder)["pictures"].shape == (30, 5, 7)


def test_staged_rows_count_once_they_are_complete(columns):
    for index in range(20):
        row = rows(index, index + 1)
        columns.stage({"pictures": row["pictures"][0]})
        columns.stage({"streams.q": row["streams.q"][0], "ends": row["ends"][0]})
        columns.advance()
    columns.stage({"pictures": np.full((5, 7), 255)})
    columns.close()
    assert_holds(columns.folder, 20)


def test_only_whole_chunks_are_counted_before_a_flush(columns):
    columns.append(rows(0, 13))
    assert (columns.length, columns.total) == (8, 13)
    assert_holds(columns.folder, 8)
    columns.flush(whole_chunks=True)
    assert columns.length == 8
    columns.flush()
    assert_holds(columns.folder, 13)


def test_rows_beyond_the_count_are_overwritten(columns):
    columns.append(rows(0, 30))
    columns.close()
    write_json(columns.folder / "count.json", {"steps": 11})
    again = Columns(columns.folder, SPECS, chunk=8)
    assert again.total == 11
    again.append(rows(11, 29))
    again.close()
    assert_holds(columns.folder, 29)


def test_forgotten_rows_are_gone(columns):
    columns.append(rows(0, 20))
    columns.flush()
    columns.truncate(9)
    columns.append(rows(9, 17))
    columns.close()
    assert_holds(columns.folder, 17)


def test_arrays_of_another_kind_are_refused(columns):
    columns.append(rows(0, 9))
    columns.close()
    with pytest.raises(RunError, match="another run's"):
        Columns(columns.folder, SPECS | {"pictures": ((5, 8), np.uint8)}, chunk=8)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
def test_a_disk_that_cannot_be_written_is_told_in_one_line_and_loses_nothing(columns, monkeypatch, number):
    columns.append(rows(0, 16))

    def fails(path, data):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(storage, "_put", fails)
    with pytest.raises(RunError, match=os.strerror(number)):
        columns.append(rows(16, 24))
    monkeypatch.undo()
    assert_holds(columns.folder, 16)
    columns.flush()
    assert_holds(columns.folder, 24)


def test_a_file_in_the_way_is_told_in_one_line(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        Columns(tmp_path / "run" / "episode.zarr", SPECS)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"b": 1, "a": [2]})

    def stops_half_way():
        with replacing(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stops_half_way()
    assert read_json(path) == {"a": [2], "b": 1}
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize("content", ["{", '{"steps": "many"}', "[]", '{"steps": -1}'])
def test_a_damaged_count_is_told_in_one_line(tmp_path, content):
    (tmp_path / "count.json").write_text(content)
    with pytest.raises(RunError, match="damaged"):
        read_count(tmp_path)


KEYS = [
    3,
    -1,
    np.int64(4),
    slice(3, 25, 7),
    slice(25, 3, -7),
    slice(None, None, -1),
    slice(5, 5),
    slice(10, 3),
    np.array([3, -1, 3]),
    np.array([[1, 2], [13, 4]]),
    np.arange(30) % 3 == 0,
    np.array([], dtype=int),
    (4, 2),
    (slice(2, 5), 1),
    (np.array([1, 2]), slice(None), 3),
    (np.array([[1, 2], [3, 4]]), 1),
    Ellipsis,
    (Ellipsis, 2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
@pytest.mark.parametrize("stored", [True, False])
def test_a_lazy_array_is_indexed_as_numpy_indexes(columns, key, stored):
    columns.append(rows(0, 40))
    columns.close()
    expected = rows(0, 40)["pictures"]
    lazy = Lazy(zarr.open_group(columns.folder)["pictures"] if stored else expected, 30)
    np.testing.assert_array_equal(lazy[key], expected[:30][key])
    assert lazy[key].shape == expected[:30][key].shape
    mask = isinstance(key, np.ndarray) and key.dtype == bool
    part = lazy.rows(5, 30)
    if not mask and not isinstance(key, tuple):
        valid = [key] if isinstance(key, int) else key
        np.testing.assert_array_equal(part[valid], expected[5:30][valid])


@pytest.mark.parametrize("key", [30, -31, np.array([0, 30]), np.array([0.5]), np.array([True, False])])
def test_a_row_outside_a_lazy_array_is_an_index_error(key):
    with pytest.raises(IndexError):
        Lazy(rows(0, 40)["pictures"], 30)[key]


def test_a_lazy_array_is_an_array_to_numpy_and_can_be_walked():
    expected = rows(0, 40)["pictures"]
    lazy = Lazy(expected, 30)
    assert (lazy.shape, lazy.ndim, lazy.dtype, len(lazy)) == ((30, 5, 7), 3, np.uint8, 30)
    np.testing.assert_array_equal(np.asarray(lazy), expected[:30])
    np.testing.assert_array_equal(np.asarray(lazy, dtype=np.float32), expected[:30].astype(np.float32))
    assert all(np.array_equal(row, want) for row, want in zip(lazy, expected, strict=False))


def test_other_readers_of_zarr_find_nothing_strange(columns):
    columns.append(rows(0, 10))
    columns.close()
    told = json.loads((columns.folder / "pictures" / "zarr.json").read_text())
    assert told["shape"] == [10, 5, 7]
    assert [codec["name"] for codec in told["codecs"]] == ["bytes", "blosc"]


def test_a_lazy_array_can_be_reckoned_with_like_an_array() -> None:
    values = np.arange(12.0).reshape(4, 3)
    lazy = Lazy(values, 3)
    assert np.array_equal(lazy * 2 - lazy, values[:3])
    assert np.array_equal(lazy > 4, values[:3] > 4)
    assert np.array_equal(np.abs(-lazy), values[:3])
