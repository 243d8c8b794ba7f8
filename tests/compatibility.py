"""Write docs/compatibility.md from the results of the version matrix.

python tests/compatibility.py RESULTS [DOCUMENT]

RESULTS is a folder of JUnit files named like ``spark-4.3.0-py3.11.xml``, which
``nox -s spark_versions dask_versions`` leaves in ``.nox/.cache/compatibility``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parent.parent
NAME = re.compile(r"(?P<engine>[a-z]+)-(?P<version>[\d.]+)-py(?P<python>[\d.]+)\.xml")
HEAD = """\
# Versions

What the tests of a backend gave with each version of its engine and of Python. The tables are
written from the results of the runs:

```
nox -s spark_versions dask_versions
python tests/compatibility.py .nox/.cache/compatibility
```

A cell shows its last run; where it counts fewer tests than its neighbours, the others came later.

What an older Spark lacks:

- Before 4.1 no filter is pushed down to `format("dicom")`, so one test is skipped; and late pixels
  come by a UDF of pandas, not of Arrow; Java and Python talk over TCP.
- Before 4.2 a stream with `trigger(availableNow=True)` takes all files in one batch, whatever
  `maxFilesPerTrigger` says.
"""


@dataclass(frozen=True)
class Result:
    engine: str
    version: str
    python: str
    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        failed = f"**{self.failed} failed**, " if self.failed or not self.passed else ""
        return f"{failed}{self.passed} passed{skipped}"


def read_result(path: Path) -> Result:
    """Return what one run gave; its name tells of what."""
    match = NAME.fullmatch(path.name)
    if match is None:
        raise SystemExit(f"{path.name!r} is no name of a result such as 'spark-4.3.0-py3.11.xml'")
    suites = list(ET.parse(path).getroot().iter("testsuite"))

    def total(key: str) -> int:
        return sum(int(suite.get(key, 0)) for suite in suites)

    failed, skipped = total("failures") + total("errors"), total("skipped")
    return Result(*match.groups(), total("tests") - failed - skipped, failed, skipped)


def make_document(results: Iterable[Result]) -> str:
    """Return what differs, then a table for each engine: its versions down, Python's across."""
    cells = {(each.engine, each.version, each.python): str(each) for each in results}
    pythons = sorted({python for _, _, python in cells}, key=_numbers)
    text = HEAD
    for engine in sorted({engine for engine, _, _ in cells}):
        text += f"\n## {engine.capitalize()}\n\n"
        text += "| | " + " | ".join(f"Python {python}" for python in pythons) + " |\n"
        text += "|---" * (len(pythons) + 1) + "|\n"
        versions = {version for name, version, _ in cells if name == engine}
        for version in sorted(versions, key=_numbers, reverse=True):
            row = [cells.get((engine, version, python), "not run") for python in pythons]
            text += f"| {version} | " + " | ".join(row) + " |\n"
    return text


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


if __name__ == "__main__":
    found = [read_result(path) for path in sorted(Path(sys.argv[1]).glob("*.xml"))]
    document = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "compatibility.md"
    document.write_text(make_document(found))
