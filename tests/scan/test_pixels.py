"""Pixel Data that is read later, by its place."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dicomframe.api import plan_read
from dicomframe.scan.pixels import PixelReader
from dicomframe.scan.places import PixelPlace
from dicomframe.testing.samples import make_ct, real_files


def read(path: Any, columns: list[str], **options: Any) -> tuple[pa.Table, PixelReader]:
    plan = plan_read(path, **options)
    batches = [batch for part in plan.partitions for batch in plan.reader(part, columns)]
    stores = dict.fromkeys(store for part in plan.partitions for store in part.stores)
    return pa.Table.from_batches(batches), PixelReader(tuple(stores), plan.reader.options)


def late(table: pa.Table, reader: PixelReader) -> list[pa.Array]:
    rows = table.combine_chunks().to_batches()[0]
    return list(reader(rows["origin"], rows["pixel_place"]))


def test_pixels_read_later_are_those_read_at_once() -> None:
    """Native, encapsulated, deflated, float, without any; of real files."""
    whole, _ = read(real_files(), ["origin", "pixel_data"])
    table, reader = read(real_files(), ["origin", "pixel_place"])
    assert table["origin"] == whole["origin"]
    values = pa.chunked_array(late(table, reader))
    assert values.null_count < len(values) - 60
    assert values == whole["pixel_data"]


def test_pixels_of_a_remote_store(memory: MemoryFileSystem) -> None:
    files = {f"/a/{n}.dcm": make_ct(n, rows=64 + n) for n in range(100)}
    memory.pipe(files)
    table, reader = read("memory://a", ["origin", "pixel_place"])
    values = pa.concat_arrays(late(table, reader)).to_pylist()
    assert values == [files[origin[8:]][-len(value) :] for origin, value in zip(
        table["origin"].to_pylist(), values, strict=True)]  # fmt: skip


def test_rows_may_be_any_subset_in_any_order(tmp_path: Path) -> None:
    for n in range(9):
        (tmp_path / f"{n}.dcm").write_bytes(make_ct(n))
    whole, _ = read(tmp_path, ["origin", "pixel_data"])
    table, reader = read(tmp_path, ["origin", "pixel_place"])
    order = [7, 7, 0, 3]
    values = pa.concat_arrays(late(table.take(order), pickle.loads(pickle.dumps(reader))))
    assert values.to_pylist() == whole["pixel_data"].take(order).to_pylist()


def test_a_file_that_changed_or_vanished_gives_null_and_costs_no_other(tmp_path: Path) -> None:
    for n in range(4):
        (tmp_path / f"{n}.dcm").write_bytes(make_ct(n))
    table, reader = read(tmp_path, ["origin", "pixel_place"])
    (tmp_path / "1.dcm").unlink()
    (tmp_path / "2.dcm").write_bytes(make_ct(2) + b"more")
    values = pa.concat_arrays(late(table, reader)).to_pylist()
    assert [value is None for value in values] == [False, True, True, False]
    assert values[3] == make_ct(3)[-len(values[3]) :]


def test_values_come_in_pieces_of_bounded_bytes(tmp_path: Path) -> None:
    for n in range(10):
        (tmp_path / f"{n}.dcm").write_bytes(make_ct(n, rows=64, columns=64))
    table, reader = read(
        tmp_path, ["origin", "pixel_place"], limits={"batch_bytes": 3 * 64 * 64 * 2}
    )
    assert [len(piece) for piece in late(table, reader)] == [3, 3, 3, 1]


def test_no_rows_give_no_values() -> None:
    _, reader = read(real_files("CT_small.dcm"), ["origin"])
    none = pa.array([], pa.string())
    assert [len(piece) for piece in reader(none, none)] == [0]


@pytest.mark.parametrize("place", [(128, 10, False, 600, None), (0, 0, True, 1, 2**64 - 1)])
def test_a_place_survives_its_text(place: tuple[Any, ...]) -> None:
    assert PixelPlace.parse(str(PixelPlace(*place))) == place
