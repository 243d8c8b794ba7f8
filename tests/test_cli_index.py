"""``dicomframe index`` tells what it does, in a pipe and on a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import CONTROL, Run, assert_one_sentence, counts, run_on_terminal

from dicomframe import Catalog, index_dicom
from dicomframe.catalog.place import CatalogPlace
from dicomframe.testing.archive import write_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_archive(tmp_path / "archive", files=300)
    return tmp_path / "archive"


def test_summary_tells_what_was_found(run: Run, tmp_path: Path, archive: Path) -> None:
    catalog = tmp_path / "catalog"
    ran = run("index", archive / "PAT00001", archive, catalog)
    assert (ran.code, ran.err) == (0, "")
    told = {
        "new files": 300, "changed files": 0, "vanished files": 0, "unchanged files": 0,
        "dicom rows": 299, "corrupt rows": 1, "truncated": 1,
    }  # fmt: skip
    assert told.items() <= counts(ran.out).items()
    assert ran.out.endswith(f"state 1 of file://{catalog}: 300 files\n")
    next(archive.rglob("*.dcm")).unlink()
    ran = run("index", archive, catalog, "--strict", "--npartitions", 2)
    assert ran.code == 1
    assert_one_sentence(ran)
    assert counts(ran.out)["vanished files"] == 1
    assert counts(ran.out)["unchanged files"] == 299


def test_options_reach_the_run(run: Run, tmp_path: Path, archive: Path) -> None:
    catalog = tmp_path / "catalog"
    ran = run(
        *("index", archive, catalog, "--tags", "Modality,PatientAge", "--tags", "Rows"),
        *("--include", "IM0000?.dcm", "--exclude", "PAT00001/", "--no-archives"),
    )
    assert ran.code == 0
    assert list(Catalog(catalog).tags) == ["Modality", "PatientAge", "Rows"]
    origins = Catalog(catalog).to_table("dicom", ["origin"])["origin"].to_pylist()
    assert origins
    assert all("/IM0000" in origin and "PAT00001" not in origin for origin in origins)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere", "catalog"],
        ["archive", "archive"],
        ["archive", "catalog", "--tags", "PatientNme"],
        ["archive", "catalog", "--engine", "sparc"],
        ["archive", "catalog", "--npartitions", "0"],
        ["archive", "catalog", "--catalog-option", "verysecret"],
        ["archive", "s3://key:verysecret@bucket/::x"],
        ["archive"],
    ],
)
def test_what_cannot_be_is_one_sentence(
    run: Run, tmp_path: Path, archive: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run("index", *arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert_one_sentence(ran)
    assert "verysecret" not in ran.err
    assert not (tmp_path / "catalog" / "states").exists()


def test_a_catalogue_that_is_being_written_is_told(run: Run, tmp_path: Path, archive: Path) -> None:
    with CatalogPlace.at(tmp_path / "catalog").lock():
        ran = run("index", archive, tmp_path / "catalog")
    assert ran.code == 2
    assert_one_sentence(ran)
    assert f"(process {os.getpid()}) is writing" in ran.err


def test_terminal_gets_a_bar_that_is_gone_at_the_end(tmp_path: Path, archive: Path) -> None:
    shown, code, out = run_on_terminal(
        "index", archive, tmp_path / "catalog", "--npartitions", 12, columns=90
    )
    assert code == 0
    assert "listing files" in shown
    assert "300/300 files" in shown
    assert "files/s" in shown
    assert "left" in shown
    assert "merging" in shown
    assert "\x1b[2K" in shown
    assert not CONTROL.search(out)
    assert counts(out)["new files"] == 300


def test_ctrl_c_ends_it_at_once_and_the_next_run_goes_on(tmp_path: Path) -> None:
    archive, catalog = tmp_path / "archive", tmp_path / "catalog"
    write_archive(archive, files=4000)
    script = (
        "import os, signal, sys\n"
        "from dicomframe.catalog import refreshing\n"
        "from dicomframe.cli import indexing, main\n"
        "real = indexing.index_dicom\n"
        "def tell(step):\n"
        "    if step.step == 'reading' and step.done:\n"
        "        os.killpg(0, signal.SIGINT)  # as a terminal does\n"
        "indexing.index_dicom = lambda *a, **k: real(*a, **{**k, 'progress': tell})\n"
        "sys.exit(main())\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, "index", archive, catalog, "--npartitions", "20"],
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (ran.returncode, ran.stdout) == (130, "")
    assert ran.stderr == "dicomframe: stopped\n"
    report = index_dicom(archive, catalog)
    assert report.resumed > 0
    assert report.dicom + sum(report.corrupt.values()) == 4000
