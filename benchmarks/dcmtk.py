"""Time DCMTK's dcm2json without the start of its process, which is ten times the work."""

from __future__ import annotations

import math
import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path

from dicomframe.dicom.dictionary import VRS
from dicomframe.dicom.encodings import (
    EXPLICIT_LITTLE,
    EXPLICIT_LITTLE_UID,
    IMPLICIT_LITTLE,
    IMPLICIT_LITTLE_UID,
)
from dicomframe.dicom.header import Parser
from dicomframe.dicom.window import feed
from dicomframe.testing.samples import element, item, make_file, sequence

_CONTENT_SEQUENCE = 0x0040A730
_RUNS = 3
_BUNDLE_BYTES = 1 << 20


def is_installed() -> bool:
    """Tell whether dcm2json can be run."""
    return shutil.which("dcm2json") is not None


@cache
def version() -> str:
    """Return the version of dcm2json."""
    told = subprocess.run(["dcm2json", "--version"], capture_output=True, text=True, check=True)
    return told.stdout.split()[2].lstrip("v")


def time_headers(paths: Sequence[str]) -> float:
    """Return microseconds per file for metadata alone.

    The data sets of all files are converted in one run, as items of a sequence in one file; so the
    start, measured on a file of one element, can be taken off. Small ones come several times, up to
    a MiB, or the start would drown them. Pixel Data, which dcm2json cannot leave out, is cut off
    before; that the files need not be opened is in its favour.
    """
    bundle, count = _bundle(tuple(paths))
    runs = [_seconds(bundle) - _seconds(_smallest_file()) for _ in range(_RUNS)]
    return statistics.median(runs) / count * 1e6


def time_files(paths: Sequence[str]) -> float:
    """Return microseconds per file for whole files; not a number if it cannot convert them."""
    return statistics.median(_seconds(path) - _seconds(_smallest_file()) for path in paths) * 1e6


def _seconds(path: str) -> float:
    """Return the CPU time of one run."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(
        ["dcm2json", "-q", "-fc", path],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode:
        return math.nan
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@cache
def _smallest_file() -> str:
    path = Path(_scratch().name) / "smallest.dcm"
    path.write_bytes(make_file(element(0x00080060, "CS", "CT")))
    return str(path)


@lru_cache(1)
def _bundle(paths: tuple[str, ...]) -> tuple[str, int]:
    """Return a file that holds the data sets of those of `paths` that are encoded alike."""
    found = [_data_set(path) for path in paths]
    explicit = [data_set for data_set in found if data_set[4:6] in VRS]
    data_sets, encoding, uid = explicit, EXPLICIT_LITTLE, EXPLICIT_LITTLE_UID
    if not explicit:
        data_sets, encoding, uid = found, IMPLICIT_LITTLE, IMPLICIT_LITTLE_UID
    data_sets *= max(1, _BUNDLE_BYTES // sum(map(len, data_sets)))
    items = (item(data_set, encoding=encoding) for data_set in data_sets)
    whole = sequence(_CONTENT_SEQUENCE, *items, encoding=encoding)
    path = Path(_scratch().name) / "bundle.dcm"
    path.write_bytes(make_file(whole, transfer_syntax=uid))
    return str(path), len(data_sets)


def _data_set(path: str) -> bytes:
    """Return the data set of a file up to Pixel Data, all of it if there is none."""
    data = Path(path).read_bytes()
    header = feed(Parser().read(len(data), ""), lambda start, stop: data[start:stop])
    begin = 144 + int.from_bytes(data[140:144], "little")  # behind group 0002
    pixels = b"" if header.pixel_offset is None else b"\xe0\x7f\x10\0"
    return data[begin : data.rfind(pixels, 0, header.pixel_offset)]
