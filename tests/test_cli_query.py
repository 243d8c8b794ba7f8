"""The command ``dicomframe query`` as a user meets it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from cohort import COHORT, known_cohort
from commands import CONTROL, Run, assert_one_sentence, run_on_terminal, run_process

from dicomframe import Catalog, Manifest, index_dicom, query_catalog, scan_dicom
from dicomframe.cli.exporting import FORMATS
from dicomframe.testing.archive import write_archive
from dicomframe.testing.samples import element, make_ct, make_file


class Asked(NamedTuple):
    catalog: Path
    truth: pa.Table


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("asked")
    truth = write_archive(folder / "archive", 1000)
    index_dicom(folder / "archive", folder / "catalog")
    return Asked(folder / "catalog", truth)


# --- answers --------------------------------------------------------------------------------


def test_cohort_is_exactly_the_known_set(run: Run, asked: Asked) -> None:
    ran = run("query", asked.catalog, COHORT, "--format", "origins")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert len(lines) == len(set(lines)) > 0
    assert set(lines) == known_cohort(asked.truth)


def test_count_is_one_number(run: Run, asked: Asked) -> None:
    assert run("query", asked.catalog, COHORT, "--count").out == (
        f"{len(known_cohort(asked.truth))}\n"
    )
    jsonl = run("query", asked.catalog, "--count", "--format", "jsonl").out
    assert json.loads(jsonl) == {"count": asked.truth["reason"].null_count}


def test_groups_are_counted(run: Run, asked: Asked) -> None:
    ran = run("query", asked.catalog, "PatientAge >= 0", "--group", "Modality, PatientSex")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert list(rows[0]) == ["Modality", "PatientSex", "count"]
    known = sum(row["PatientAge"] is not None for row in asked.truth.to_pylist())
    assert sum(int(row["count"]) for row in rows) == known


def test_no_row_is_an_answer_and_exit_code_0(run: Run, asked: Asked) -> None:
    nothing = ["query", asked.catalog, "PatientAge > 200"]
    assert run(*nothing, "--format", "table") == run(*nothing, "--format", "table")
    assert run(*nothing, "--format", "table").out == "no row fits\n"
    assert run(*nothing, "--format", "json").out == "[]\n"
    assert run(*nothing, "--format", "jsonl").out == ""
    assert run(*nothing, "--count").out == "0\n"
    assert run(*nothing, "--select", "PatientID").out == "PatientID\n"
    assert {run(*nothing, "--format", name).code for name in FORMATS if name != "parquet"} == {0}


def test_sql_sees_both_frames_and_metadata(run: Run, asked: Asked) -> None:
    sql = "SELECT reason, count(*) AS n FROM corrupt GROUP BY ALL ORDER BY ALL"
    rows = csv.DictReader(io.StringIO(run("query", asked.catalog, "--sql", sql).out))
    reasons = [row["reason"] for row in asked.truth.to_pylist() if row["reason"]]
    assert {row["reason"]: int(row["n"]) for row in rows} == {
        reason: reasons.count(reason) for reason in reasons
    }
    sql = "SELECT DISTINCT tag(metadata, 'Modality') = Modality AS same FROM dicom"
    assert run("query", asked.catalog, "--sql", sql).out == "same\ntrue\n"


# --- formats --------------------------------------------------------------------------------


def test_csv_json_and_parquet_hold_the_same(run: Run, asked: Asked, tmp_path: Path) -> None:
    given = ["query", asked.catalog, "Modality = 'MR'", "--limit", 50, "--select"]
    columns = "origin,PatientName,PatientAge,StudyDate,ImageType,InstanceNumber,modified"
    for name in ("x.parquet", "x.json", "x.jsonl", "x.csv"):
        ran = run(*given, columns, "--out", tmp_path / name)
        assert (ran.code, ran.err) == (0, "")
        assert re.fullmatch(rf"wrote {tmp_path / name}: 50 rows, [\d.]+ kB\n", ran.out)
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.schema.field("StudyDate").type == pa.date32()
    assert table.schema.field("modified").type == pa.timestamp("us", "UTC")
    assert table.schema.field("ImageType").type == pa.list_(pa.string())
    rows = table.to_pylist()
    expected = [
        {
            **row,
            "StudyDate": row["StudyDate"].isoformat(),
            "modified": row["modified"].isoformat(),
        }
        for row in rows
    ]
    assert json.loads((tmp_path / "x.json").read_text()) == expected
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == expected
    read = pyarrow.csv.read_csv(tmp_path / "x.csv").to_pylist()
    assert [row["StudyDate"] for row in read] == [row["StudyDate"] for row in rows]
    assert [row["modified"] for row in read] == [row["modified"] for row in rows]
    assert [row["PatientAge"] for row in read] == [row["PatientAge"] for row in rows]
    assert [row["ImageType"].split("\\") for row in read] == [row["ImageType"] for row in rows]


def test_csv_quotes_what_needs_it_and_tells_null_from_empty(run: Run, asked: Asked) -> None:
    sql = """SELECT 'a,b' AS x, 'say "hi"' AS y, 'two' || chr(10) || 'lines' AS z, '' AS e,
        NULL AS n, [1, 2] AS l, {'a': 1.5} AS s, 2::HUGEINT AS h, 'NaN'::DOUBLE AS nan"""
    out = run("query", asked.catalog, "--sql", sql).out
    assert (
        out
        == 'x,y,z,e,n,l,s,h,nan\n"a,b","say ""hi""","two\nlines","",,1\\2,"{""a"": 1.5}",2,nan\n'
    )
    row = json.loads(run("query", asked.catalog, "--sql", sql, "--format", "jsonl").out)
    assert row["s"] == {"a": 1.5}
    assert (row["h"], row["nan"], row["n"], row["e"]) == (2, None, None, "")


def test_pipe_gets_csv_and_no_control_character(asked: Asked) -> None:
    done = run_process("query", asked.catalog, COHORT)
    assert (done.returncode, done.stderr) == (0, "")
    assert not CONTROL.search(done.stdout)
    names = Catalog(asked.catalog).schema("dicom").names
    assert done.stdout.partition("\n")[0].split(",") == [n for n in names if n != "metadata"]


def test_reader_that_leaves_early_is_no_failure(asked: Asked) -> None:
    command = [sys.executable, "-m", "dicomframe", "query", str(asked.catalog), "--sql"]
    process = subprocess.Popen(
        [*command, "SELECT range AS x FROM range(3000000)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"x\n"
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0


def test_terminal_gets_a_table_that_fits(asked: Asked) -> None:
    out = run_with_terminal_for_stdout("query", asked.catalog, "Modality = 'CT'", columns=90)
    lines = out.splitlines()
    assert lines[0].split() == [
        *("PatientID", "PatientSex", "PatientAge", "Modality", "StudyDate", "origin")
    ]
    assert max(map(len, lines)) <= 90
    assert len(lines) < 50
    assert ".dcm" in lines[3]
    total = query_catalog(Catalog(asked.catalog), "Modality = 'CT'", group=[])["count"][0]
    assert f"{total.as_py():,} rows, the first 40 are shown" in out


def test_terminal_is_told_what_is_being_done(asked: Asked) -> None:
    shown, code, _ = run_on_terminal("query", asked.catalog, "--count", columns=80)
    assert code == 0
    assert "asking the catalogue" in shown
    shown, code, _ = run_on_terminal("query", asked.catalog, "--count", columns=80, term="dumb")
    assert (shown, code) == ("", 0)


def test_values_cannot_command_the_terminal(tmp_path: Path) -> None:
    name = element(0x00100010, "PN", b"Evil^\x1b]0;title\x07 ")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "\x1b[31mx.dcm").write_bytes(make_file(name))
    index_dicom(tmp_path / "files", tmp_path / "catalog")
    for format_ in ("table", "csv", "json", "jsonl", "origins"):
        given = ["query", tmp_path / "catalog", "--format", format_]
        out = run_with_terminal_for_stdout(*given, columns=200)
        assert ".dcm" in out
        assert not CONTROL.search(out)


def run_with_terminal_for_stdout(*arguments: object, columns: int) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dicomframe", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm", "COLUMNS": str(columns)},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:  # the other side is closed and all was read
            break
        if not read:
            break
        shown += read
    os.close(ours)
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait() == 0
    return re.sub(r"\x1b\[[\d;]*m", "", shown.decode()).replace("\r\n", "\n")


# --- files and manifests --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cohort.txt", "cohort.parquet", "cohort.csv"])
def test_answer_is_a_manifest(run: Run, asked: Asked, tmp_path: Path, name: str) -> None:
    assert run("query", asked.catalog, COHORT, "--out", tmp_path / name).code == 0
    table = pa.Table.from_batches(scan_dicom(Manifest(tmp_path / name), pixels="none"))
    assert table["reason"].null_count == table.num_rows
    assert set(table["origin"].to_pylist()) == known_cohort(asked.truth)
    ran = run("scan", "--manifest", tmp_path / name, "--strict")
    assert ran.code == 0
    assert re.search(rf"^dicom rows +{table.num_rows}$", ran.out, re.MULTILINE)


def test_odd_names_come_back_from_a_manifest(run: Run, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for number, name in enumerate(["a b.dcm ", "50%41.dcm", "a,b.dcm", "ü::x.dcm"]):
        (tmp_path / "files" / name).write_bytes(make_ct(number))
    index_dicom(tmp_path / "files", tmp_path / "catalog")
    for name in ("x.txt", "x.csv", "x.parquet"):
        assert run("query", tmp_path / "catalog", "--out", tmp_path / name).code == 0
        table = pa.Table.from_batches(scan_dicom(Manifest(tmp_path / name), pixels="none"))
        assert (table.num_rows, table["reason"].null_count) == (4, 4)


def test_name_with_a_line_break_is_refused_in_a_list_of_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a\nb.dcm").write_bytes(make_ct())
    index_dicom(tmp_path / "files", tmp_path / "catalog")
    ran = run("query", tmp_path / "catalog", "--out", tmp_path / "x.txt")
    assert ran.code == 2
    assert_one_sentence(ran)
    assert "parquet" in ran.err
    assert not (tmp_path / "x.txt").exists()


def test_file_that_is_there_is_kept_without_overwrite(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    out = tmp_path / "x.csv"
    out.write_text("precious")
    ran = run("query", asked.catalog, "--out", out)
    assert ran.code == 2
    assert_one_sentence(ran)
    assert out.read_text() == "precious"
    assert run("query", asked.catalog, "--out", out, "--overwrite", "--limit", 3).code == 0
    assert len(out.read_text().splitlines()) == 4
    assert list(tmp_path.iterdir()) == [out]


def test_query_that_fails_leaves_no_file_and_keeps_what_was_there(
    run: Run, asked: Asked, tmp_path: Path
) -> None:
    out = tmp_path / "x.csv"
    out.write_text("precious")
    sql = "SELECT CAST(PatientName AS INTEGER) FROM dicom"
    ran = run("query", asked.catalog, "--sql", sql, "--out", out, "--overwrite")
    assert ran.code == 2
    assert_one_sentence(ran)
    assert "^" not in ran.err
    assert out.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [out]


def test_file_that_cannot_be_written_is_one_sentence(run: Run, asked: Asked) -> None:
    ran = run("query", asked.catalog, "--out", "/proc/nowhere/x.csv")
    assert ran.code == 2
    assert_one_sentence(ran)
    assert "--out" in ran.err


# --- what is not valid ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere/at/all"], "dicomframe index"),
        (["CATALOG", "PatientAgee > 3"], "'PatientAge'"),
        (["CATALOG", "PatientSex = 'F"], "unterminated"),
        (["CATALOG", "--select", "Nothing"], "'Nothing'"),
        (["CATALOG", "--limit", "-1"], "--limit"),
        (["CATALOG", "--format", "xlsx"], "'parquet'"),
        (["CATALOG", "--out", "x.xlsx"], ".parquet"),
        (["CATALOG", "--format", "table", "--out", "x.csv"], "table"),
        (["CATALOG", "true", "--sql", "SELECT 1"], "--sql"),
        (["CATALOG", "--sql", "SELECT 1", "--count"], "--sql"),
        (["CATALOG", "--sql", "SELECT 1", "--limit", "3"], "sql"),
        (["CATALOG", "--sql", "DELETE FROM dicom"], "only read"),
        (["CATALOG", "--sql", "SELECT 1", "--format", "origins"], "origin"),
        (["CATALOG", "--count", "--limit", "3"], "--count"),
        (["CATALOG", "--format", "origins", "--select", "PatientID"], "origins"),
        (["CATALOG", "--group", "Modality", "--select", "PatientID"], "group"),
        ([], "CATALOG"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(
    run: Run, asked: Asked, arguments: list[str], says: str
) -> None:
    ran = run("query", *[str(asked.catalog) if a == "CATALOG" else a for a in arguments])
    assert (ran.code, ran.out) == (2, "")
    assert_one_sentence(ran)
    assert says in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["s3://KEY:SECRET@bucket/catalog"],
        ["http://user:SECRET@127.0.0.1:9/x?signature=SECRET"],
        ["CATALOG", "--storage-option", "SECRET"],
        ["nowhere", "--storage-option", "token=SECRET"],
    ],
)
def test_no_credential_is_ever_shown(run: Run, asked: Asked, arguments: list[str]) -> None:
    ran = run("query", *[str(asked.catalog) if a == "CATALOG" else a for a in arguments])
    assert ran.code
    assert "SECRET" not in ran.err + ran.out


def test_missing_duckdb_is_one_sentence_with_the_install_command(asked: Asked) -> None:
    code = "import sys; sys.modules['duckdb'] = None"
    done = run_process("query", asked.catalog, code=code)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "pip install 'dicomframe[catalog]'" in done.stderr


def test_table_shows_dates_and_ages_as_they_are_read(run: Run, asked: Asked) -> None:
    sql = "SELECT DATE '2024-02-29' AS d, 23.0 AS age, 0.5 AS half, NULL AS n, ['A', 'B'] AS l"
    out = run("query", asked.catalog, "--sql", sql, "--format", "table").out
    assert out.splitlines()[2].split() == ["2024-02-29", "23", "0.5", "null", "A\\B"]
