"""Archives among the files of a read: opened in place, by content, divided by members."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from archiving import make_tar, make_zip
from fsspec.implementations.memory import MemoryFileSystem

from dicomframe import read_bulk_data, scan_dicom
from dicomframe.api import plan_read
from dicomframe.testing.samples import make_ct


def read(path: Any, columns: list[str] | None = None, **options: Any) -> pa.Table:
    plan = plan_read(path, **options)
    batches = [b for part in plan.partitions for b in plan.reader(part, columns)]
    return pa.Table.from_batches(batches)


FILES = {f"s/{n:02d}": make_ct(n) for n in range(12)} | {
    "s/bad": make_ct(1)[:-9],
    "s/text": b"text",
}
MAKERS = {
    "a.zip": make_zip(FILES),
    "b.zip": make_zip(FILES, zipfile.ZIP_STORED),
    "c.tar": make_tar(FILES),
    "d.tar.gz": gzip.compress(make_tar(FILES)),
    "without-extension": make_zip(FILES),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("pixels", ["bytes", "none"])
def test_members_are_rows_like_files(tmp_path: Path, name: str, pixels: str) -> None:
    folder, archived = tmp_path / "f", tmp_path / "a"
    (folder / "s").mkdir(parents=True)
    archived.mkdir()
    for member, content in FILES.items():
        (folder / member).write_bytes(content)
    (archived / name).write_bytes(MAKERS[name])
    columns = ["reason", *(["pixel_data"] if pixels == "bytes" else [])]
    expected = read(folder, pixels=pixels).sort_by("origin")
    found = read(archived, pixels=pixels).sort_by("origin")
    assert found.select(columns) == expected.select(columns)
    suffix = f"::file://{archived}/{name}"
    for row in found["origin"].to_pylist():
        assert row.endswith(suffix)
        assert row.removesuffix(suffix).split("://")[1] in FILES


def test_a_zip_is_divided_over_partitions(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(MAKERS["a.zip"])
    plan = plan_read(tmp_path, npartitions=4)
    assert [len(part) > 0 for part in plan.partitions] == [True] * 4
    origins = [
        row
        for part in plan.partitions
        for b in plan.reader(part)
        for row in b["origin"].to_pylist()
    ]
    assert len(origins) == len(set(origins)) == len(FILES)


def test_a_large_zip_among_many_files_is_divided_and_a_small_one_is_not(tmp_path: Path) -> None:
    for n in range(70):
        (tmp_path / f"{n}.dcm").write_bytes(make_ct(n))
    (tmp_path / "small.zip").write_bytes(MAKERS["a.zip"])
    assert sum(map(len, plan_read(tmp_path).partitions)) == 71
    large = make_zip(FILES | {"s/large": bytes(17 << 20)}, zipfile.ZIP_STORED)
    (tmp_path / "large.zip").write_bytes(large)
    assert sum(map(len, plan_read(tmp_path).partitions)) == 71 + len(FILES) + 1
    assert read(tmp_path, pixels="none").num_rows == 70 + 2 * len(FILES) + 1


@pytest.mark.parametrize("name", ["n.zip", "n"])
def test_an_archive_in_an_archive_is_not_opened(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(make_zip({"inner.zip": MAKERS["a.zip"], "x": make_ct()}))
    table = read(tmp_path).sort_by("origin")
    assert table["reason"].to_pylist() == ["not_dicom", None]
    assert table["detail"][0].as_py() == "is a zip archive inside an archive, which is not opened"


def test_archives_are_left_alone_if_asked(tmp_path: Path) -> None:
    for name, data in MAKERS.items():
        (tmp_path / name).write_bytes(data)
    table = read(tmp_path, archives=False)
    assert table["reason"].to_pylist() == ["not_dicom"] * len(MAKERS)


def test_a_damaged_archive_is_one_row_and_what_could_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(MAKERS["a.zip"][:-30])
    (tmp_path / "c.tar").write_bytes(MAKERS["c.tar"][: len(MAKERS["c.tar"]) // 2])
    rows = {row["origin"]: row["reason"] for row in read(tmp_path).to_pylist()}
    assert rows[f"file://{tmp_path}/a.zip"] == "truncated"
    assert rows[f"file://{tmp_path}/c.tar"] == "truncated"
    assert list(rows.values()).count(None) > 3


@pytest.mark.parametrize("name", ["a.zip", "x"])
def test_limits_count_for_members(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(make_zip({"x": make_ct(), "zeros": make_ct() + bytes(1 << 20)}))
    table = read(tmp_path, limits={"inflated_bytes": 1 << 19}).sort_by("origin")
    assert table["reason"].to_pylist() == [None, "too_large"]


def test_a_bulk_value_of_a_member_is_fetched_by_its_uri(tmp_path: Path) -> None:
    (tmp_path / "d.tar.gz").write_bytes(MAKERS["d.tar.gz"])
    table = read(tmp_path)
    sound = table.filter(pa.compute.is_null(table["reason"]))
    for metadata, pixels in zip(
        sound["metadata"].to_pylist()[:3], sound["pixel_data"].to_pylist(), strict=False
    ):
        assert read_bulk_data(json.loads(metadata)["7FE00010"]["BulkDataURI"]) == pixels


@pytest.mark.parametrize("name", MAKERS)
def test_pixels_of_members_are_read_later_too(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(MAKERS[name])
    (tmp_path / "z.dcm").write_bytes(make_ct(5))
    whole = read(tmp_path, ["origin", "pixel_data"])
    plan = plan_read(tmp_path)
    places = read(tmp_path, ["origin", "pixel_place"]).combine_chunks().to_batches()[0]
    values = pa.chunked_array(list(plan.pixel_reader(places["origin"], places["pixel_place"])))
    assert values.null_count == 2
    assert values == whole["pixel_data"]


def test_archives_of_a_remote_store(memory: MemoryFileSystem) -> None:
    memory.pipe({f"/r/{name}": data for name, data in MAKERS.items()})
    rows = pa.Table.from_batches(scan_dicom("memory://r")).to_pylist()
    assert len(rows) == len(MAKERS) * len(FILES)
    assert sum(row["reason"] is None for row in rows) == len(MAKERS) * 12


def test_an_archive_that_changes_after_listing_costs_its_rows_only(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(MAKERS["a.zip"])
    (tmp_path / "z.dcm").write_bytes(make_ct(5))
    plan = plan_read(tmp_path)
    (tmp_path / "a.zip").write_bytes(b"PK no more")
    table = pa.Table.from_batches([b for part in plan.partitions for b in plan.reader(part)])
    assert table["reason"].to_pylist().count("unreadable") == len(FILES)
    assert table["reason"].null_count == 1
