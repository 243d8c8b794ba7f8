"""``spark.readStream.format("dicom")``: each file in exactly one batch of a checkpoint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dicomframe.plugin import InvalidOptionError
from dicomframe.testing.samples import make_ct
from dicomframe_spark import batch_log
from dicomframe_spark.source import DicomDataSource
from dicomframe_spark.stream import DicomStreamReader


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@pytest.fixture
def arrive(inbox: Path, tmp_path: Path) -> Callable[..., None]:
    """Return what lets a file appear whole: a stream that runs takes half a file for a file."""

    def arrive(*names: str, content: bytes | None = None, changed: int | None = None) -> None:
        for name in names:
            file = tmp_path / "on its way"
            file.write_bytes(make_ct() if content is None else content)
            if changed is not None:
                os.utime(file, (changed, changed))
            file.rename(inbox / name)

    return arrive


@pytest.fixture
def make_reader(inbox: Path, tmp_path: Path) -> Callable[..., DicomStreamReader]:
    """Return what starts the source as a driver does that was started anew."""

    def make_reader(**options: str) -> DicomStreamReader:
        given = {"path": str(inbox), "stateLocation": str(tmp_path / "state"), "pixels": "none"}
        source = DicomDataSource({**given, **options})
        reader = source.streamReader(source.schema())
        assert isinstance(reader, DicomStreamReader)
        return reader

    return make_reader


def names_of(reader: DicomStreamReader, start: Any, end: Any) -> list[str]:
    """Return the names of the files that the tasks of a batch read, in order."""
    found = []
    for partition in reader.partitions(start, end):
        for batch in reader.read(partition):
            found += [Path(origin).name for origin in batch["origin"].to_pylist()]
    return sorted(found)


def test_five_batches_and_restarts_give_each_file_once(
    inbox: Path, arrive: Any, tmp_path: Path, spark: SparkSession
) -> None:
    def start() -> Any:
        frame = (
            spark.readStream.format("dicom")
            .options(tags="Modality", maxFilesPerTrigger=4, stateLocation=f"{tmp_path}/state")
            .load(str(inbox))
        )
        return (
            frame.writeStream.format("parquet")
            .option("checkpointLocation", f"{tmp_path}/checkpoint")
            .start(f"{tmp_path}/out")
        )

    query = start()
    expected = []
    for batch in range(5):
        names = [f"{batch}-{number}.dcm" for number in range(5)]
        arrive(*names)
        expected += names
        if batch in {1, 3}:  # the files arrive while the query runs, or while it is down
            query.stop()
            query = start()
        query.processAllAvailable()
    arrive("late.dcm", changed=1)
    arrive("bad.dcm", content=make_ct()[:1000])
    query.processAllAvailable()
    query.stop()
    rows = spark.read.parquet(f"{tmp_path}/out").collect()
    assert sorted(Path(row.origin).name for row in rows) == sorted(
        [*expected, "late.dcm", "bad.dcm"]
    )
    assert {Path(row.origin).name: row.reason for row in rows if row.reason} == {
        "bad.dcm": "truncated"
    }
    assert {row.Modality for row in rows if not row.reason} == {"CT"}
    log = spark.read.parquet(f"{tmp_path}/state/*.parquet").groupBy("batch").count().collect()
    assert max(row["count"] for row in log) == 4


def test_stream_without_a_state_location_is_told_so(inbox: Path, spark: SparkSession) -> None:
    with pytest.raises(PySparkException, match="needs the option 'stateLocation'"):
        query = spark.readStream.format("dicom").load(str(inbox)).writeStream.format("noop").start()
        query.awaitTermination(60)


def test_batch_that_spark_never_heard_of_is_the_next_one(arrive: Any, make_reader: Any) -> None:
    arrive("a", "b")
    first = make_reader()
    start = first.initialOffset()
    lost = first.latestOffset(start)
    arrive("c")
    again = make_reader()
    assert again.latestOffset(start) == lost
    assert names_of(again, start, lost) == ["a", "b"]
    following = again.latestOffset(lost)
    assert names_of(again, lost, following) == ["c"]
    assert again.latestOffset(following) == following
    assert again.partitions(following, following) == []


def test_repeated_batch_has_the_same_files(arrive: Any, make_reader: Any) -> None:
    arrive("a", "b")
    reader = make_reader()
    start = reader.initialOffset()
    end = reader.latestOffset(start)
    arrive("c")
    assert names_of(reader, start, end) == names_of(make_reader(), start, end) == ["a", "b"]


def test_files_of_a_batch_are_limited(arrive: Any, make_reader: Any) -> None:
    arrive(*"abcde")
    reader = make_reader(maxFilesPerTrigger="2")
    offset, batches = reader.initialOffset(), []
    while (following := reader.latestOffset(offset)) != offset:
        batches.append(names_of(reader, offset, following))
        offset = following
    assert batches == [["a", "b"], ["c", "d"], ["e"]]


def test_new_checkpoint_reads_all_batches_again(arrive: Any, make_reader: Any) -> None:
    arrive(*"abc")
    reader = make_reader(maxFilesPerTrigger="1")
    for _ in range(3):
        reader.latestOffset()
    again = make_reader(maxFilesPerTrigger="1")
    first = again.latestOffset(again.initialOffset())
    assert names_of(again, again.initialOffset(), first) == ["a"]
    assert names_of(again, again.initialOffset(), {**first, "batch": 3}) == ["a", "b", "c"]


def test_rewritten_file_is_a_new_one_and_a_vanished_one_is_corrupt(
    inbox: Path, arrive: Any, make_reader: Any
) -> None:
    arrive("a", "b", "c")
    reader = make_reader()
    start = reader.initialOffset()
    end = reader.latestOffset(start)
    os.utime(inbox / "a", ns=(1, 1))  # the same bytes, written again
    (inbox / "b").write_bytes(make_ct(rows=32))
    (inbox / "c").unlink()
    following = reader.latestOffset(end)
    assert names_of(reader, end, following) == ["a", "b"]
    rows = [
        row
        for partition in reader.partitions(start, end)
        for batch in reader.read(partition)
        for row in batch.to_pylist()
    ]
    reasons = {Path(row["origin"]).name: row["reason"] for row in rows}
    assert reasons == {"a": None, "b": None, "c": "unreadable"}


def test_no_more_files_are_looked_for_once_all_that_are_there_are_wanted(
    arrive: Any, make_reader: Any
) -> None:
    arrive("a", "b")
    reader = make_reader(maxFilesPerTrigger="1")
    reader.prepareForTriggerAvailableNow()
    arrive("c")
    first = reader.latestOffset(reader.initialOffset())
    last = reader.latestOffset(first)
    assert reader.latestOffset(last) == last
    assert names_of(reader, reader.initialOffset(), last) == ["a", "b"]


def test_state_of_another_stream_is_refused(arrive: Any, make_reader: Any, tmp_path: Path) -> None:
    arrive("a")
    offset = make_reader().latestOffset()
    shutil.rmtree(tmp_path / "state")
    with pytest.raises(InvalidOptionError, match="the checkpoint is at batch 1 of another log"):
        make_reader().latestOffset(offset)
    with pytest.raises(InvalidOptionError, match="the checkpoint is at batch 1 of another log"):
        make_reader().partitions({**offset, "batch": 0}, offset)


def test_offset_is_small_however_many_files_there_are(arrive: Any, make_reader: Any) -> None:
    arrive(*(f"{number:03}" for number in range(300)))
    offset = make_reader().latestOffset()
    assert len(str(offset)) < 100


def test_many_batches_are_merged_and_read_as_before(
    arrive: Any, make_reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_log, "_MERGED", 4)
    arrive(*"abcdefghij")
    reader = make_reader(maxFilesPerTrigger="1")
    for _ in range(10):
        reader.latestOffset()
    assert len(list((tmp_path / "state").glob("*.parquet"))) == 4
    again = make_reader()
    offset = again.initialOffset()
    assert names_of(again, {**offset, "batch": 2}, {**offset, "batch": 9}) == list("cdefghi")
    assert again.latestOffset({**offset, "batch": 10}) == {**offset, "batch": 10}


def test_merge_that_was_cut_short_doubles_no_file(
    arrive: Any, make_reader: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_log, "_MERGED", 3)
    arrive(*"abc")
    reader = make_reader(maxFilesPerTrigger="1")
    for _ in range(2):
        reader.latestOffset()
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "state", kept)
    reader.latestOffset()
    shutil.copytree(kept, tmp_path / "state", dirs_exist_ok=True)
    (tmp_path / "state" / ".0000000004-0000000004.parquet.torn").write_bytes(b"PAR1")
    again = make_reader()
    start = again.initialOffset()
    assert names_of(again, start, {**start, "batch": 3}) == ["a", "b", "c"]


def test_log_may_lie_anywhere_that_fsspec_reaches(arrive: Any, make_reader: Any) -> None:
    arrive("a")
    reader = make_reader(stateLocation="memory://stream/state")
    end = reader.latestOffset(reader.initialOffset())
    again = make_reader(stateLocation="memory://stream/state")
    assert names_of(again, again.initialOffset(), end) == ["a"]
