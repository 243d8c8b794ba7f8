"""The Dask backend."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pytest

from dicomframe import read_dicom
from dicomframe.api import plan_read
from dicomframe.plugin import DicomFrames, Partition, PartitionReader, ReadPlan
from dicomframe.registry import get_backend
from dicomframe.testing import BackendConformance
from dicomframe.testing.conformance import assert_same_rows, make_tree, read_oracle


class TestConformance(BackendConformance):
    engine = "dask"

    def count_partitions(self, frame: dd.DataFrame) -> int:
        return int(frame.npartitions)


@dataclass(frozen=True)
class CountingReader:
    """A real reader that writes down what it is asked for."""

    reader: PartitionReader
    log: Path

    def __call__(
        self, partition: Partition, columns: Sequence[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        names = self.reader.schema.names if columns is None else columns
        with self.log.open("a") as log:
            log.write(f"{partition.index} {' '.join(names)}\n")
        return self.reader(partition, columns)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.reader, name)


@dataclass
class Counted:
    """Frames over a counting reader."""

    frames: DicomFrames
    log: Path

    def reads(self) -> list[tuple[int, set[str]]]:
        """Return partition and columns of each call since the last time."""
        lines = self.log.read_text().splitlines()
        self.log.unlink()
        return [(int(i), set(names)) for i, *names in sorted(line.split() for line in lines)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    make_tree(folder)
    return folder


@pytest.fixture
def counted(tree: Path, tmp_path: Path) -> Counted:
    plan = plan_read(tree, ["Rows"], warnings=True, npartitions=2)
    log = tmp_path / "reads"
    reader: Any = CountingReader(plan.reader, log)
    return Counted(get_backend("dask").build(ReadPlan(plan.partitions, reader)), log)


def test_each_column_has_its_arrow_type(tree: Path) -> None:
    plan = plan_read(tree, ["ImageType", "StudyDate", "Rows"], warnings=True)
    frames = get_backend("dask").build(plan)
    for frame, schema in zip(frames, [plan.dicom_schema, plan.corrupt_schema], strict=True):
        assert {name: dtype.pyarrow_dtype for name, dtype in frame.dtypes.items()} == dict(
            zip(schema.names, schema.types, strict=True)
        )
        assert (frame.compute().dtypes == frame.dtypes).all()


def test_types_last_whatever_dask_is_set_to(tree: Path) -> None:
    with dask.config.set({"dataframe.convert-string": True}):
        dicom, _ = read_dicom(tree, engine="dask")
        assert dicom["metadata"].dtype == pd.ArrowDtype(pa.string())
        assert dicom.compute()["pixel_data"].dtype == pd.ArrowDtype(pa.large_binary())


def test_selected_columns_are_the_only_ones_read(counted: Counted) -> None:
    counted.frames.dicom[["origin", "metadata"]].compute()
    assert counted.reads() == [(n, {"origin", "metadata", "reason"}) for n in (0, 1)]


def test_corrupt_never_reads_pixels(counted: Counted) -> None:
    counted.frames.corrupt.compute()
    assert counted.reads() == [(n, {"origin", "reason", "detail", "offset"}) for n in (0, 1)]


def test_filter_on_a_tag_reads_that_and_what_is_selected(counted: Counted) -> None:
    dicom = counted.frames.dicom
    dicom[dicom["Rows"] > 100]["origin"].compute()
    assert counted.reads() == [(n, {"origin", "Rows", "reason"}) for n in (0, 1)]


@pytest.mark.parametrize("count", [len, lambda frame: frame.shape[0].compute()])
def test_counting_rows_reads_nothing_but_their_status(counted: Counted, count: Any) -> None:
    dicom, corrupt = counted.frames
    assert (count(dicom), count(corrupt)) == (8, 5)
    assert counted.reads() == [(n, {"reason"}) for n in (0, 0, 1, 1)]


def test_both_frames_computed_together_read_each_file_once(counted: Counted) -> None:
    dicom, corrupt = dask.compute(*counted.frames)
    assert (len(dicom), len(corrupt)) == (8, 5)
    assert [partition for partition, _ in counted.reads()] == [0, 1]


def test_both_frames_persisted_together_read_each_file_once(counted: Counted) -> None:
    dicom, corrupt = dask.persist(*counted.frames)
    assert (len(dicom), len(corrupt)) == (8, 5)
    assert [partition for partition, _ in counted.reads()] == [0, 1]


def test_pixels_are_not_read_for_the_other_columns_of_both_frames(counted: Counted) -> None:
    dask.compute(counted.frames.dicom[["origin", "metadata"]], counted.frames.corrupt)
    reads = counted.reads()
    assert [partition for partition, _ in reads] == [0, 1]
    assert not any("pixel_data" in columns for _, columns in reads)


def test_frames_are_short_to_print_and_show_no_path(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dicom, _ = read_dicom(tree, engine="dask", npartitions=3)
    dicom.pprint()
    printed = capsys.readouterr().out
    assert "func=read_dicom iterables=[(Partition(0" in printed
    for text in (printed, repr(dicom), repr(dicom.expr)):
        assert len(text) < 2000
        assert str(tree) not in text


def test_the_same_read_has_the_same_name(tree: Path) -> None:
    first, second, other = (
        read_dicom(tree, engine="dask", pixels=pixels).dicom._name
        for pixels in ("none", "none", "reference")
    )
    assert first == second != other


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_every_scheduler_gives_the_same_rows(tree: Path, scheduler: str) -> None:
    backend = get_backend("dask")
    frames = read_dicom(tree, engine="dask", npartitions=2)
    with dask.config.set(scheduler=scheduler, num_workers=2):
        dicom = backend.to_arrow(frames.dicom).sort_by("origin")
    assert_same_rows(dicom, read_oracle(tree)[0])


def test_dask_imports_no_other_engine(tree: Path) -> None:
    code = (
        "import sys; from dicomframe import read_dicom\n"
        f"read_dicom({str(tree)!r}, engine='dask').corrupt.compute()\n"
        "print(sorted({'dask', 'pyspark', 'dicomframe_spark'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.strip() == "['dask']"
