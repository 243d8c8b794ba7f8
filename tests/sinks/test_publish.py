"""The command ``dicomframe publish``, on real nodes."""

from __future__ import annotations

import csv
import re
import socket
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from commands import CONTROL, Run, assert_one_sentence, counts, run_on_terminal
from servers.nodes import SearchServer
from sinks.reading import ask, count, fetch_all, search

from dicomframe import index_dicom
from dicomframe.sinks import retrying
from dicomframe.testing.archive import write_archive
from dicomframe.testing.sinks import SECRET

LOGIN = ("--option", "user=me", "--option", f"password={SECRET}")


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pa.Table]:
    """A catalogue of 600 files, and the truth about the sound ones."""
    folder = tmp_path_factory.mktemp("small")
    truth = write_archive(folder / "files", files=600)
    index_dicom(folder / "files", folder / "catalog")
    return folder / "catalog", truth.filter(pc.is_null(truth["reason"]))


@pytest.fixture(params=["elasticsearch", "opensearch"])
def url(request: pytest.FixtureRequest) -> str:
    """An index that is not there."""
    server: SearchServer = request.getfixturevalue(request.param)
    return f"{request.param}+{server.endpoint}/p{uuid4().hex}"


def test_publishing_twice_leaves_the_same_documents(
    run: Run, indexed: tuple[Path, pa.Table], url: str
) -> None:
    catalog, truth = indexed
    rows = truth.num_rows
    first = run("publish", catalog, url, *LOGIN)
    assert (first.code, first.err) == (0, "")
    told = {"documents": rows, "written": rows, "updated": 0, "refused": 0}
    assert counts(first.out) == told
    before = fetch_all(url)
    assert set(before) == set(truth["SOPInstanceUID"].to_pylist())
    assert {row["origin"] for row in before.values()} == set(truth["origin"].to_pylist())
    again = run("publish", catalog, url)
    assert counts(again.out) == {**told, "written": 0, "updated": rows}
    assert fetch_all(url) == before
    women = truth.filter(pc.equal(truth["PatientSex"], "F"))["SOPInstanceUID"].to_pylist()
    assert search(url, {"term": {"PatientSex": "F"}}) == set(women)


@pytest.mark.parametrize("engine", ["dask", "spark"])
def test_an_engine_publishes_the_same(
    engine: str, indexed: tuple[Path, pa.Table], url: str, run: Run, request: pytest.FixtureRequest
) -> None:
    if engine == "spark":
        request.getfixturevalue("spark")
    catalog, truth = indexed
    ran = run("publish", catalog, url, "--engine", engine, "--tags", "PatientSex,PatientAge")
    assert ran.code == 0, ran.err
    assert counts(ran.out)["written"] == truth.num_rows
    found = fetch_all(url)
    assert set(found) == set(truth["SOPInstanceUID"].to_pylist())
    names = {name for row in found.values() for name in row}
    assert names == {"origin", "metadata", "PatientSex", "PatientAge"}


def test_a_condition_chooses_the_rows(run: Run, indexed: tuple[Path, pa.Table], url: str) -> None:
    catalog, truth = indexed
    wanted = truth.filter(pc.equal(truth["Modality"], "MR"))["SOPInstanceUID"].to_pylist()
    ran = run("publish", catalog, url, "--where", "Modality = 'MR'", "--tags", "Modality")
    assert counts(ran.out)["written"] == len(wanted) > 10
    assert set(fetch_all(url)) == set(wanted)


def test_refused_documents_are_counted_shown_written_and_the_exit_code(
    run: Run, indexed: tuple[Path, pa.Table], url: str, tmp_path: Path
) -> None:
    catalog, truth = indexed
    ask(url, "", {"mappings": {"_routing": {"required": True}}}, "PUT")  # and none is sent
    file = tmp_path / "refused.csv"
    ran = run("publish", catalog, url, "--refused", file)
    assert (ran.code, ran.err) == (1, "")
    assert counts(ran.out)["refused"] == truth.num_rows
    assert f"{truth.num_rows:,}: routing_missing_exception\n    e.g. " in ran.out
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert {row["origin"] for row in rows} == set(truth["origin"].to_pylist())
    assert {row["id"] for row in rows} == set(truth["SOPInstanceUID"].to_pylist())
    assert {row["reason"] for row in rows} == {"routing_missing_exception"}
    assert count(url) == 0


def test_terminal_gets_a_bar_and_a_pipe_the_summary_alone(
    indexed: tuple[Path, pa.Table], url: str
) -> None:
    catalog, truth = indexed
    shown, code, out = run_on_terminal("publish", catalog, url, columns=100)
    assert code == 0
    assert re.search(r"publishing .*\d+/\d+ documents", CONTROL.sub("", shown))
    assert counts(out)["written"] == truth.num_rows
    assert not CONTROL.search(out.replace("\n", ""))


def test_no_server_is_one_sentence_and_a_code_of_its_own(
    run: Run, indexed: tuple[Path, pa.Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrying, "ATTEMPTS", 2)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"opensearch+http://me:{SECRET}@127.0.0.1:{bound.getsockname()[1]}/x"
        ran = run("publish", indexed[0], url)
    assert ran.code == 3
    assert_one_sentence(ran)
    assert "takes nothing: there is no answer (2 attempts)" in ran.err
    assert SECRET not in ran.err + ran.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tags", "Colums"], "--tags must name columns of the catalogue ('"),
        (["--option", f"pass={SECRET}"], "has no option 'pass'"),
        (["--option", SECRET], "--option number 1 must read KEY=VALUE"),
        (["--where", "Colums = 1"], "Colums"),
        (["--engine", "dask", "--where", "Rows = 1"], "give it without --engine"),
        (["--engine", "dusk"], "did you mean 'dask'?"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, indexed: tuple[Path, pa.Table], arguments: list[str], words: str
) -> None:
    ran = run("publish", indexed[0], "opensearch+http://127.0.0.1:1/x", *arguments)
    assert ran.code == 2
    assert_one_sentence(ran)
    assert words in ran.err
    assert SECRET not in ran.err


def test_no_catalogue_is_one_sentence(run: Run, tmp_path: Path) -> None:
    ran = run("publish", tmp_path / "nothing", "opensearch+http://127.0.0.1:1/x")
    assert ran.code == 2
    assert_one_sentence(ran)
