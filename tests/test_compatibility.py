"""The table of versions says what the results say."""

from __future__ import annotations

from pathlib import Path

import compatibility
import pytest


def write_result(folder: Path, name: str, **counts: int) -> None:
    attributes = " ".join(f'{key}="{count}"' for key, count in counts.items())
    (folder / name).write_text(f"<testsuites><testsuite {attributes}/></testsuites>")


def test_table_has_a_row_for_each_version_and_a_column_for_each_python(tmp_path: Path) -> None:
    write_result(tmp_path, "spark-4.3.0-py3.11.xml", tests=90, failures=0, errors=0, skipped=0)
    write_result(tmp_path, "spark-4.0.5-py3.11.xml", tests=90, failures=2, errors=1, skipped=4)
    write_result(tmp_path, "spark-4.3.0-py3.9.xml", tests=0, failures=0, errors=0, skipped=0)
    results = map(compatibility.read_result, tmp_path.iterdir())
    lines = compatibility.make_document(results).splitlines()
    assert lines[-4:] == [
        "| | Python 3.9 | Python 3.11 |",
        "|---|---|---|",
        "| 4.3.0 | **0 failed**, 0 passed | 90 passed |",
        "| 4.0.5 | not run | **3 failed**, 83 passed, 4 skipped |",
    ]


def test_file_of_another_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="is no name of a result"):
        compatibility.read_result(tmp_path / "results.xml")
