"""How rows of files are packed."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from dicomframe.scan.packing import FILES_SCHEMA, TIMED_SCHEMA, pack_files, unpack_files
from dicomframe.scan.versions import version_of

ROW = {"store": 3, "path": b"/caf\xe9\n", "size": None, "version": 2**64 - 1, "trouble": "is odd"}


@pytest.mark.parametrize("rows", [[], [ROW], [{**ROW, "size": n} for n in range(10_000)]])
def test_what_was_packed_comes_back(rows: list[dict[str, Any]]) -> None:
    files = pa.RecordBatch.from_pylist(rows, FILES_SCHEMA)
    back = unpack_files(pack_files(files))
    assert back.to_pylist() == rows
    back.validate(full=True)


def test_a_slice_is_packed_without_what_is_around_it() -> None:
    paths = [f"{number:>100}".encode() for number in range(1000)]
    rows = [{**ROW, "path": path} for path in paths]
    files = pa.RecordBatch.from_pylist(rows, FILES_SCHEMA).slice(500, 2)
    assert unpack_files(pack_files(files)).to_pylist() == rows[500:502]
    assert len(pack_files(files)) < 400


def test_a_version_is_that_of_the_text_within_the_quotes() -> None:
    versions = {version_of(etag) for etag in ('"abc-2"', "abc-2", 'W/"abc-2"')}
    assert len(versions) == 1
    assert versions != {version_of('"abc-3"')}
    assert 0 <= versions.pop() < 2**64
    assert version_of("") == version_of('""') == 0xB4B2797457A0A6E4


def test_times_are_packed_where_there_are_any_and_cost_nothing_elsewhere() -> None:
    now = datetime(2026, 11, 23, 8, 15, 0, 123456, UTC)
    rows = [{**ROW, "modified": time} for time in (now, None)]
    timed = pa.RecordBatch.from_pylist(rows, TIMED_SCHEMA)
    assert unpack_files(pack_files(timed)).equals(timed)
    plain = timed.select(FILES_SCHEMA.names)
    assert unpack_files(pack_files(plain)).schema == FILES_SCHEMA
    assert len(pack_files(plain)) < len(pack_files(timed))
