"""Compare indexing with a bare scan, and a second run with the first.

Run ``python benchmarks/catalog.py [FILES] [ROUNDS]``. All is done by turns in one script; on a
machine that does other work meanwhile only the ratios tell something.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dicomframe import Catalog, index_dicom
from dicomframe.catalog.query import query_catalog
from dicomframe.testing.archive import write_archive

_SCAN = """
import sys
from dicomframe import Catalog, scan_dicom
from dicomframe.catalog.columns import DEFAULT_TAGS
rows = 0
for batch in scan_dicom(sys.argv[1:], pixels="none", tags=list(DEFAULT_TAGS)):
    rows += batch.num_rows
print(rows)
"""
_COHORT = "PatientSex = 'F' AND PatientAge BETWEEN 20 AND 25 AND Modality = 'MR'"


def main(files: int, rounds: int) -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as place:
        archive, catalog = Path(place, "archive"), Path(place, "catalog")
        write_archive(archive, files)
        paths = sorted(archive.rglob("*.dcm"))
        halves = _halve(archive, len(paths))
        seconds: dict[str, list[float]] = {}
        for number in range(rounds):
            shutil.rmtree(catalog, ignore_errors=True)
            _time(seconds, "scan", lambda: _scan(halves))
            _time(seconds, "index", lambda: index_dicom(archive, catalog))
            for path in paths[number :: max(1, files // max(1, files // 100))][: files // 100]:
                os.utime(path, (number, number))
            _time(seconds, "again", lambda: index_dicom(archive, catalog))
            _time(seconds, "unchanged", lambda: index_dicom(archive, catalog))
            _time(seconds, "query", lambda: query_catalog(Catalog(catalog), _COHORT))
        best = {name: min(each) for name, each in seconds.items()}
        for name, each in seconds.items():
            print(f"{name:<10} {best[name]:8.3f} s  (median {statistics.median(each):.3f} s)")
        rate = best["scan"] / best["index"]
        print(f"index, against the rate of two scanning processes: {rate:.2f} (wanted: 0.5)")
        print(f"second run with 1 % changed / first: {best['again'] / best['index']:.3f} (0.1)")
        print(f"second run, nothing changed / first: {best['unchanged'] / best['index']:.3f}")
        print(f"query: {best['query']:.3f} s (1)")


def _halve(archive: Path, count: int) -> list[list[str]]:
    """Return the folders of patients in two lots with about as many files."""
    lots: list[list[str]] = [[], []]
    met = 0
    for folder in sorted(archive.iterdir()):
        lots[met * 2 >= count].append(str(folder))
        met += sum(1 for _ in folder.rglob("*.dcm"))
    return lots


def _scan(lots: list[list[str]]) -> None:
    running = [
        subprocess.Popen([sys.executable, "-c", _SCAN, *lot], stdout=subprocess.DEVNULL)
        for lot in lots
        if lot
    ]
    for process in running:
        if process.wait():
            raise SystemExit("a scan failed")


def _time(seconds: dict[str, list[float]], name: str, work: Callable[[], object]) -> None:
    started = time.perf_counter()
    work()
    seconds.setdefault(name, []).append(time.perf_counter() - started)


def _arguments() -> Iterator[int]:
    yield int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    yield int(sys.argv[2]) if len(sys.argv) > 2 else 3


if __name__ == "__main__":
    main(*_arguments())
