"""Compare the plain walk with pydicom, metadata alone, on a CT series.

Each round reads every file in each way, one way after the other in an order that changes from
round to round; what counts is the processor time of this process, the median of the rounds, and
of that the ratios. Run it on a quiet machine:

    python benchmarks/plain_walk.py [--files 100] [--rounds 7]
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pydicom

from dicomframe.dicom.header import read_header
from dicomframe.testing.samples import make_ct

_HEAD_BYTES = 16 << 10


def read_bare(path: str) -> bytes:
    """Open a file, read its first 16 KiB and close it: what no reader can undercut."""
    file = os.open(path, os.O_RDONLY)
    data = os.read(file, _HEAD_BYTES)
    os.close(file)
    return data


def read_plain(path: str) -> bytes:
    """Read a header with the plain walk."""
    file = os.open(path, os.O_RDONLY)
    try:
        reading = read_header(os.fstat(file).st_size, path)
        start, stop = next(reading)
        while True:
            start, stop = reading.send(os.pread(file, stop - start, start))
    except StopIteration as end:
        metadata: bytes = end.value.metadata
        return metadata
    finally:
        os.close(file)


def read_pydicom(path: str) -> str:
    """Read a header with pydicom."""
    return pydicom.dcmread(path, stop_before_pixels=True).to_json()


WAYS: dict[str, Callable[[str], object]] = {
    "open + read 16 KiB": read_bare,
    "plain walk": read_plain,
    "pydicom dcmread + to_json": read_pydicom,
}


def measure(paths: list[str], rounds: int) -> dict[str, float]:
    """Return microseconds of processor time per file for each way, the median of the rounds."""
    times: dict[str, list[float]] = {name: [] for name in WAYS}
    shuffled = random.Random(7)
    for _ in range(rounds):
        for name in shuffled.sample(list(WAYS), len(WAYS)):
            start = time.process_time()
            for path in paths:
                WAYS[name](path)
            times[name].append((time.process_time() - start) / len(paths) * 1e6)
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    """Make the series, measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=100, help="slices in the series")
    parser.add_argument("--rounds", type=int, default=7, help="how often each way reads them")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(1, arguments.files + 1):
            path = Path(folder) / f"{number:05d}.dcm"
            path.write_bytes(make_ct(number, rows=512, columns=512))
            paths.append(str(path))
        found = measure(paths, arguments.rounds)
    slowest = found["pydicom dcmread + to_json"]
    print(f"A CT series of {arguments.files} slices, metadata alone, one process, warm cache:\n")
    print("| way | microseconds of CPU per file | times as fast as pydicom |")
    print("|---|---:|---:|")
    for name, microseconds in found.items():
        print(f"| {name} | {microseconds:.1f} | {slowest / microseconds:.1f} |")


if __name__ == "__main__":
    main()
