"""Lay corpora of realistic files on disk, once, to measure readers on.

    python benchmarks/corpora.py --folder corpora --check

makes them all and checks that pydicom reads a sample of each without a warning and finds in it
what the library finds.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import devices
import modalities
import pydicom

from dicomframe import read_bulk_data, scan_dicom

DEFAULT_FOLDER = Path(tempfile.gettempdir()) / "dicomframe-corpora"
_RECIPES = ("attributes.py", "devices.py", "modalities.py")
_ONLY_OURS = {"00083002", "7FE00010"}


@dataclass(frozen=True)
class Corpus:
    """Name a set of files and how each is built.

    Attributes
    ----------
    name : str
        Its folder.
    title : str
        What a reader of the results is told.
    series, files : int
        How many series, and files in each.
    build : callable
        Takes the number of the file in its series and of the series, both from 1.
    hollow : bool
        Files end with the header of Pixel Data and are stretched with a hole to their length: for
        headers alone.
    """

    name: str
    title: str
    series: int
    files: int
    build: Callable[[int, int], bytes]
    hollow: int = 0

    def paths(self, folder: Path) -> list[str]:
        """Return the files, series by series; make them if `folder` does not hold them."""
        place = folder / f"{self.name}-{self.series}x{self.files}-{_digest()}"
        if not place.is_dir():
            self._make(place)
        return sorted(str(path) for path in place.rglob("*.dcm"))

    def _make(self, place: Path) -> None:
        unfinished = place.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        for series in range(1, self.series + 1):
            folder = unfinished / f"{series:04d}"
            folder.mkdir(parents=True)
            for number in range(1, self.files + 1):
                with (folder / f"{number:05d}.dcm").open("wb") as file:
                    file.write(self.build(number, series))
                    if self.hollow:
                        file.truncate(file.tell() + self.hollow)
        unfinished.rename(place)


CORPORA = (
    Corpus("ct", "CT", 1, 500, modalities.make_ct),
    Corpus(
        "ct-study",
        "CT, 10 series",
        10,
        300,
        partial(modalities.make_ct, pixels=False),
        hollow=2 * 512 * 512,
    ),
    Corpus("mr-implicit", "MR, implicit VR", 2, 150, modalities.make_implicit_mr),
    Corpus("mr-private", "MR, private", 5, 60, modalities.make_private_mr),
    Corpus("encapsulated", "CT, compressed", 1, 300, modalities.make_encapsulated_ct),
    Corpus("cine", "US cine", 1, 60, modalities.make_cine),
    Corpus("multiframe", "Enhanced MR", 1, 60, modalities.make_multiframe),
    Corpus(
        "multiframe-delimited",
        "Enhanced MR, undefined lengths",
        1,
        60,
        partial(modalities.make_multiframe, delimited=True),
    ),
    Corpus("lone", "Lone files", 3000, 1, lambda _, n: devices.make_lone_file(n)),
    Corpus(
        "ct-lone",
        "CT, lone files",
        1000,
        1,
        lambda _, n: modalities.make_ct(n % 300 + 1, n, pixels=False),
        hollow=2 * 512 * 512,
    ),
)
ONLY_IF_NAMED = frozenset({"ct-lone"})
"""What is read only if it is asked for: the easy case of another."""
OTHERS = {
    "lone": Corpus("lone-others", "", 1000, 1, lambda _, n: devices.make_lone_file(3000 + n)),
}
"""Other files of the same devices, of the corpora that have no series to be known."""


def check(corpus: Corpus, folder: Path, count: int = 12) -> int:
    """Compare what pydicom and the library find in a sample; return the number of elements.

    Raises
    ------
    ValueError
        They differ.
    """
    paths = corpus.paths(folder)
    sample = paths[:: max(1, len(paths) // count)]
    rows = [row for batch in scan_dicom(sample, pixels="none") for row in batch.to_pylist()]
    elements = 0
    for path, row in zip(sample, rows, strict=True):
        if row["reason"] is not None:
            raise ValueError(f"{path}: {row['reason']}, {row['detail']}")
        expected = pydicom.dcmread(path, stop_before_pixels=True).to_json_dict()
        found = {
            tag: got for tag, got in json.loads(row["metadata"]).items() if tag not in _ONLY_OURS
        }
        _fetch_bulk(found)
        if found != expected:
            tags = sorted(tag for tag in expected | found if expected.get(tag) != found.get(tag))
            raise ValueError(f"{path}: these elements differ from pydicom's: {', '.join(tags)}")
        elements += sum(1 for _ in _elements(found))
    return elements // len(sample)


def _fetch_bulk(data_set: dict[str, Any]) -> None:
    """Put values that were left in the file where pydicom has them."""
    for element in _elements(data_set):
        if "BulkDataURI" in element:
            raw = read_bulk_data(element.pop("BulkDataURI"))
            element["InlineBinary"] = base64.b64encode(raw).decode()


def _elements(data_set: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for element in data_set.values():
        yield element
        if element["vr"] == "SQ":
            for item in element.get("Value", []):
                yield from _elements(item)


def _digest() -> str:
    """Return a name for the recipes, so that other recipes make other files."""
    folder = Path(__file__).parent
    recipes = b"".join((folder / name).read_bytes() for name in _RECIPES)
    return hashlib.sha256(recipes).hexdigest()[:8]


def main() -> None:
    """Make the corpora, and check them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--check", action="store_true", help="compare a sample with pydicom")
    arguments = parser.parse_args()
    if arguments.check:
        warnings.simplefilter("error")
        logging.getLogger("pydicom").addHandler(_Strict())
    for corpus in CORPORA:
        paths = corpus.paths(arguments.folder)
        kilobytes = sum(Path(path).stat().st_size for path in paths) // len(paths) // 1000
        line = f"{corpus.title}: {len(paths)} files of {kilobytes} kB"
        if arguments.check:
            line += f", {check(corpus, arguments.folder)} elements each, as pydicom finds them"
        print(line)


class _Strict(logging.Handler):
    """Fail where pydicom would log a warning."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            raise ValueError(record.getMessage())


if __name__ == "__main__":
    main()
