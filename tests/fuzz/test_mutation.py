"""Short runs of the fuzzers; `mutation.py` and `series.py` run as long as one likes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).with_name("mutation.py")


def test_parser_keeps_its_promises_for_mutated_files() -> None:
    command = [sys.executable, str(FUZZER), "--files", "4000", "--seed", "11"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files: 4000 " in done.stdout
    assert "broken promises: 0" in done.stdout


def test_fuzzer_uses_templates_and_breaks_files_in_every_way() -> None:
    command = [sys.executable, str(FUZZER), "--files", "1500", "--seed", "12"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False).stdout
    for reason in ("sound", "truncated", "malformed", "not_dicom", "unsupported"):
        assert f"{reason} " in told
    by_template = int(told.split("headers by template: ")[1].split()[0])
    assert by_template > 150


def test_layers_agree_on_series_of_writers_that_err() -> None:
    command = [sys.executable, str(FUZZER.with_name("series.py")), "--series", "80", "--seed", "21"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "broken promises: 0" in done.stdout
    assert int(done.stdout.split("by template: ")[1].split()[0]) > 100
