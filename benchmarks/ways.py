"""Name the ways of reading that are compared: the library's layers, pydicom, other readers."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import dcmtk
import pyarrow as pa
import pydicom

from dicomframe.api import plan_read
from dicomframe.dicom.header import Header, Learned
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.outcomes import Outcomes
from dicomframe.scan.partition import ListedFile
from dicomframe.scan.planning import ReadPlan
from dicomframe.scan.storage import Store

_HEAD_BYTES = 16 << 10
_BATCH_BYTES = 32 << 20
_PIXEL_DATA = 0x7FE00010
_LOCAL = Store("file", "file://")

_Parser = tuple[str, str, str, Callable[[Any], Callable[[str], object]]]
"""Module, distribution, what it does, and what makes its reading function of the module."""


@dataclass(frozen=True)
class Way:
    """Name one way to read files.

    Attributes
    ----------
    name : str
        What a reader of the results is told.
    measure : callable
        Reads files and returns microseconds of CPU time per file.
    files : int
        The most files of one turn; slow ways take fewer.
    makes_json : bool
        Whether DICOM JSON comes out; without it less work is done than by the others.
    """

    name: str
    measure: Callable[[Sequence[str]], float]
    files: int
    makes_json: bool = True


REFERENCE = "pydicom `dcmread` + `to_json`"
BARE = "open + read 16 KiB + close"
BARE_PIXELS = "open + read into an Arrow buffer + close"
WARM = "dicomframe, series or device known"
COLD = "dicomframe, first pass"
OURS = "dicomframe, "
"""How the names of the library's ways begin."""


def header_ways(others: Sequence[str] = ()) -> list[Way]:
    """Return the ways to read metadata alone, and what of them is installed.

    Parameters
    ----------
    others : sequence of str
        Other files of the same devices, which the last of the library's ways has read; without
        any it has read the very files that are measured.
    """
    learned = Learned()
    read_again = _timed(lambda paths: _ours(paths, learned))
    ways = [
        Way(REFERENCE, _timed(_each(_pydicom_json)), 24),
        Way("pydicom, long values as links", _timed(_each(_pydicom_links)), 8),
    ]
    if dcmtk.is_installed():
        ways.append(
            Way(f"DCMTK {dcmtk.version()} `dcm2json`, start subtracted", dcmtk.time_headers, 40)
        )
    ways += _library_ways(_PARSERS)
    ways += [
        Way("dicomframe, walk alone", _timed(lambda paths: _ours(paths, None)), 60),
        Way(
            "dicomframe, memo alone, first pass",
            _timed(lambda paths: _ours(paths, Learned(templates=False))),
            1000,
        ),
        Way(COLD, _timed(lambda paths: _ours(paths, Learned())), 3000),
        Way(WARM, _knowing(others) if others else read_again, 3000),
        Way(BARE, _timed(_each(_bare)), 3000, makes_json=False),
    ]
    return ways


def pixel_ways() -> list[Way]:
    """Return the ways to read metadata and Pixel Data."""
    ways = [Way("pydicom, JSON and pixels as bytes", _timed(_each(_pydicom_pixels)), 8)]
    if dcmtk.is_installed():
        name = f"DCMTK {dcmtk.version()} `dcm2json`, pixels as base64, start subtracted"
        ways.append(Way(name, dcmtk.time_files, 8))
    ways += _library_ways(_PIXEL_PARSERS)
    ways += [
        Way("dicomframe, record batches", _partition, 128),
        Way(BARE_PIXELS, _timed(_bare_pixels), 128, makes_json=False),
    ]
    return ways


def missing_peers() -> list[str]:
    """Return the readers that could be compared and are not installed."""
    names = {"dicomsdl": "dicomsdl", "fastdicom": "fastdicom", "gdcm": "python-gdcm"}
    found = [] if dcmtk.is_installed() else ["DCMTK"]
    return found + [label for module, label in names.items() if not _find(module)]


def _timed(read: Callable[[Sequence[str]], object]) -> Callable[[Sequence[str]], float]:
    def measure(paths: Sequence[str]) -> float:
        start = time.process_time()
        read(paths)
        return (time.process_time() - start) / len(paths) * 1e6

    return measure


def _knowing(others: Sequence[str]) -> Callable[[Sequence[str]], float]:
    """Return how to measure what has read `others`, and in each turn no more."""

    def measure(paths: Sequence[str]) -> float:
        learned = Learned()
        _ours(others, learned)
        return _timed(lambda paths: _ours(paths, learned))(paths)

    return measure


def _each(read: Callable[[str], object]) -> Callable[[Sequence[str]], object]:
    def read_all(paths: Sequence[str]) -> None:
        for path in paths:
            read(path)

    return read_all


def _bare(path: str) -> bytes:
    file = os.open(path, os.O_RDONLY)
    data = os.read(file, _HEAD_BYTES)
    os.close(file)
    return data


def _ours(paths: Sequence[str], learned: Learned | None) -> None:
    """Read headers as a partition's are read, batches and columns left out."""
    files = [ListedFile(0, path, None, None, None) for path in paths]
    outcomes = Outcomes(ReadOptions(), [_LOCAL], learned, wants_pixels=False)
    for _, _, header, _ in outcomes.read(files):
        if not isinstance(header, Header):
            raise header


def _pydicom_json(path: str) -> str:
    return pydicom.dcmread(path, stop_before_pixels=True).to_json()


def _pydicom_links(path: str) -> str:
    """Leave values beyond 1 KiB in the file, as the library does."""
    data_set = pydicom.dcmread(path, stop_before_pixels=True)
    return data_set.to_json(bulk_data_element_handler=lambda _: path)


def _pydicom_pixels(path: str) -> tuple[str, bytes]:
    data_set = pydicom.dcmread(path)
    pixels = data_set.PixelData
    del data_set.PixelData
    return data_set.to_json(), pixels


def _bare_pixels(paths: Sequence[str]) -> None:
    """Read files whole into buffers of a batch's size, one buffer at a time."""
    buffer, used = None, _BATCH_BYTES
    for path in paths:
        file = os.open(path, os.O_RDONLY)
        size = os.fstat(file).st_size
        if used + size > _BATCH_BYTES:
            buffer, used = memoryview(pa.allocate_buffer(_BATCH_BYTES)).cast("B"), 0
        os.preadv(file, [buffer[used : used + size]], 0)
        os.close(file)
        used += size


def _partition(paths: Sequence[str]) -> float:
    """Read one partition into record batches; listing and planning are not counted.

    The same files are planned once, not ahead of each measurement: the allocator would give the
    memory of a batch back meanwhile, and this read alone would pay for its pages anew.
    """
    plan = _plan(tuple(paths))
    return _timed(lambda _: [None for _ in plan.reader(plan.partitions[0])])(paths)


@lru_cache(maxsize=1)
def _plan(paths: tuple[str, ...]) -> ReadPlan:
    return plan_read(list(paths), npartitions=1)


def _find(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _library_ways(parsers: Sequence[_Parser]) -> list[Way]:
    """Return the readers among `parsers` that are installed."""
    ways = []
    for module, distribution, does, make in parsers:
        if _find(module):
            name = f"{distribution} {importlib.metadata.version(distribution)}, {does}"
            read = make(importlib.import_module(module))
            ways.append(Way(name, _timed(_each(read)), 50, makes_json=False))
    return ways


def _dicomsdl(library: Any) -> Callable[[str], object]:
    return lambda path: library.open_file(path, load_until=_PIXEL_DATA - 1)


def _dicomsdl_pixels(library: Any) -> Callable[[str], object]:
    return lambda path: library.open_file(path).PixelData


def _fastdicom(library: Any) -> Callable[[str], object]:
    return lambda path: library.dcmread(path, stop_before_pixels=True)


def _fastdicom_values(library: Any) -> Callable[[str], object]:
    return lambda path: library.dcmread(path, stop_before_pixels=True).items()


def _gdcm(library: Any) -> Callable[[str], object]:
    tag = library.Tag(0x7FE0, 0x0010)

    def read(path: str) -> object:
        reader = library.Reader()
        reader.SetFileName(path)
        reader.ReadUpToTag(tag)
        return reader

    return read


def _gdcm_pixels(library: Any) -> Callable[[str], object]:
    def read(path: str) -> object:
        reader = library.Reader()
        reader.SetFileName(path)
        reader.Read()
        return reader

    return read


_PARSERS: list[_Parser] = [
    ("gdcm", "python-gdcm", "parse only, no JSON", _gdcm),
    ("fastdicom", "fastdicom", "parse only, no JSON", _fastdicom),
    ("fastdicom", "fastdicom", "values to Python, no JSON", _fastdicom_values),
    ("dicomsdl", "dicomsdl", "parse only, no JSON", _dicomsdl),
]
_PIXEL_PARSERS: list[_Parser] = [
    ("gdcm", "python-gdcm", "parse and load, no JSON", _gdcm_pixels),
    ("dicomsdl", "dicomsdl", "parse and pixels as bytes, no JSON", _dicomsdl_pixels),
]
