"""A partition's files to record batches."""

from __future__ import annotations

import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pydicom
import pytest

from dicomframe.api import plan_read
from dicomframe.dicom.header import Header, Learned
from dicomframe.scan import batches as batches_module
from dicomframe.scan import reading
from dicomframe.scan.outcomes import Outcomes
from dicomframe.scan.ranges import LocalFile, StorageFault
from dicomframe.testing.samples import element, make_ct, make_file, real_files


def read(path: Any, columns: list[str] | None = None, **options: Any) -> pa.Table:
    plan = plan_read(path, **options)
    batches = [b for part in plan.partitions for b in plan.reader(part, columns)]
    return pa.Table.from_batches(batches)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        (tmp_path / f"{number}.dcm").write_bytes(make_ct(number))
    (tmp_path / "7.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(500))
    (tmp_path / "8.txt").write_text("not an image")
    return tmp_path


def test_rows_come_in_path_order_with_the_columns_of_both_frames(folder: Path) -> None:
    table = read(folder, tags=["InstanceNumber"], warnings=True)
    assert table.column_names == [
        *("origin", "metadata", "InstanceNumber", "pixel_data", "warnings"),
        *("reason", "detail", "offset"),
    ]
    assert table["InstanceNumber"].to_pylist() == [0, 1, 2, 3, 4, 5, None, None]
    assert table["reason"].to_pylist() == [None] * 6 + ["not_dicom"] * 2
    assert table["origin"].to_pylist() == sorted(table["origin"].to_pylist())
    table.validate(full=True)


def test_pixels_are_those_of_pydicom() -> None:
    table = read([real_files(name) for name in ("CT_small.dcm", "JPEG2000.dcm", "image_dfl.dcm")])
    for origin, pixels in zip(
        *table.select(["origin", "pixel_data"]).to_pydict().values(), strict=True
    ):
        assert pixels == pydicom.dcmread(origin.removeprefix("file://")).PixelData


def test_reference_tells_the_place_of_the_pixels(folder: Path) -> None:
    whole, place = read(folder), read(folder, pixels="reference")
    assert "pixel_data" not in place.column_names
    for row, pixels in zip(place.to_pylist(), whole["pixel_data"].to_pylist(), strict=True):
        if row["reason"] is None:
            data = Path(row["origin"].removeprefix("file://")).read_bytes()
            assert data[row["pixel_offset"] :][: row["pixel_length"]] == pixels
        else:
            assert row["pixel_offset"] is row["pixel_length"] is pixels is None


def test_reference_is_null_in_a_deflated_file() -> None:
    row = read(real_files("image_dfl.dcm"), pixels="reference").to_pylist()[0]
    assert row["pixel_offset"] is row["pixel_length"] is row["reason"] is None


def test_columns_are_given_in_the_order_wanted(folder: Path) -> None:
    table = read(folder, columns=["reason", "origin"], tags=["Rows"])
    assert table.column_names == ["reason", "origin"]
    with pytest.raises(KeyError):
        read(folder, columns=["nonsense"])


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_the_rows_of_a_frame_are_those_of_no_other(tmp_path: Path, broken: int) -> None:
    for number in range(2):
        data = b"" if number < broken else make_ct(number)
        (tmp_path / f"{number}.dcm").write_bytes(data)
    plan = plan_read(tmp_path, npartitions=1)
    expected = {"dicom": ["0.dcm", "1.dcm"][broken:], "corrupt": ["0.dcm", "1.dcm"][:broken]}
    for frame, names in expected.items():
        batches = list(plan.reader.read_frame(frame, plan.partitions[0], ("origin",)))
        table = pa.Table.from_batches(batches)
        assert table.column_names == ["origin"]
        assert [Path(origin).name for origin in table["origin"].to_pylist()] == names


def test_pixels_are_read_only_if_they_are_wanted(folder: Path) -> None:
    def cost(columns: list[str]) -> int:
        plan = plan_read(folder)
        options = reading.ReadOptions(counts_bytes=True)
        reader = reading.PartitionReader(options)
        batches = [b for part in plan.partitions for b in reader(part, [*columns, "bytes_read"])]
        return int(sum(sum(batch["bytes_read"].to_pylist()) for batch in batches))

    for number in range(6):
        (folder / f"{number}.dcm").write_bytes(make_ct(number, rows=256, columns=256))
    pixels = 6 * 256 * 256 * 2
    assert cost(["origin", "metadata", "reason"]) < pixels // 4
    assert cost(["pixel_data"]) == cost(["origin", "metadata", "reason"]) + pixels


def test_batches_are_cut_by_rows_and_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches_module, "_BATCH_ROWS", 4)
    sizes = [1000, 1000, 1000, 1000, 5000, 100, 100, 100, 100, 100]
    for number, size in enumerate(sizes):
        pixels = element(0x7FE00010, "OW", bytes([number]) * size)
        (tmp_path / f"{number}").write_bytes(make_file(element(0x00080060, "CS", "MR"), pixels))
    plan = plan_read(tmp_path, npartitions=1, limits={"batch_bytes": 3000})
    batches = list(plan.reader(plan.partitions[0]))
    assert [batch.num_rows for batch in batches] == [3, 1, 1, 4, 1]
    found = [value for batch in batches for value in batch["pixel_data"].to_pylist()]
    assert found == [bytes([number]) * size for number, size in enumerate(sizes)]


def test_batches_are_cut_by_what_metadata_takes(tmp_path: Path) -> None:
    sizes = [400, 400, 400, 5000, 100, 100]
    for number, size in enumerate(sizes):
        text = element(0x00204000, "LT", "x" * size)
        (tmp_path / f"{number}").write_bytes(make_file(element(0x00080060, "CS", "MR"), text))
    plan = plan_read(tmp_path, npartitions=1, limits={"batch_bytes": 1500})
    (partition,) = plan.partitions
    batches = list(plan.reader(partition))
    assert [batch.num_rows for batch in batches] == [2, 1, 1, 2]
    origins = [origin for batch in batches for origin in batch["origin"].to_pylist()]
    assert [origin[-1] for origin in origins] == list("012345")
    (batch,) = plan.reader(partition, ["origin"])  # where it is not wanted it takes nothing
    assert batch.num_rows == 6


def test_a_partition_without_files_gives_one_batch_without_rows(tmp_path: Path) -> None:
    plan = plan_read(tmp_path, tags=["PatientAge"], warnings=True)
    (batch,) = plan.reader(plan.partitions[0])
    assert (batch.num_rows, batch.schema) == (0, plan.schema)


def test_a_file_that_vanishes_after_listing_is_unreadable(folder: Path) -> None:
    plan = plan_read(folder)
    (folder / "3.dcm").unlink()
    (batch,) = plan.reader(plan.partitions[0])
    assert [row["reason"] for row in batch.to_pylist()].count("unreadable") == 1
    assert batch["reason"][3].as_py() == "unreadable"


def test_what_took_the_place_of_a_file_after_listing_is_told_and_not_waited_for(
    folder: Path,
) -> None:
    plan = plan_read(folder)
    for number in range(4):
        (folder / f"{number}.dcm").unlink()
    os.mkfifo(folder / "0.dcm")
    (folder / "1.dcm").mkdir()
    (folder / "2.dcm").symlink_to("/dev/null")
    (folder / "3.dcm").symlink_to("/")
    (batch,) = plan.reader(plan.partitions[0])
    assert batch["reason"].to_pylist()[:5] == ["unreadable"] * 4 + [None]
    assert batch["detail"].to_pylist()[:4] == [
        "is a FIFO, not a regular file",
        "is a folder, not a regular file",
        "is a character device, not a regular file",
        "is a folder, not a regular file",
    ]


def test_a_file_that_is_cut_after_listing_is_judged_as_it_is(folder: Path) -> None:
    plan = plan_read(folder)
    (folder / "3.dcm").write_bytes(make_ct(3)[:-10])
    (batch,) = plan.reader(plan.partitions[0])
    assert batch["reason"][3].as_py() == "truncated"


def test_a_file_that_cannot_be_closed_is_one_row_as_any_other(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = LocalFile.close

    def fail(file: LocalFile) -> None:
        close(file)
        raise StorageFault("input/output error")

    monkeypatch.setattr(LocalFile, "close", fail)
    assert read(folder)["reason"].to_pylist() == [None] * 6 + ["not_dicom"] * 2


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[LocalFile]:
    """The local files that were opened."""
    files: list[LocalFile] = []
    init = LocalFile.__init__

    def note(file: LocalFile, path: bytes) -> None:
        init(file, path)
        files.append(file)

    monkeypatch.setattr(LocalFile, "__init__", note)
    return files


@pytest.mark.parametrize("columns", [None, ["origin", "metadata"]], ids=["pixels", "headers"])
def test_no_file_stays_open_if_the_reading_is_given_up(
    columns: list[str] | None,
    folder: Path,
    opened: list[LocalFile],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches_module, "_BATCH_ROWS", 1)
    plan = plan_read(folder, npartitions=1)
    batches: Any = plan.reader(plan.partitions[0], columns)
    assert next(batches).num_rows == 1
    batches.close()
    assert 1 < len(opened) <= 8
    assert [file for file in opened if file._descriptor >= 0] == []


@pytest.mark.parametrize("wants_pixels", [True, False])
def test_few_files_are_open_at_once_and_each_as_long_as_its_row_is_looked_at(
    wants_pixels: bool, tmp_path: Path, opened: list[LocalFile]
) -> None:
    for number in range(50):
        (tmp_path / f"{number:02}.dcm").write_bytes(make_ct(number) if number % 7 else b"")
    plan = plan_read(tmp_path, npartitions=1)
    (partition,) = plan.partitions
    outcomes = Outcomes(plan.reader.options, partition.stores, Learned(), wants_pixels=wants_pixels)
    rows = 0
    for _, file, _, _ in outcomes.read(partition.files()):
        assert isinstance(file, LocalFile)
        assert file._descriptor >= 0
        assert sum(file._descriptor >= 0 for file in opened) <= 16
        rows += 1
    assert rows == len(opened) == 50
    assert [file for file in opened if file._descriptor >= 0] == []


def test_the_threads_of_many_cores_leave_descriptors_to_others(
    tmp_path: Path, opened: list[LocalFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        (tmp_path / f"{number:02}.dcm").write_bytes(make_ct(number))
    plan = plan_read(tmp_path, npartitions=1)
    (partition,) = plan.partitions

    def most_open(cores: int, allowed: int) -> int:
        opened.clear()
        monkeypatch.setattr("os.cpu_count", lambda: cores)
        monkeypatch.setattr("resource.getrlimit", lambda _: (allowed, allowed))
        outcomes = Outcomes(plan.reader.options, partition.stores, None, wants_pixels=False)
        rows = outcomes.read(partition.files())
        return max(sum(file._descriptor >= 0 for file in opened) for _ in rows)

    assert most_open(cores=4, allowed=1024) == 16
    assert most_open(cores=64, allowed=1024) == 4
    assert most_open(cores=12, allowed=256) == 5
    assert most_open(cores=512, allowed=64) == 1
    assert most_open(cores=64, allowed=resource.RLIM_INFINITY) == 16


def test_what_the_first_of_some_files_needs_is_read_of_all_of_them(tmp_path: Path) -> None:
    long = element(0x00204000, "LT", "x" * 30_000)
    for number in range(12):
        first = element(0x00080018, "UI", f"1.2.3.{number:02}")
        series = element(0x0020000E, "UI", "1.2.3")
        (tmp_path / f"{number:02}.dcm").write_bytes(make_file(first, series, long))
    plan = plan_read(tmp_path, npartitions=1)
    (partition,) = plan.partitions
    outcomes = Outcomes(plan.reader.options, partition.stores, Learned(), wants_pixels=False)
    headers = [header for _, _, header, _ in outcomes.read(partition.files())]
    known = [header.template is not None for header in headers if isinstance(header, Header)]
    assert len(known) == 12
    assert all(known[4:])


def test_a_fault_of_our_own_costs_one_row_and_shows_no_value(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(header: Any, columns: Any) -> list[Any]:
        if b'"00200013":{"vr":"IS","Value":[3]}' in header.metadata:
            raise ZeroDivisionError("Doe^Jane")
        return [None]

    monkeypatch.setattr(batches_module, "typed_values", fail)
    table = read(folder, tags=["Modality"])
    assert table["reason"].to_pylist().count("malformed") == 1
    assert table.num_rows == 8
    assert "Doe" not in str(table["detail"].to_pylist())


def test_plan_and_reader_pickle_small_and_import_no_engine(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"image-{number:06d}.dcm").touch()
    plan = plan_read(tmp_path, tags=["PatientAge"], npartitions=2)
    pickled = pickle.dumps(plan)
    assert len(pickled) < 2000 * 30
    code = (
        "import pickle, sys; plan = pickle.load(sys.stdin.buffer); "
        "assert not {'pyspark', 'dask', 'pandas'} & set(sys.modules); "
        "print(sum(b.num_rows for p in plan.partitions for b in plan.reader(p)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickled, capture_output=True, check=True
    )
    assert done.stdout.strip() == b"2000"


def test_the_same_listing_and_options_give_the_same_plan(folder: Path) -> None:
    assert pickle.dumps(plan_read(folder, npartitions=3)) == pickle.dumps(
        plan_read(folder, npartitions=3)
    )


def test_memory_of_pixels_is_that_of_one_buffer(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(make_ct(rows=1024, columns=1024))
    plan = plan_read(tmp_path)
    before = pa.total_allocated_bytes()
    (batch,) = plan.reader(plan.partitions[0])
    assert batch["pixel_data"].nbytes < 2**21 + 1000
    assert pa.total_allocated_bytes() - before < 2**21 + 100_000
