"""Mutate real and made-up files, and hold the parser to what it promises for any input.

Run it by hand with ``python tests/fuzz/mutation.py --files 200000 --seed 7 --processes 2``. A seed
gives the same files every time. A file on which a promise is broken is kept in the folder
``--keep``, with all files that were read since the layers last forgot everything.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NoReturn

from mutator import LONGEST_FILE_BYTES, Mutator

from dicomframe.dicom.damage import REASONS, Damage
from dicomframe.dicom.encodings import EXPLICIT_BIG, IMPLICIT_LITTLE
from dicomframe.dicom.header import Header, Learned, Parser
from dicomframe.dicom.window import feed
from dicomframe.inspection import Inspection
from dicomframe.scan.tags import parse_tags, typed_values
from dicomframe.testing.bad_files import BAD_FILES
from dicomframe.testing.details import is_free_of_values
from dicomframe.testing.samples import make_ct, real_files

COLUMNS = parse_tags(
    "PatientName PatientAge StudyDate StudyTime Rows PixelSpacing ImageType SOPInstanceUID "
    "AcquisitionDateTime TransferSyntaxUID ReferencedImageSequence PatientWeight SelectorATValue "
    "RedPaletteColorLookupTableData SmallestImagePixelValue "
    "RequestAttributesSequence[0].PatientID".split()
)
FORGET_EVERY = 400
"""Files after which the layers forget all, so that they learn from other neighbours again."""


COSTLY = ("bomb_", "items_1", "fragments_1", "nested_10000")
PROBES = (0x00020010, 0x00080000, 0x00080005, 0x00080060, 0x00091001, 0x00100010, 0x7FE00010)


@dataclass
class Report:
    """What came of the files."""

    files: int = 0
    told: Counter[str] = field(default_factory=Counter)
    by_template: int = 0
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0
    slowest: tuple[float, str] = (0.0, "")
    peak_mib: float = 0.0

    def add(self, other: Report) -> None:
        """Add what another process found."""
        self.files += other.files
        self.told += other.told
        self.by_template += other.by_template
        self.broken += other.broken
        self.seconds += other.seconds
        self.slowest = max(self.slowest, other.slowest)
        self.peak_mib = max(self.peak_mib, other.peak_mib)

    def __str__(self) -> str:
        told = ", ".join(f"{reason} {count}" for reason, count in self.told.most_common())
        lines = [
            f"files: {self.files} ({told})",
            f"headers by template: {self.by_template} of {self.told['sound']} sound",
            f"slowest: {self.slowest[0]:.2f} s per MiB of {self.slowest[1]} by the plain walk",
            f"peak memory of a process: {self.peak_mib:.0f} MiB more than at the start",
            f"processor time: {self.seconds:.0f} s",
            f"broken promises: {len(self.broken)}",
            *self.broken[:40],
        ]
        return "\n".join(lines)


class Promises:
    """Read files by each layer, and note where one of the promises is broken."""

    def __init__(self, keep: Path | None, label: str) -> None:
        self.report = Report()
        self._keep = keep
        self._label = label
        self._memo = self._templates = self._cut = Learned()
        self._since: list[bytes] = []
        self.forget()

    def forget(self) -> None:
        """Let the layers learn anew."""
        self._memo, self._templates, self._cut = Learned(templates=False), Learned(), Learned()
        self._since.clear()

    def check(self, data: bytes) -> None:
        """Read one file in all ways."""
        self.report.files += 1
        self._since.append(data)
        try:
            self._check(data)
        except Exception as error:  # a promise of the parser, or the parser itself
            self._note(f"{type(error).__name__}: {error}")

    def _note(self, what: str) -> None:
        number = self.report.files
        self.report.broken.append(f"{self._label}, file {number}: {what[:600]}")
        if self._keep is not None and len(self.report.broken) <= 20:
            folder = self._keep / f"{self._label}-{number}"
            folder.mkdir(parents=True, exist_ok=True)
            for at, data in enumerate(self._since):
                (folder / f"{at:04d}").write_bytes(data)

    def _check(self, data: bytes) -> None:
        start = time.process_time()
        walked = _outcome(data)
        seconds = time.process_time() - start
        mib = max(len(data), 64 << 10) / (1 << 20)  # a small file costs what a larger one does
        label = f"{self._label}, file {self.report.files} ({len(data)} bytes)"
        self.report.slowest = max(self.report.slowest, (seconds / mib, label))
        if isinstance(walked, Damage):
            self.report.told[walked.reason] += 1
            if walked.reason not in REASONS:
                raise AssertionError(f"unknown reason {walked.reason!r}")
            if not is_free_of_values(walked.detail):
                raise AssertionError(f"a detail of no known form: {walked.detail!r}")
            if walked.offset is None or walked.offset < 0:
                raise AssertionError(f"offset {walked.offset!r}")
        else:
            self.report.told["sound"] += 1
            _check_metadata(walked.metadata)
        expected = _facts(walked)
        by_template = _outcome(data, learned=self._templates)
        if isinstance(by_template, Header) and by_template.template is not None:
            self.report.by_template += 1
        self._cut.first_read_bytes = 200 + 61 * self.report.files % 6000
        others = {
            "memo": _outcome(data, learned=self._memo),
            "template": by_template,
            "template, of a header that the first read may cut": _outcome(data, learned=self._cut),
            "warnings": _outcome(data, observe=Inspection),
        }
        for layer, other in others.items():
            facts = _facts(other)
            if facts != expected:
                raise AssertionError(f"the {layer} differs: {_first_difference(expected, facts)}")


def _outcome(data: bytes, **options: Any) -> Header | Damage:
    def fetch(start: int, stop: int) -> bytes:
        if not 0 <= start < stop <= len(data):
            raise AssertionError(f"bytes {start} to {stop} of {len(data)} are asked for")
        return data[start:stop]

    try:
        return feed(Parser(**options).read(len(data), "file:///x.dcm"), fetch)
    except Damage as damage:
        return damage


def _facts(outcome: Header | Damage) -> tuple[Any, ...]:
    if isinstance(outcome, Damage):
        return outcome.reason, outcome.detail, outcome.offset
    found = tuple(outcome.find(tag) for tag in PROBES)
    pixels = outcome.pixel_offset, outcome.pixel_length, outcome.inflated is None
    return outcome.metadata, *pixels, *found, str(typed_values(outcome, COLUMNS))


def _first_difference(one: tuple[Any, ...], other: tuple[Any, ...]) -> str:
    if len(one) != len(other):
        return f"{str(one)[:250]} / {str(other)[:250]}"
    a, b = next((a, b) for a, b in zip(one, other, strict=True) if a != b)
    if isinstance(a, bytes) and isinstance(b, bytes):
        pairs = zip(a, b, strict=False)
        at = next((at for at, (x, y) in enumerate(pairs) if x != y), min(len(a), len(b)))
        return f"at byte {at}: {a[max(at - 60, 0) : at + 60]!r} / {b[max(at - 60, 0) : at + 60]!r}"
    return f"{a!r} / {b!r}"


def _check_metadata(metadata: bytes) -> None:
    """Raise an error if metadata is no strict JSON in UTF-8 with its tags in order."""
    json.loads(
        metadata.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_check_pairs
    )


def _refuse_constant(name: str) -> NoReturn:
    raise AssertionError(f"{name} is no JSON")


def _check_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if keys and len(keys[0]) == 8 and keys != sorted(set(keys)):
        raise AssertionError("tags twice, or out of order")
    if any(key[4:] == "0000" and len(key) == 8 for key in keys):
        raise AssertionError("a group length")
    return dict(pairs)


def make_groups() -> list[list[bytes]]:
    """Return files in groups of neighbours: made-up series, real files, real series, bad files."""
    groups = [[make_ct(at, series) for at in range(12)] for series in range(4)]
    groups += [
        [make_ct(at, encoding=encoding, transfer_syntax=encoding.uid) for at in range(12)]
        for encoding in (IMPLICIT_LITTLE, EXPLICIT_BIG)
    ]
    real: dict[Path, list[bytes]] = {}
    for path in sorted(real_files().parent.rglob("*")):
        if path.is_file() and path.stat().st_size < LONGEST_FILE_BYTES:
            is_series = "dicomdirtests" in path.parts
            real.setdefault(path.parent if is_series else path, []).append(path.read_bytes())
    groups += real.values()
    bad = [bad.build() for bad in BAD_FILES.values() if not bad.name.startswith(COSTLY)]
    groups.append([data for data in bad if 0 < len(data) < LONGEST_FILE_BYTES])
    return groups + groups[:6] * 8


def run(files: int, keep: Path | None, seed: int) -> Report:
    """Read so many mutated files; the same ones for one seed."""
    groups = make_groups()
    mutator, promises = Mutator(Random(seed), groups), Promises(keep, f"seed-{seed}")
    started, in_use = time.process_time(), _peak_bytes()
    for number in range(files):
        if number % FORGET_EVERY == 0:
            promises.forget()
            mutator.choose_neighbours()
        promises.check(mutator.next_file())
    promises.report.seconds = time.process_time() - started
    promises.report.peak_mib = (_peak_bytes() - in_use) / (1 << 20)
    return promises.report


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10


def main(arguments: Iterable[str] | None = None) -> int:
    """Run as the command line says; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="a folder for what breaks a promise")
    options = parser.parse_args(None if arguments is None else list(arguments))
    each = -(-options.files // options.processes)
    seeds = [options.seed + 1000 * number for number in range(options.processes)]
    job = partial(run, each, options.keep)
    report = Report()
    if options.processes == 1:
        report.add(job(seeds[0]))
    else:
        with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
            for part in pool.imap_unordered(job, seeds):
                report.add(part)
    sys.stdout.write(f"{report}\n")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
