"""The Dask backend."""

from __future__ import annotations

import errno
import multiprocessing
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
import dask.callbacks
import dask.dataframe as dd
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicomframe import DicomFrameError, InvalidOptionError, read_dicom
from dicomframe.api import plan_read
from dicomframe.plugin import DicomFrames, Partition, PartitionReader, ReadPlan
from dicomframe.registry import get_backend
from dicomframe.testing import BackendConformance
from dicomframe.testing.conformance import assert_same_rows, read_oracle
from dicomframe.testing.trees import make_tree


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


@pytest.mark.parametrize(
    "ask",
    [
        lambda dicom: [dicom["Rows"].sum(), dicom["Rows"].count()],
        lambda dicom: [dicom.groupby("Rows").size(), dicom["origin"].str.len().sum()],
        lambda dicom: [dicom[dicom["Rows"] > 100]["origin"], dicom["Rows"].max()],
        lambda dicom: [dicom[["origin"]], dicom[["Rows", "origin"]], dicom["Rows"]],
    ],
)
def test_questions_asked_together_read_each_file_once(counted: Counted, ask: Any) -> None:
    dask.compute(*ask(counted.frames.dicom))
    assert [partition for partition, _ in counted.reads()] == [0, 1]


@pytest.mark.parametrize(
    "count",
    [
        lambda frame: frame.assign(one=1)["one"].sum().compute(),
        lambda frame: len(frame[[]].compute()),
        lambda frame: len(frame[["origin"]][[]].compute()),
    ],
)
def test_rows_are_those_of_the_frame_where_no_column_is_used(counted: Counted, count: Any) -> None:
    dicom, corrupt = counted.frames
    assert (count(dicom), count(corrupt)) == (8, 5)
    assert counted.reads() == [(n, {"reason"}) for n in (0, 0, 1, 1)]


def test_one_frame_is_read_and_split_in_one_task(counted: Counted) -> None:
    length = counted.frames.dicom["metadata"].str.len().sum().optimize(fuse=False)
    names = {key[0].partition("-")[0] for key in length.dask}
    assert not any("split" in name for name in names)
    assert "read_dicom" in names


def test_pixels_are_not_read_for_the_other_columns_of_both_frames(counted: Counted) -> None:
    dask.compute(counted.frames.dicom[["origin", "metadata"]], counted.frames.corrupt)
    reads = counted.reads()
    assert [partition for partition, _ in reads] == [0, 1]
    if hasattr(dask.base, "collections_to_expr"):  # Dask 2025.1 hands no columns down here
        assert not any("pixel_data" in columns for _, columns in reads)


def test_frames_are_short_to_print_and_show_no_path(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dicom, _ = read_dicom(tree, engine="dask", npartitions=3)
    dicom.pprint()
    printed = capsys.readouterr().out
    assert "func=read_dicom iterables=[<3 partitions, 13 files>]" in printed
    for text in (printed, repr(dicom), repr(dicom.expr)):
        assert len(text) < 2000
        assert str(tree) not in text


def test_the_same_read_has_the_same_name(tree: Path) -> None:
    first, second, other = (
        read_dicom(tree, engine="dask", pixels=pixels).dicom._name
        for pixels in ("none", "none", "reference")
    )
    assert first == second != other


def names_elsewhere(tree: Path) -> list[str]:
    """Return names and tokens of a read of `tree` in another process."""
    code = (
        "import dask; from dicomframe import read_dicom\n"
        f"frames = read_dicom({str(tree)!r}, 'dask', tags=['Rows'], npartitions=2)\n"
        "late = frames.with_pixels(frames.dicom[['origin', 'Rows']])\n"
        "for frame in (*frames, late):\n"
        "    print(frame._name, dask.base.tokenize(frame))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.splitlines()


def test_names_and_tokens_are_those_of_the_listing(tree: Path) -> None:
    first = names_elsewhere(tree)
    assert names_elsewhere(tree) == first
    with (tree / "CT_small.dcm").open("ab") as file:
        file.write(b"\0")
    changed = names_elsewhere(tree)
    assert not set(changed) & set(first)


@pytest.mark.parametrize("name", ["dicom", "corrupt", "filtered", "late", "grouped"])
def test_names_of_tasks_are_short_and_tell_what_they_do(tree: Path, name: str) -> None:
    frames = read_dicom(tree, engine="dask", tags=["Rows"], npartitions=2)
    few = frames.dicom[frames.dicom["Rows"] > 100]
    frame = {
        "dicom": frames.dicom,
        "corrupt": frames.corrupt,
        "filtered": few[["origin", "Rows"]],
        "late": frames.with_pixels(few[["origin", "Rows"]]),
        "grouped": few.groupby("Rows")["origin"].count(),
    }[name]
    keys = [str(key) for key in frame.optimize().__dask_graph__()]
    assert max(map(len, keys)) < 80
    assert sum("read_dicom" in key for key in keys) == 2
    assert str(tree) not in "".join(keys)


@pytest.fixture
def read_names(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Return the files that are read from here on, each with whether its pixels are."""
    names: list[tuple[str, bool]] = []
    real_call = PartitionReader.__call__

    def call(self: PartitionReader, partition: Partition, columns: Any = None) -> Any:
        wanted = self.schema.names if columns is None else columns
        names.extend((Path(each.path).name, "pixel_data" in wanted) for each in partition.files())
        return real_call(self, partition, columns)

    monkeypatch.setattr(PartitionReader, "__call__", call)
    return names


@pytest.mark.parametrize("pixels", ["none", "reference", "bytes"])
def test_late_pixels_are_read_for_the_rows_that_are_left(
    tree: Path, pixels: str, read_names: list[tuple[str, bool]]
) -> None:
    expected = read_oracle(tree)[0]
    names = ["image_dfl.dcm", "rtplan.dcm", "CT_small.dcm"]  # deflated, without pixels, native
    read_names.clear()
    frames = read_dicom(tree, engine="dask", pixels=pixels, npartitions=2)
    dicom = frames.dicom[["origin", "metadata"]] if pixels == "bytes" else frames.dicom
    few = dicom[dicom["origin"].str.contains("dfl|rtplan|CT_small")]
    actual = get_backend("dask").to_arrow(frames.with_pixels(few)).sort_by("origin")
    mask = pa.array([Path(each).name in names for each in expected["origin"].to_pylist()])
    assert_same_rows(actual.select(["origin", "pixel_data"]), expected.filter(mask).select([0, 2]))
    assert sorted(name for name, is_late in read_names if is_late) == sorted(names)


def test_late_pixels_that_are_not_used_are_not_read(
    tree: Path, read_names: list[tuple[str, bool]]
) -> None:
    frames = read_dicom(tree, engine="dask", tags=["Rows"], pixels="none")
    late = frames.with_pixels(frames.dicom)
    assert late["pixel_data"].dtype == pd.ArrowDtype(pa.large_binary())
    assert late.columns[-1] == "pixel_data"
    assert read_names == []
    assert len(late) == len(late[["origin", "metadata"]].compute()) == 8
    assert not any(is_late for _, is_late in read_names)
    assert set(late[["origin", "pixel_data"]].compute().columns) == {"origin", "pixel_data"}
    assert sum(is_late for _, is_late in read_names) == 8


def test_late_pixels_of_a_file_that_has_changed_are_null(tree: Path) -> None:
    expected = pixels_by_origin(tree)
    kept = read_dicom(tree, engine="dask", pixels="none", npartitions=1).persist()
    (tree / "CT_small.dcm").unlink()
    shutil.copyfile(tree / "JPEG2000.dcm", tree / "deep" / "deeper" / "MR_small_bigendian.dcm")
    late = kept.with_pixels(kept.dicom[["origin", "metadata"]]).compute()
    missing = set(late["origin"][late["pixel_data"].isna()])
    changed = {name for name in expected if name.endswith(("CT_small.dcm", "bigendian.dcm"))}
    assert missing == changed | {name for name, pixels in expected.items() if pixels is None}


def test_late_pixels_follow_rows_without_order_without_origin_and_twice(tree: Path) -> None:
    frames = read_dicom(tree, engine="dask", pixels="none", npartitions=1)
    origins = sorted(frames.dicom["origin"].compute())
    rows = [origins[3], None, origins[0], origins[3], origins[1], None]
    column = pd.array(rows, dtype=pd.ArrowDtype(pa.string()))
    frame = dd.from_pandas(pd.DataFrame({"origin": column}), npartitions=1, sort=False)
    late = frames.with_pixels(frame).compute()["pixel_data"]
    expected = pixels_by_origin(tree)
    found = [None if value is pd.NA else value for value in late]
    assert found == [expected.get(origin) for origin in rows]


def pixels_by_origin(tree: Path) -> dict[str | None, bytes | None]:
    dicom = read_oracle(tree)[0]
    return dict(zip(dicom["origin"].to_pylist(), dicom["pixel_data"].to_pylist(), strict=True))


def test_late_pixels_want_a_frame_with_origins_and_without_pixels(tree: Path) -> None:
    frames = read_dicom(tree, engine="dask")
    for frame in (frames.dicom, frames.dicom[["metadata"]]):
        with pytest.raises(InvalidOptionError, match="'pixel_data', found 'metadata'"):
            frames.with_pixels(frame[[name for name in frame.columns if name != "origin"]])
        with pytest.raises(InvalidOptionError):
            frames.with_pixels(frame)
    with pytest.raises(InvalidOptionError, match="found an object of 'list'"):
        frames.with_pixels([])


def test_kept_frames_are_of_one_read(tree: Path, read_names: list[tuple[str, bool]]) -> None:
    frames = read_dicom(tree, engine="dask", npartitions=2)
    kept = frames.persist()
    assert len(read_names) == 13
    shutil.rmtree(tree)
    origins = [*kept.dicom["origin"].compute(), *kept.corrupt["origin"].compute()]
    assert (len(kept.dicom), len(kept.corrupt), len(set(origins))) == (8, 5, 13)
    assert len(read_names) == 13
    assert kept.persist() is kept
    with pytest.raises(DicomFrameError, match="the engine's own writer"):
        kept.write_parquet(tree)


def test_two_actions_disagree_where_kept_and_written_frames_do_not(
    tree: Path, tmp_path: Path
) -> None:
    frames = read_dicom(tree, engine="dask", npartitions=2)
    kept = frames.persist()
    origin = f"file://{tree}/CT_small.dcm"
    assert origin in set(frames.dicom["origin"].compute())
    (tree / "CT_small.dcm").unlink()
    assert origin in set(frames.corrupt["origin"].compute())
    assert origin in set(kept.dicom["origin"].compute())
    assert origin not in set(kept.corrupt["origin"].compute())
    report = frames.write_parquet(tmp_path / "out")
    assert (report.dicom, report.files) == (7, 13)


@contextmanager
def pool_of(scheduler: str) -> Iterator[None]:
    """Have one pool of new processes for all computations, as each import takes a while."""
    if scheduler != "processes":
        yield
        return
    with (
        ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool,
        dask.config.set(pool=pool),
    ):
        yield


@pytest.mark.parametrize("scheduler", ["synchronous", "threads", "processes"])
def test_every_scheduler_reads_and_writes_the_same(
    tree: Path, tmp_path: Path, scheduler: str
) -> None:
    backend = get_backend("dask")
    frames = read_dicom(tree, engine="dask", npartitions=2)
    expected = read_oracle(tree)
    with dask.config.set(scheduler=scheduler), pool_of(scheduler):
        for frame, rows in zip(frames, expected, strict=True):
            assert_same_rows(backend.to_arrow(frame).sort_by("origin"), rows)
        few = frames.with_pixels(frames.dicom[["origin", "metadata"]])
        late = backend.to_arrow(few).sort_by("origin")
        assert_same_rows(late, expected[0])
        assert frames.write_parquet(tmp_path / "out").files == 13
    for frame, rows in zip(("dicom", "corrupt"), expected, strict=True):
        table = pq.read_table(tmp_path / "out" / f"frame={frame}", partitioning=None)
        assert_same_rows(table.sort_by("origin"), rows)


def test_written_frames_are_datasets_to_dask(tree: Path, tmp_path: Path) -> None:
    read_dicom(tree, engine="dask", npartitions=3).write_parquet(tmp_path / "out")
    dicom = dd.read_parquet(tmp_path / "out" / "frame=dicom", columns=["origin"])
    assert len(dicom) == 8


def test_worker_that_raises_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    frames = read_dicom(tree, engine="dask", npartitions=2)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="cannot be written below"):
        frames.write_parquet(tmp_path / "file" / "out")
    out = tmp_path / "out"
    out.mkdir()
    with dask.config.set(scheduler="synchronous"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pq.ParquetWriter, "close", _fail)
        with pytest.raises(OSError, match="no space left on device"):
            frames.write_parquet(out)
    assert list(out.iterdir()) == []


def _fail(*_: object) -> None:
    raise OSError(errno.ENOSPC, "disk full")


def test_progress_bar_counts_one_read_for_each_partition(tree: Path, tmp_path: Path) -> None:
    frames = read_dicom(tree, engine="dask", npartitions=3)
    with Counting() as counting:
        frames.dicom.compute()
        frames.write_parquet(tmp_path / "out")
    names = [str(key[0]).partition("-")[0] for key in counting.keys]
    assert (names.count("read_dicom"), names.count("write_dicom")) == (3, 3)


class Counting(dask.callbacks.Callback):
    """What a progress bar of Dask is made of."""

    def __init__(self) -> None:
        self.keys: list[Any] = []
        super().__init__(posttask=lambda key, *_: self.keys.append(key))


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
