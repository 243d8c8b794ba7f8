"""Both frames of one read: written or kept, whole or not at all."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dicomframe.api import plan_read
from dicomframe.errors import DicomFrameError, InvalidOptionError
from dicomframe.plugin import Backend, DicomFrames, PartitionTask, ReadPlan
from dicomframe.scan import parquet, parts
from dicomframe.scan.publishing import MARKER
from dicomframe.testing.conformance import assert_same_rows, read_oracle
from dicomframe.testing.samples import real_files
from dicomframe.testing.trees import make_tree


class LoopBackend(Backend):
    """An engine of plain Python, as a third party would write it: lazy, two methods."""

    def build(self, plan: ReadPlan) -> DicomFrames:
        return DicomFrames((plan, True), (plan, False))

    def to_arrow(self, frame: Any) -> pa.Table:
        plan, is_sound = frame
        table = pa.concat_tables(
            pa.Table.from_batches(plan.reader(each)) for each in plan.partitions
        )
        mask = table["reason"].is_null() if is_sound else table["reason"].is_valid()
        schema = plan.dicom_schema if is_sound else plan.corrupt_schema
        return table.filter(mask).select(schema.names)


class RetryingBackend(LoopBackend):
    """An engine that runs every task three times, and goes on after the first."""

    def __init__(self, between: Any = None) -> None:
        self.between = between

    def collect(self, frames: DicomFrames, plan: ReadPlan, task: PartitionTask) -> pa.Table:
        found = [task(each) for each in plan.partitions]
        if self.between is not None:
            self.between()
        for each in plan.partitions:
            pickle.loads(pickle.dumps(task))(each)
        task(plan.partitions[0])
        return pa.Table.from_batches(found)


def bind(plan: ReadPlan, backend: Backend | None = None) -> DicomFrames:
    backend = backend or LoopBackend()
    return backend.build(plan)._bind(backend, plan)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    make_tree(folder)
    return folder


def read_back(path: Path | str, file_system: Any = None) -> tuple[pa.Table, pa.Table]:
    """Return what any reader of Parquet finds, in the order of the origins."""
    dicom, corrupt = (
        pq.read_table(f"{path}/frame={frame}", filesystem=file_system, partitioning=None)
        for frame in ("dicom", "corrupt")
    )
    return dicom.sort_by("origin"), corrupt.sort_by("origin")


def names_below(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}


@pytest.mark.parametrize("pixels", ["bytes", "reference", "none"])
def test_written_frames_equal_the_oracle(tree: Path, tmp_path: Path, pixels: str) -> None:
    options: dict[str, Any] = {"tags": ["Rows", "ImageType"], "pixels": pixels, "warnings": True}
    bind(plan_read(tree, npartitions=3, **options)).write_parquet(tmp_path / "out")
    for actual, expected in zip(
        read_back(tmp_path / "out"), read_oracle(tree, **options), strict=True
    ):
        assert_same_rows(actual, expected)


def test_report_counts_what_was_read(tree: Path, tmp_path: Path) -> None:
    report = bind(plan_read(tree, npartitions=2)).write_parquet(tmp_path / "out")
    assert (report.files, report.dicom) == (13, 8)
    assert report.corrupt == {"empty": 1, "not_dicom": 2, "truncated": 2}
    whole = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
    assert 0 < report.bytes_read < 2 * whole
    assert report.path == f"file://{tmp_path}/out"
    assert report.bytes_written == sum(
        path.stat().st_size for path in (tmp_path / "out").rglob("*.parquet")
    )
    assert str(report).startswith("13 files: 8 dicom and 5 corrupt (1 empty, 2 not_dicom, 2 trun")


def test_marker_holds_the_report_and_names_every_part(tree: Path, tmp_path: Path) -> None:
    report = bind(plan_read(tree, npartitions=2)).write_parquet(tmp_path / "out")
    marker = json.loads((tmp_path / "out" / MARKER).read_text())
    assert marker["dicom"] == report.dicom
    assert marker["corrupt"] == report.corrupt
    assert {part["name"] for part in marker["parts"]} | {MARKER} == names_below(tmp_path / "out")
    assert sum(part["rows"] for part in marker["parts"]) == report.files


def test_frame_without_rows_has_a_part_with_its_schema(tmp_path: Path) -> None:
    plan = plan_read(real_files("CT_small.dcm"), ["Rows"])
    bind(plan).write_parquet(tmp_path / "out")
    dicom, corrupt = read_back(tmp_path / "out")
    assert (dicom.num_rows, corrupt.num_rows) == (1, 0)
    assert corrupt.schema.remove_metadata() == plan.corrupt_schema


def test_what_exists_is_neither_replaced_nor_mixed(tree: Path, tmp_path: Path) -> None:
    frames = bind(plan_read(tree))
    frames.write_parquet(tmp_path / "out")
    before = names_below(tmp_path / "out")
    with pytest.raises(FileExistsError, match="is there and not empty; add overwrite=True"):
        frames.write_parquet(tmp_path / "out")
    assert names_below(tmp_path / "out") == before
    with pytest.raises(FileExistsError, match="a file; give another path"):
        frames.write_parquet(tree / "CT_small.dcm")


def test_overwrite_leaves_the_new_dataset_alone(tree: Path, tmp_path: Path) -> None:
    bind(plan_read(tree, npartitions=3)).write_parquet(tmp_path / "out")
    before = names_below(tmp_path / "out")
    one = bind(plan_read(tree / "CT_small.dcm"))
    one.write_parquet(tmp_path / "out", overwrite=True)
    assert names_below(tmp_path / "out") & before == {MARKER}
    dicom, corrupt = read_back(tmp_path / "out")
    assert (dicom.num_rows, corrupt.num_rows) == (1, 0)


@pytest.mark.parametrize("name", ["mine.txt", "frame=dicom/mine.txt"])
def test_overwrite_deletes_nothing_of_others(tree: Path, tmp_path: Path, name: str) -> None:
    frames = bind(plan_read(tree))
    frames.write_parquet(tmp_path / "out")
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(FileExistsError, match="files that write_parquet did not write"):
        frames.write_parquet(tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / name).read_text() == "mine"


def test_only_the_parts_of_the_attempt_that_counts_are_there(tree: Path, tmp_path: Path) -> None:
    frames = bind(plan_read(tree, npartitions=3), RetryingBackend())
    report = frames.write_parquet(tmp_path / "out")
    assert report.files == 13
    for actual, expected in zip(read_back(tmp_path / "out"), read_oracle(tree), strict=True):
        assert_same_rows(actual, expected)


def test_two_actions_put_a_file_into_both_or_neither_and_one_pass_does_not(
    tree: Path, tmp_path: Path
) -> None:
    backend = LoopBackend()
    frames = bind(plan_read(tree))
    files = sorted(_origins(backend, frames))
    fault = _Fault(tree / "CT_small.dcm")

    dicom = backend.to_arrow(frames.dicom)
    with fault:
        corrupt = backend.to_arrow(frames.corrupt)
    found = [*dicom["origin"].to_pylist(), *corrupt["origin"].to_pylist()]
    assert found.count(fault.origin) == 2

    corrupt = backend.to_arrow(frames.corrupt)
    with fault:
        dicom = backend.to_arrow(frames.dicom)
    found = [*dicom["origin"].to_pylist(), *corrupt["origin"].to_pylist()]
    assert found.count(fault.origin) == 0

    plan = plan_read(tree, npartitions=2)
    for number, falters in enumerate([fault.begin, fault.end]):
        bind(plan, RetryingBackend(falters)).write_parquet(tmp_path / f"out{number}")
        dicom, corrupt = read_back(tmp_path / f"out{number}")
        found = [*dicom["origin"].to_pylist(), *corrupt["origin"].to_pylist()]
        assert sorted(found) == files


def _origins(backend: Backend, frames: DicomFrames) -> list[str]:
    return [origin for frame in frames for origin in backend.to_arrow(frame)["origin"].to_pylist()]


class _Fault:
    """A storage that cannot find one file for a while."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.origin = f"file://{path}"
        self.away = path.with_name("away")

    def begin(self) -> None:
        self.path.rename(self.path.parent.parent / "away")

    def end(self) -> None:
        (self.path.parent.parent / "away").rename(self.path)

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()


class FailingBackend(LoopBackend):
    """An engine whose last task fails, after the others have written their parts."""

    def collect(self, frames: DicomFrames, plan: ReadPlan, task: PartitionTask) -> pa.Table:
        for each in plan.partitions[:-1]:
            task(each)
        raise RuntimeError("a worker is gone")


@pytest.mark.parametrize("was_there", ["nothing", "folder", "dataset"])
def test_failed_run_leaves_what_was_there(tree: Path, tmp_path: Path, was_there: str) -> None:
    out = tmp_path / "out"
    if was_there == "folder":
        out.mkdir()
    if was_there == "dataset":
        bind(plan_read(tree / "CT_small.dcm")).write_parquet(out)
    before = names_below(out)
    frames = bind(plan_read(tree, npartitions=3), FailingBackend())
    with pytest.raises(RuntimeError, match="a worker is gone"):
        frames.write_parquet(out, overwrite=was_there == "dataset")
    assert out.exists() == (was_there != "nothing")
    assert names_below(out) == before


def test_task_that_fails_takes_its_own_parts_along(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_PART_BYTES", 1)
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 1)
    (tmp_path / "frame=dicom").mkdir()
    plan = plan_read(tree)
    store = parts.Store("file", "file://")
    writer = parts.PartWriter(
        parts.open_file_system(store), store, str(tmp_path), "dicom", "00000-x", plan.dicom_schema
    )
    writer.write(read_oracle(tree)[0])
    assert len(names_below(tmp_path / "frame=dicom")) >= 7
    writer.discard()
    assert names_below(tmp_path / "frame=dicom") == set()


def test_failure_while_parts_are_put_in_place_brings_the_old_dataset_back(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    bind(plan_read(tree / "CT_small.dcm")).write_parquet(out)
    before = names_below(out)
    local = type(fsspec.filesystem("file"))
    real_move = local.mv

    def fake_move(self: Any, source: str, goal: str, **options: Any) -> None:
        if goal == f"{out}/frame=dicom" and "/new/" in source:
            raise OSError(5, "the disk failed")
        real_move(self, source, goal, **options)

    monkeypatch.setattr(local, "mv", fake_move)
    with pytest.raises(OSError, match="input/output error"):
        bind(plan_read(tree)).write_parquet(out, overwrite=True)
    assert names_below(out) == before


def test_run_that_is_killed_leaves_nothing_that_looks_whole(tree: Path, tmp_path: Path) -> None:
    code = (
        "import os, signal\n"
        "from dicomframe.api import plan_read\n"
        "from test_onepass import LoopBackend, bind\n"
        "class Dying(LoopBackend):\n"
        "    def collect(self, frames, plan, task):\n"
        "        [task(each) for each in plan.partitions]\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"bind(plan_read({str(tree)!r}), Dying()).write_parquet({str(tmp_path / 'out')!r})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    (staging,) = (tmp_path / "out").iterdir()
    assert staging.name.startswith("_staging-")
    assert len(names_below(staging)) == 2
    assert pq.ParquetDataset(tmp_path / "out").files == []
    bind(plan_read(tree)).write_parquet(tmp_path / "out")
    assert read_back(tmp_path / "out")[0].num_rows == 8


def test_target_that_cannot_be_written_is_told_and_left_alone(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"cannot be written below .*not a directory"):
        bind(plan_read(tree)).write_parquet(tmp_path / "file" / "out")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("path", ["", "zip://a::file:///b", "/"])
def test_path_that_names_no_folder_is_refused(tree: Path, path: str) -> None:
    with pytest.raises(InvalidOptionError, match="a dataset must be written to a folder"):
        bind(plan_read(tree)).write_parquet(path)


def test_parts_that_do_not_arrive_are_an_error(tree: Path, tmp_path: Path) -> None:
    class Elsewhere(LoopBackend):
        """Workers with a disk of their own under the same path."""

        def collect(self, frames: DicomFrames, plan: ReadPlan, task: PartitionTask) -> pa.Table:
            told = super().collect(frames, plan, task)
            for path in (tmp_path / "out").rglob("part-*"):
                path.unlink()
            return told

    with pytest.raises(OSError, match="give a path that all workers and this process share"):
        bind(plan_read(tree), Elsewhere()).write_parquet(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change", [lambda table: table.slice(1), lambda table: pa.concat_tables([table] * 2)]
)
def test_engine_that_loses_or_doubles_results_writes_nothing(
    tree: Path, tmp_path: Path, change: Any
) -> None:
    class Wrong(LoopBackend):
        def collect(self, frames: DicomFrames, plan: ReadPlan, task: PartitionTask) -> pa.Table:
            last = [task(each) for each in plan.partitions]
            return change(pa.Table.from_batches(last[1:] + last[:1]))

    with pytest.raises(DicomFrameError, match="so nothing was written"):
        bind(plan_read(tree, npartitions=4), Wrong()).write_parquet(tmp_path / "out")
    assert not (tmp_path / "out").exists()


class FakeObjectStore(MemoryFileSystem):
    """A store without folders, as object stores are; it wants a credential."""

    protocol = "s3"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def __init__(self, key: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        if key != "sesame":
            raise PermissionError(f"no access with {key}")

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        raise AssertionError("an object store has no folders")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(str(path).removeprefix("s3://"))


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeObjectStore]:
    registry = importlib.import_module("fsspec.registry")  # fsspec.registry is its mapping
    monkeypatch.setitem(registry._registry, "s3", FakeObjectStore)
    FakeObjectStore.store.clear()
    FakeObjectStore.clear_instance_cache()
    yield FakeObjectStore(key="sesame")
    FakeObjectStore.clear_instance_cache()


def test_object_store_gets_a_dataset_and_another_in_its_place(
    tree: Path, object_store: FakeObjectStore
) -> None:
    frames = bind(plan_read(tree, npartitions=2))
    options = {"key": "sesame"}
    report = frames.write_parquet("s3://bucket/out", options)
    assert report.path == "s3://bucket/out"
    first = set(object_store.find("/bucket"))
    for actual, expected in zip(
        read_back("/bucket/out", object_store), read_oracle(tree), strict=True
    ):
        assert_same_rows(actual, expected)
    with pytest.raises(FileExistsError):
        frames.write_parquet("s3://bucket/out", options)
    frames.write_parquet("s3://bucket/out", options, overwrite=True)
    second = set(object_store.find("/bucket"))
    assert first & second == {f"/bucket/out/{MARKER}"}
    marker = json.loads(object_store.cat_file(f"/bucket/out/{MARKER}"))
    assert {f"/bucket/out/{part['name']}" for part in marker["parts"]} == second - first


def test_failure_on_an_object_store_leaves_the_old_dataset(
    tree: Path, object_store: FakeObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"key": "sesame"}
    bind(plan_read(tree / "CT_small.dcm")).write_parquet("s3://bucket/out", options)
    before = set(object_store.find("/bucket"))

    def fake_write(self: Any, path: str, data: bytes, **options: Any) -> None:
        raise ConnectionError("https://host/?signature=secret")

    monkeypatch.setattr(FakeObjectStore, "pipe_file", fake_write)
    with pytest.raises(OSError, match="cannot be written") as raised:
        bind(plan_read(tree)).write_parquet("s3://bucket/out", options, overwrite=True)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert set(object_store.find("/bucket")) == before


def test_credentials_of_the_target_are_shown_nowhere(
    tree: Path, object_store: FakeObjectStore
) -> None:
    frames = bind(plan_read(tree, npartitions=2))
    report = frames.write_parquet("s3://sesame:hush@bucket/out", {"key": "sesame"})
    marker = object_store.cat_file(f"/bucket/out/{MARKER}").decode()
    with pytest.raises(OSError, match="permission denied") as raised:
        frames.write_parquet("s3://who:hush@bucket/out", {"key": "wrong-key"})
    for text in (str(report), repr(report), marker, str(raised.value)):
        assert not any(word in text for word in ("sesame", "hush", "wrong-key"))


def test_part_of_a_row_group_is_bounded(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 3)
    monkeypatch.setattr(parquet, "_PART_BYTES", 1)
    bind(plan_read(real_files(), pixels="none", npartitions=1)).write_parquet(tmp_path / "out")
    files = list((tmp_path / "out" / "frame=dicom").iterdir())
    assert len(files) > 50
    assert all(pq.ParquetFile(path).metadata.num_rows <= 3 for path in files)


def test_value_too_large_for_parquet_is_null_and_counted(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "_MOST_VALUE_BYTES", 30_000)
    report = bind(plan_read(tree)).write_parquet(tmp_path / "out")
    dicom, _ = read_back(tmp_path / "out")
    lengths = [len(value) for value in dicom["pixel_data"].to_pylist() if value is not None]
    assert max(lengths) <= 30_000
    assert report.omitted > 0
    assert f"{report.omitted} values too large for Parquet are null" in str(report)


@pytest.mark.parametrize("method", ["persist", "write_parquet", "with_pixels"])
def test_frames_that_no_read_made_say_so(method: str, tree: Path) -> None:
    arguments = [] if method == "persist" else ["x"]
    made = DicomFrames("sound", "broken")
    replaced = bind(plan_read(tree))._replace(dicom="fewer")
    for frames in (made, replaced):
        with pytest.raises(DicomFrameError, match=f"so {method} does not know their files"):
            getattr(frames, method)(*arguments)


def test_frames_are_a_pair_that_pickles_with_its_methods(tree: Path, tmp_path: Path) -> None:
    frames = bind(plan_read(tree))
    dicom, corrupt = again = pickle.loads(pickle.dumps(frames))
    assert isinstance(again, DicomFrames)
    assert (again.dicom, again.corrupt) == (dicom, corrupt)
    assert again.write_parquet(tmp_path / "out").files == 13


def test_backend_of_two_methods_tells_what_it_cannot_do(tree: Path) -> None:
    frames = bind(plan_read(tree))
    with pytest.raises(NotImplementedError, match="use write_parquet"):
        frames.persist()
    with pytest.raises(NotImplementedError, match="read them with pixels='bytes'"):
        frames.with_pixels(frames.dicom)


def test_tree_that_is_gone_is_written_as_corrupt(tree: Path, tmp_path: Path) -> None:
    frames = bind(plan_read(tree))
    shutil.rmtree(tree)
    report = frames.write_parquet(tmp_path / "out")
    assert (report.dicom, dict(report.corrupt)) == (0, {"unreadable": 13})
