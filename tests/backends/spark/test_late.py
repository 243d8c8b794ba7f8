"""Pixel Data as a late column: read where it is used, for the rows that are left."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession, functions

from dicomframe import read_dicom
from dicomframe.plugin import InvalidOptionError
from dicomframe.registry import get_backend
from dicomframe.testing.conformance import assert_same_rows, read_oracle
from dicomframe.testing.trees import make_tree
from dicomframe_spark import task

PROGRAM = Path(__file__).with_name("pixel_counts.py")


@pytest.fixture(scope="module")
def many_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    load_program().write_files(folder)
    return folder


def load_program() -> Any:
    """Return the program as a module that is not importable: Spark ships its classes by value."""
    spec = importlib.util.spec_from_file_location("pixel_counts", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pixel_counts", module)  # dataclasses look there
        spec.loader.exec_module(module)
    return module


def check_counts(counts: dict[str, list[int]]) -> None:
    rows = {name: count[0] for name, count in counts.items()}
    reads = {name: count[1:] for name, count in counts.items()}
    assert rows == {
        "no pixels": 2000,
        "count": 2000,
        "tag": 200,
        "json": 200,
        "limit": 5,
        "all": 2000,
    }
    assert reads["no pixels"] == reads["count"] == [0, 0, 0]
    assert reads["tag"][:2] == reads["json"][:2] == [200, 200]
    assert reads["all"][:2] == [2000, 2000]
    assert 5 <= reads["limit"][0] <= 5 * 8
    assert reads["limit"][2] == 5


def test_pixels_are_read_for_the_rows_that_are_left(
    many_files: Path, tmp_path: Path, spark: SparkSession
) -> None:
    check_counts(load_program().count_reads(spark, many_files, tmp_path))


def test_pixels_are_read_for_the_rows_that_are_left_on_connect(
    many_files: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), "local[2]", str(many_files), str(tmp_path)],
        env={
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_TESTING": "yes",  # the server takes a free port, not always the same
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check_counts(json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    make_tree(folder)
    return folder


@pytest.mark.parametrize("late_pixels", [True, False])
def test_both_ways_give_the_same_rows(tree: Path, spark: SparkSession, late_pixels: bool) -> None:
    options: dict[str, Any] = {"tags": {"a.b`c": "Modality"}, "warnings": True, "npartitions": 3}
    dicom, _ = read_dicom(tree, engine="spark", session=spark, late_pixels=late_pixels, **options)
    assert dicom.columns == ["origin", "metadata", "a.b`c", "pixel_data", "warnings"]
    actual = get_backend("spark").to_arrow(dicom).sort_by("origin")
    assert_same_rows(actual, read_oracle(tree, **options)[0])


def test_one_pass_reads_pixels_with_the_header(
    tree: Path, spark: SparkSession, capsys: pytest.CaptureFixture[str]
) -> None:
    for late_pixels, steps in ((True, 1), (False, 0)):
        dicom, _ = read_dicom(tree, engine="spark", session=spark, late_pixels=late_pixels)
        dicom.explain()
        assert capsys.readouterr().out.count("read_pixels(") == steps


@pytest.mark.parametrize("columns", [["origin", "metadata"], ["origin"]])
def test_pixels_are_found_again_for_a_frame_without_them(
    tree: Path, spark: SparkSession, columns: list[str]
) -> None:
    frames = read_dicom(tree, engine="spark", session=spark, pixels="none", npartitions=2)
    late = frames.with_pixels(frames.dicom.where("origin LIKE '%.dcm'").select(*columns))
    expected = read_oracle(tree)[0].select([*columns, "pixel_data"])
    assert_same_rows(get_backend("spark").to_arrow(late).sort_by("origin"), expected)
    with pytest.raises(InvalidOptionError, match="without 'pixel_data', found 'origin'"):
        frames.with_pixels(late)


def test_filter_on_the_pixels_themselves_gives_the_right_rows(
    tree: Path, spark: SparkSession
) -> None:
    dicom, _ = read_dicom(tree, engine="spark", session=spark, npartitions=2)
    oracle = read_oracle(tree)[0]["pixel_data"].to_pylist()
    rows = dicom.where(functions.length("pixel_data") > 9000).select("pixel_data").collect()
    expected = [len(value) for value in oracle if value is not None and len(value) > 9000]
    assert sorted(len(row.pixel_data) for row in rows) == sorted(expected)
    assert expected


def test_file_that_vanishes_between_header_and_pixels_has_none(
    tmp_path: Path, spark: SparkSession
) -> None:
    """The step before the pixels removes the file, as nobody can time it otherwise."""
    make_tree(tmp_path / "tree")
    dicom, _ = read_dicom(tmp_path / "tree", engine="spark", session=spark, npartitions=1)
    victim = f"{tmp_path}/tree/CT_small.dcm"

    @functions.udf("boolean")
    def remove(origin: str) -> bool:
        if origin.endswith("/CT_small.dcm"):
            Path(origin.removeprefix("file://")).unlink(missing_ok=True)
        return True

    rows = dicom.where(remove("origin")).select("origin", "pixel_data").collect()
    assert not Path(victim).exists()
    found = {Path(row.origin).name: row.pixel_data for row in rows}
    assert len(found) == 8
    assert found["CT_small.dcm"] is None
    assert found["MR_small_implicit.dcm"] is not None


def test_value_that_is_too_long_for_spark_is_null_when_read_late() -> None:
    values = pa.array([b"x" * 101, b"y" * 100, None, b"z"], pa.large_binary())
    fitted = pa.chunked_array(task.fit_array(values, max_binary_bytes=100))
    assert fitted.to_pylist() == [None, b"y" * 100, None, b"z"]
    assert fitted.type == pa.binary()
