"""``spark.read.format("dicom")``: found with no registration, the rows of `read_dicom`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dicomframe.api import plan_read
from dicomframe.plugin import InvalidOptionError
from dicomframe.registry import get_backend
from dicomframe.testing.conformance import TYPED_TAGS, assert_same_rows, read_oracle
from dicomframe.testing.trees import make_tree, write_typed_files
from dicomframe_spark.source import DicomDataSource, DicomSourceReader
from dicomframe_spark.source_options import parse_options


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    make_tree(folder)
    return folder


def both_frames(path: Path, **options: Any) -> pa.Table:
    plan = plan_read(path, **options)
    batches = [batch for part in plan.partitions for batch in plan.reader(part)]
    return pa.Table.from_batches(batches, plan.schema).sort_by("origin")


def to_arrow(frame: Any) -> pa.Table:
    return get_backend("spark").to_arrow(frame).sort_by("origin")


def test_corrupt_files_are_rows_with_reasons(tree: Path, spark: SparkSession) -> None:
    frame = spark.read.format("dicom").option("npartitions", 3).load(str(tree))
    assert_same_rows(to_arrow(frame), both_frames(tree))
    assert frame.rdd.getNumPartitions() == 3


def test_tags_come_as_sparks_types(tmp_path: Path, spark: SparkSession) -> None:
    write_typed_files(tmp_path)
    frame = (
        spark.read.format("dicom")
        .options(tags=json.dumps(TYPED_TAGS), warnings=True, mode="FAILFAST")
        .load(str(tmp_path))
    )
    expected = read_oracle(tmp_path, tags=TYPED_TAGS, warnings=True)[0]
    assert_same_rows(to_arrow(frame), expected)


def test_malformed_files_can_be_dropped(tree: Path, spark: SparkSession) -> None:
    frame = spark.read.format("dicom").option("mode", "dropMalformed").load(str(tree))
    assert_same_rows(to_arrow(frame), read_oracle(tree)[0])


def test_malformed_file_can_fail_the_job(tree: Path, spark: SparkSession) -> None:
    reader = spark.read.format("dicom").option("mode", "FAILFAST")
    with pytest.raises(PySparkException) as caught:
        reader.load(f"{tree}/cut_in_pixels.dcm").collect()
    assert "/cut_in_pixels.dcm' is corrupt, truncated: " in str(caught.value)
    assert len(reader.load(f"{tree}/CT_small.dcm").collect()) == 1


def test_sql_sees_a_view(tree: Path, spark: SparkSession) -> None:
    spark.sql(
        "CREATE OR REPLACE TEMPORARY VIEW files USING dicom "
        f"OPTIONS (path '{tree}', tags 'Modality, Rows', pixels 'none', include '*.dcm')"
    )
    (row,) = spark.sql(
        "SELECT count(*) AS files, count(reason) AS corrupt, max(Rows) AS largest FROM files "
    ).collect()
    assert (row.files, row.corrupt, row.largest) == (11, 3, 1024)


def test_several_paths_make_one_frame(tree: Path, spark: SparkSession) -> None:
    paths = [f"{tree}/CT_small.dcm", f"{tree}/deep"]
    frame = spark.read.format("dicom").option("pixels", "none").load(paths)
    assert_same_rows(to_arrow(frame), both_frames(paths, pixels="none"))  # type: ignore[arg-type]


def test_schema_of_the_user_prunes_what_is_read(tree: Path, spark: SparkSession) -> None:
    frame = spark.read.format("dicom").schema("reason string, origin string").load(str(tree))
    expected = both_frames(tree).select(["reason", "origin"])
    assert_same_rows(to_arrow(frame), expected)


def test_columns_that_are_not_in_the_schema_are_not_read(tree: Path) -> None:
    options = parse_options({"path": str(tree)})
    asked: list[Any] = []

    class Partition:
        partition = None

        @staticmethod
        def reader(_: Any, columns: list[str]) -> Any:
            asked.append(columns)
            return iter(())

    from dicomframe_spark import source

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "DicomPartition", Partition)
        list(DicomSourceReader(options, ["metadata"]).read(Partition()))  # type: ignore[arg-type]
    assert asked == [["metadata", "origin", "reason", "detail"]]


def test_schema_that_is_not_ours_is_refused(tree: Path, spark: SparkSession) -> None:
    reader = spark.read.format("dicom")
    with pytest.raises(PySparkException, match="a schema may name the columns origin, metadata"):
        reader.schema("origin string, Modality string").load(str(tree)).collect()
    with pytest.raises(PySparkException, match="'origin' is of type string, found bigint"):
        reader.schema("origin bigint").load(str(tree)).collect()


@pytest.mark.parametrize("pushdown", ["true", "false"])
def test_filter_on_origin_gives_its_rows(tree: Path, spark: SparkSession, pushdown: str) -> None:
    origin = f"file://{tree}/CT_small.dcm"
    before = spark.conf.get("spark.sql.python.filterPushdown.enabled", "false")
    spark.conf.set("spark.sql.python.filterPushdown.enabled", pushdown)
    try:
        frame = spark.read.format("dicom").option("npartitions", 4).load(str(tree))
        rows = frame.where(frame.origin == origin).select("origin", "metadata").collect()
        others = frame.where("reason IS NOT NULL AND length(origin) > 3").collect()
    finally:
        spark.conf.set("spark.sql.python.filterPushdown.enabled", str(before))
    assert [row.origin for row in rows] == [origin]
    assert len(others) == 5


def test_filter_on_origin_leaves_other_files_out_of_the_plan(tree: Path) -> None:
    from pyspark.sql import datasource

    if not hasattr(datasource, "EqualTo"):
        pytest.skip("no filter is pushed before Spark 4.1")
    reader = DicomSourceReader(parse_options({"path": str(tree)}), ["origin"])
    wanted = [f"file://{tree}/{name}" for name in ("CT_small.dcm", "empty.dcm", "gone.dcm")]
    filters = [
        datasource.IsNotNull(("origin",)),
        datasource.In(("origin",), tuple(wanted)),
        datasource.EqualTo(("metadata",), "x"),
    ]
    assert reader.pushFilters(filters) == filters
    (partition,) = reader.partitions()
    assert partition.partition.file_count == 1  # type: ignore[attr-defined]
    reader.pushFilters([datasource.EqualTo(("origin",), "elsewhere")])
    assert sum(part.partition.file_count for part in reader.partitions()) == 0  # type: ignore[attr-defined]


def test_filter_on_a_member_keeps_its_archive(tree: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "both" / "a"), "zip", tree)
    reader = DicomSourceReader(parse_options({"path": str(tmp_path / "both")}), ["origin"])
    wanted = f"zip://CT_small.dcm::file://{archive}"
    reader.keep_origins([type("EqualTo", (), {"attribute": ("origin",), "value": wanted})()])
    assert sum(part.partition.file_count for part in reader.partitions()) == 1  # type: ignore[attr-defined]


def test_credentials_stand_in_no_plan_and_no_repr(
    tree: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = {"storage.secret": "hunter2", "storage.key": "AKIAX", "storage.token": "t0k3n"}
    frame = spark.read.format("dicom").options(pixels="none", **storage).load(str(tree))
    frame.where("origin = 'x'").explain(extended=True)
    secrets = ("hunter2", "AKIAX", "t0k3n")
    plan = capsys.readouterr().out
    assert "dicom" in plan
    assert not [secret for secret in secrets if secret in plan]
    source = DicomDataSource({"path": str(tree), **storage})
    reader = source.reader(source.schema())
    told = [repr(source), repr(reader), repr(parse_options(source.options)), *reader.partitions()]
    assert not [secret for secret in secrets if secret in str(told)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tag": "Rows"}, "has no option 'tag'; it has path, paths, tags"),
        ({"mode": "ABORT"}, "mode must be one of PERMISSIVE, DROPMALFORMED, FAILFAST"),
        ({"warnings": "yes"}, "warnings must be 'true' or 'false'"),
        ({"npartitions": "0"}, "npartitions must be a whole number"),
        ({"limits": "64"}, "limits must be a JSON object"),
        ({"storage_options": '{"secret": hunter2'}, "storage_options must be a JSON object"),
        ({"tags": "['Rows'"}, "tags must be names with commas between, or a JSON list"),
        ({"pixels": "some"}, "pixels must be one of"),
    ],
)
def test_option_that_is_wrong_is_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidOptionError, match=message) as caught:
        DicomDataSource({"path": "/nowhere", **options}).schema()
    assert "hunter2" not in str(caught.value)


def test_options_are_those_of_a_read() -> None:
    options = parse_options(
        {
            "PATHS": '["a", "b"]',
            "tags": '{"age": "PatientAge"}',
            "limits": '{"nesting_depth": 3}',
            "storage_options": '{"anon": false, "key": "1"}',
            "storage.anon": "true",
            "storage.key": "12345",
            "exclude": ".*, tmp/",
        }
    )
    assert options.paths == ("a", "b")
    assert options.read == {
        "tags": {"age": "PatientAge"},
        "limits": {"nesting_depth": 3},
        "storage_options": {"anon": True, "key": "12345"},
        "exclude": [".*", "tmp/"],
    }


def test_path_that_is_missing_is_asked_for(spark: SparkSession) -> None:
    with pytest.raises(PySparkException, match="needs a path"):
        spark.read.format("dicom").load().collect()
    with pytest.raises(PySparkException, match="FileNotFoundError"):
        spark.read.format("dicom").load("/nothing/here").collect()
