"""One question over 20,000 files, one answer through every door: the worked example as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from cohort import COHORT, check_example, known_cohort
from commands import Run
from pyspark.sql import SparkSession
from servers.nodes import SearchServer
from sinks.reading import count, search

from dicomframe import read_catalog

CLAUSES = (
    {"term": {"PatientSex": "F"}},
    {"range": {"PatientAge": {"gte": 20, "lte": 25}}},
    {"term": {"Modality": "MR"}},
)


class Example(NamedTuple):
    catalog: Path
    url: str
    truth: pa.Table
    out: str


@pytest.fixture(scope="module")
def example(
    archive: tuple[Path, pa.Table],
    opensearch: SearchServer,
    spark: SparkSession,
    dask_processes: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> Example:
    """The example, from the files to the pixels that both engines read, and a real server."""
    folder, truth = archive
    catalog = tmp_path_factory.mktemp("example") / "catalog"
    url = f"opensearch+{opensearch.endpoint}/example-{uuid4().hex}"
    engines = ["--engine", "dask", "--engine", "spark"]
    out = check_example(known_cohort(truth), folder, catalog, "--server", url, *engines)
    return Example(catalog, url, truth, out)


def test_example_tells_what_it_has_done(example: Example) -> None:
    sound = example.truth["reason"].null_count
    assert len(known_cohort(example.truth)) > 100
    assert "catalogue: 20,000 new, 0 changed, 0 vanished, 0 unchanged files;" in example.out
    assert f"; {sound:,} dicom and {20_000 - sound:,} corrupt rows in state 1" in example.out
    assert f": {sound:,} documents: {sound:,} written, 0 updated, 0 refused;" in example.out


def test_command_line_gives_the_exact_set(example: Example, run: Run) -> None:
    ran = run("query", example.catalog, COHORT, "--format", "origins")
    assert (ran.code, ran.err) == (0, "")
    assert sorted(ran.out.splitlines()) == sorted(known_cohort(example.truth))


def test_spark_sql_gives_the_exact_set(example: Example, spark: SparkSession) -> None:
    read_catalog(example.catalog, "spark", session=spark).dicom.createOrReplaceTempView("dicom")
    rows = spark.sql(f"SELECT origin FROM dicom WHERE {COHORT}").collect()
    assert sorted(row[0] for row in rows) == sorted(known_cohort(example.truth))


def test_dask_gives_the_exact_set(example: Example) -> None:
    dicom, _ = read_catalog(example.catalog, "dask")
    is_woman = (dicom["PatientSex"] == "F") & dicom["PatientAge"].between(20, 25)
    found = dicom[is_woman & (dicom["Modality"] == "MR")]["origin"].compute()
    assert sorted(found) == sorted(known_cohort(example.truth))


def test_search_engine_gives_the_exact_set(example: Example) -> None:
    cohort = pa.array(sorted(known_cohort(example.truth)))
    rows = example.truth.filter(pc.is_in(example.truth["origin"], value_set=cohort))
    assert count(example.url) == example.truth["reason"].null_count
    assert search(example.url, *CLAUSES) == set(rows["SOPInstanceUID"].to_pylist())
