"""The command line with the engine Dask."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dicomframe import scan_dicom
from dicomframe.cli import main, motors
from dicomframe.cli.demo import example_code
from dicomframe.dicom.learned import Learned
from dicomframe.scan import reading
from dicomframe.testing.samples import real_files


def sorted_dataset(folder: Path) -> pa.Table:
    parts = [pq.ParquetFile(part).read() for part in sorted(folder.iterdir())]
    return pa.concat_tables(parts).sort_by("origin")


@pytest.mark.parametrize("columns", [80, 120])
def test_demo_shows_both_frames_and_fits_the_terminal(
    columns: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= columns
    assert len(out.splitlines()) < 65
    total = 5 + sum(batch.num_rows for batch in scan_dicom(real_files(), pixels="none"))
    assert re.search(rf"^\d+ dicom \+ \d+ corrupt = {total} files listed$", out, re.MULTILINE)
    for name in ("cut_short.dcm", "empty.dcm", "malformed", "CT_small.dcm", "SliceThickness"):
        assert name in out
    assert list(tmp_path.iterdir()) == []


def test_code_that_the_demo_shows_runs() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(example_code("dask", str(real_files("CT_small.dcm"))), {})
    assert re.search(r"file:.*\s+1CT1\s+5\.0\n", out.getvalue())


@pytest.mark.parametrize("pixels", ["none", "bytes"])
def test_scan_by_dask_writes_what_the_scan_without_an_engine_writes(
    tmp_path: Path,
    pixels: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # How far a thread reads hangs on the files it met before, and which those are is a race.
    monkeypatch.setattr(reading, "_learned_here", Learned)
    options = ["--pixels", pixels, "--tags", "PatientID,ImageType,StudyDate", "--npartitions", "7"]
    scan = ["scan", str(real_files()), *options, "--out"]
    assert main([*scan, str(tmp_path / "here")]) == 0
    here = capsys.readouterr().out
    assert main([*scan, str(tmp_path / "dask"), "--engine", "dask"]) == 0
    dask = capsys.readouterr().out
    for frame in ("dicom", "corrupt"):
        expected = sorted_dataset(tmp_path / "here" / frame)
        assert sorted_dataset(tmp_path / "dask" / frame).equals(expected, check_metadata=False)
    same = r"^(?:files|bytes read|dicom rows|corrupt rows| ).*$"
    assert re.findall(same, dask, re.MULTILINE) == re.findall(same, here, re.MULTILINE)


def test_waves_cover_every_partition_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motors, "_wave_size", lambda *_, **__: 3)
    from dicomframe.api import plan_read

    plan = plan_read(real_files(), pixels="none", npartitions=8)
    steps = list(motors.read_by_engine(motors.count_bytes(plan), "dask"))
    assert len(steps) == 3
    assert [step.file_count for step in steps] == [
        step.dicom.num_rows + step.corrupt.num_rows for step in steps
    ]


def test_wave_is_bounded_by_cores_where_pixels_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert motors._wave_size(10_000, reads_pixels=True) == 4
    assert motors._wave_size(10_000, reads_pixels=False) == 32
    assert motors._wave_size(200, reads_pixels=False) == 8
    assert motors._wave_size(1, reads_pixels=False) == 4
