"""Questions to a catalogue, by Python."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from cohort import COHORT, known_cohort

from dicomframe import (
    Catalog,
    DicomFrameError,
    InvalidOptionError,
    UnknownTagError,
    index_dicom,
    query_catalog,
)
from dicomframe.catalog.query import stream_query
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import make_ct

Ask = Callable[..., pa.Table]


class Asked(NamedTuple):
    folder: Path
    truth: pa.Table
    catalog: Catalog


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("asked")
    truth = write_archive(folder / "archive", 2000)
    index_dicom(folder / "archive", folder / "cat'alog [1]")
    return Asked(folder, truth, Catalog(folder / "cat'alog [1]"))


@pytest.fixture
def ask(asked: Asked) -> Ask:
    return lambda *args, **kwargs: query_catalog(asked.catalog, *args, **kwargs)


def refusal(ask: Ask, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(InvalidOptionError) as caught:
        ask(*args, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- answers --------------------------------------------------------------------------------


def test_cohort_is_exactly_the_known_set(asked: Asked, ask: Ask) -> None:
    found = ask(COHORT)["origin"].to_pylist()
    assert len(found) == len(set(found)) > 5
    assert set(found) == known_cohort(asked.truth)


def test_every_sound_file_is_a_row_and_every_other_one_is_corrupt(asked: Asked, ask: Ask) -> None:
    sound = asked.truth.filter(pc.is_null(asked.truth["reason"]))
    assert set(ask(select=["origin"])["origin"].to_pylist()) == set(sound["origin"].to_pylist())
    reasons = ask(sql="SELECT origin, reason FROM corrupt").to_pylist()
    assert {row["origin"]: row["reason"] for row in reasons} == {
        row["origin"]: row["reason"] for row in asked.truth.to_pylist() if row["reason"]
    }


def test_columns_keep_the_types_of_the_catalogue(asked: Asked, ask: Ask) -> None:
    table = ask("Modality = 'CT'")
    schema = asked.catalog.schema("dicom")
    assert table.schema.names == [name for name in schema.names if name != "metadata"]
    assert {pa.types.is_list(kind) for kind in table.schema.types} == {True, False}
    for field in table.schema:
        assert field.type == schema.field(field.name).type
    assert ask(select=["Metadata"], limit=1).schema.names == ["metadata"]


def test_columns_are_chosen_in_any_case_and_in_order(ask: Ask) -> None:
    assert ask(select=["modality", "PATIENTID"], limit=3).schema.names == ["Modality", "PatientID"]


def test_limit_is_the_most_rows(ask: Ask) -> None:
    assert ask(limit=7).num_rows == 7
    assert ask(limit=0).num_rows == 0


def test_groups_are_counted_the_largest_first(asked: Asked, ask: Ask) -> None:
    counts = ask("PatientSex = 'F'", group=["modality", "Manufacturer"])
    assert counts.schema.names == ["Modality", "Manufacturer", "count"]
    numbers = counts["count"].to_pylist()
    assert numbers == sorted(numbers, reverse=True)
    women = asked.truth.filter(pc.equal(asked.truth["PatientSex"], "F"))
    known = women.group_by(["Modality", "Manufacturer"]).aggregate([([], "count_all")])
    assert {tuple(row.values()) for row in counts.to_pylist()} == {
        (row["Modality"], row["Manufacturer"], row["count_all"]) for row in known.to_pylist()
    }


def test_no_group_counts_all_rows(asked: Asked, ask: Ask) -> None:
    assert ask(COHORT, group=[]).to_pylist() == [{"count": len(known_cohort(asked.truth))}]


def test_any_attribute_is_found_in_metadata(ask: Ask) -> None:
    query = """
        SELECT tag(metadata, 'SOPInstanceUID') = SOPInstanceUID AS uid,
            tag(d.metadata, 'PatientName') IS NOT DISTINCT FROM PatientName AS name,
            tag(metadata, '00100020') = PatientID AS id,
            tag(metadata, 'ImageType') IS NOT DISTINCT FROM ImageType[1] AS first_value
        FROM dicom AS d
    """
    table = ask(sql=query)
    assert table.num_rows > 1900
    for name in table.schema.names:
        assert pc.all(table[name]).as_py(), name


def test_json_functions_read_metadata(asked: Asked, ask: Ask) -> None:
    query = """SELECT metadata ->> '$."00080060".Value[0]' AS modality FROM dicom GROUP BY ALL"""
    assert set(ask(sql=query)["modality"].to_pylist()) == set(
        asked.truth["Modality"].drop_null().to_pylist()
    )


def test_queries_are_read_batch_by_batch(asked: Asked) -> None:
    with stream_query(asked.catalog, sql="SELECT range AS x FROM range(100000)") as reader:
        sizes = [batch.num_rows for batch in reader]
    assert len(sizes) > 5
    assert sum(sizes) == 100_000


def test_explain_tells_the_plan(ask: Ask) -> None:
    assert "PARQUET" in ask(sql="EXPLAIN SELECT origin FROM dicom")["explain_value"][0].as_py()


# --- what changed and what is elsewhere -----------------------------------------------------


def test_rows_that_are_dead_are_never_seen(tmp_path: Path) -> None:
    files, catalog = tmp_path / "files", tmp_path / "catalog"
    files.mkdir()
    for number in range(40):
        (files / f"{number}.dcm").write_bytes(make_ct(number))
    index_dicom(files, catalog)
    before = Catalog(catalog)
    (files / "0.dcm").unlink()
    (files / "1.dcm").write_bytes(b"this was DICOM once")
    os.utime(files / "2.dcm", (0, 0))
    index_dicom(files, catalog)
    after = Catalog(catalog)
    assert after.gone()
    assert query_catalog(after, group=[])["count"].to_pylist() == [38]
    assert query_catalog(after, "origin LIKE '%/2.dcm'")["run"].to_pylist() == [after.number]
    (origin,) = query_catalog(after, sql="SELECT origin FROM corrupt")["origin"].to_pylist()
    assert origin.endswith("/1.dcm")
    assert query_catalog(before, group=[])["count"].to_pylist() == [40]


def test_catalogue_in_a_store_is_asked_through_fsspec(asked: Asked) -> None:
    url = "memory://asked/catalog"
    index_dicom(asked.folder / "archive", url, include=["PAT00001/**"])
    local = query_catalog(asked.catalog, "origin LIKE '%/PAT00001/%'", group=[])
    assert local["count"][0].as_py() > 1
    assert query_catalog(Catalog(url), group=[]) == local
    other = "SELECT * FROM read_text('memory://asked/catalog/states/00000001.json')"
    assert "no other file" in refusal(query_catalog, Catalog(url), sql=other)


def test_catalogue_without_any_row_is_asked(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    index_dicom(tmp_path / "empty", tmp_path / "catalog")
    catalog = Catalog(tmp_path / "catalog")
    table = query_catalog(catalog, COHORT)
    assert table.num_rows == 0
    assert table.schema.field("StudyDate").type == pa.date32()
    assert query_catalog(catalog, sql="SELECT count(*) AS n FROM corrupt")["n"][0].as_py() == 0


# --- speed ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    [
        "StudyDate = DATE '{day}'",
        "StudyDate < DATE '{day}' AND Modality = 'CT'",
        "StudyDate = DATE '{day}' AND PatientID = 'PAT00001'",
        "Modality = 'ZZ'",
        "PatientID > 'ZZ'",
    ],
)
def test_filters_skip_row_groups(asked: Asked, ask: Ask, condition: str) -> None:
    parts = [pq.ParquetFile(part).metadata for part in asked.catalog.parts("dicom")]
    groups = sum(part.num_row_groups for part in parts)
    day: date = pc.min(asked.truth["StudyDate"]).as_py()
    query = f"EXPLAIN ANALYZE SELECT origin FROM dicom WHERE {condition.format(day=day)}"
    (plan,) = ask(sql=query)["explain_value"].to_pylist()
    found = re.search(r"Row Groups Scanned: (\d+) / (\d+)", plan)
    if found is None:  # statistics told already that no row fits
        assert "Empty Result" in plan
    else:
        assert int(found[2]) == groups > 1
        assert int(found[1]) <= 1


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"where": "PatientAgee > 3"}, "'PatientAge'"),
        ({"where": 'PatientSex = "F"'}, "single quotes"),
        ({"where": "EchoTime > 3"}, "tag(metadata, 'EchoTime')"),
        ({"where": "PatientSex = 'F"}, "unterminated"),
        ({"where": "true; DROP VIEW dicom"}, "not valid"),
        ({"where": "true) UNION (SELECT 1"}, "not valid"),
        ({"where": "  "}, "condition"),
        ({"where": "count(*) > 3"}, "aggregates"),
        ({"where": "PatientAge > PatientID"}, "compare"),
        ({"select": ["PatientAgee"]}, "'PatientAge'"),
        ({"select": []}, "columns"),
        ({"group": ["nothing like it"]}, "'nothing like it'"),
        ({"limit": -1}, "limit"),
        ({"group": [], "limit": 1}, "group"),
        ({"sql": "SELECT 1", "limit": 1}, "whole query"),
        ({"sql": "SELECT 1", "where": "true"}, "whole query"),
        ({"sql": ""}, "found nothing"),
        ({"sql": "SELECT 1; SELECT 2"}, "one SELECT"),
        ({"sql": "SELEC 1"}, '"SELEC"'),
        ({"sql": "SELECT * FROM dicm"}, "dicom and corrupt"),
        ({"sql": "SELECT tag(metadata, PatientID) FROM dicom"}, "in quotes"),
    ],
)
def test_query_that_is_not_valid_is_one_sentence(
    ask: Ask, query: dict[str, Any], says: str
) -> None:
    assert says in refusal(ask, **query)


def test_unknown_keyword_is_told_with_the_closest(ask: Ask) -> None:
    with pytest.raises(UnknownTagError, match="'PatientName'"):
        ask(sql="SELECT tag(metadata, 'PatientNaem') FROM dicom")


@pytest.mark.parametrize(
    "query",
    [
        "COPY dicom TO '{out}'",
        "COPY (SELECT 1) TO '{part}' (FORMAT parquet)",
        "CREATE TABLE x AS FROM dicom",
        "ATTACH '{out}'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "RESET lock_configuration",
        "PRAGMA database_list",
        "EXPORT DATABASE '{out}'",
        "SELECT * FROM '{other}'",
        "SELECT * FROM read_parquet('{other}')",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('{other}')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1:9/x.parquet')",
        "SELECT * FROM asked",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{out}'",
        "WITH x AS (SELECT 1) INSERT INTO dicom FROM x",
        "PIVOT dicom ON PatientName USING count(*)",
    ],
)
def test_query_reads_the_catalogue_alone_and_writes_nothing(
    asked: Asked, ask: Ask, tmp_path: Path, query: str
) -> None:
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"x": [1]}), other)
    (part, *_) = asked.catalog.parts("dicom")
    before = Path(part).read_bytes()
    filled = query.format(out=tmp_path / "out", other=other, part=part.replace("'", "''"))
    with pytest.raises(DicomFrameError):
        ask(sql=filled)
    assert [path.name for path in tmp_path.iterdir()] == ["other.parquet"]
    assert Path(part).read_bytes() == before


@pytest.mark.parametrize(
    "query",
    [
        "SELECT CAST(PatientName AS INTEGER) FROM dicom",
        "SELECT error(PatientName) FROM dicom",
        "SELECT strptime(PatientName, '%Y') FROM dicom",
        "SELECT json_extract(PatientName, '$.x') FROM dicom",
        "SELECT regexp_matches('x', PatientName || '(') FROM dicom",
        "SELECT CAST(PatientName AS DATE) FROM dicom ORDER BY 1",
        "SELECT (SELECT CAST(PatientName AS INTEGER) FROM dicom LIMIT 1)",
    ],
)
def test_no_value_of_a_row_is_in_a_message(ask: Ask, query: str) -> None:
    names = set(ask(select=["PatientName"])["PatientName"].drop_null().to_pylist())
    with pytest.raises(InvalidOptionError) as caught:
        ask(sql=query)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert names
    for name in names:
        assert not [part for part in name.split("^") if part in str(caught.value)]


def test_message_of_duckdb_would_have_held_a_value(asked: Asked) -> None:
    """What the test above guards against is real."""
    (part, *_) = asked.catalog.parts("dicom")
    connection = duckdb.connect()
    connection.register("rows", pq.read_table(part, columns=["PatientName"]))
    with pytest.raises(duckdb.Error, match=r"'[^']*\^[^']*'"):
        connection.execute("SELECT CAST(PatientName AS INTEGER) FROM rows").fetchall()


def test_missing_duckdb_is_one_sentence_with_the_install_command(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ImportError, match=re.escape("pip install 'dicomframe[catalog]'")):
        ask()
