"""Count what a scan read, for its summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow.compute as pc
from rich.console import Console

from dicomframe.cli.datasets import Dataset
from dicomframe.cli.motors import Step
from dicomframe.cli.tables import format_bytes, format_seconds, make_printable, shorten_start

__all__ = ["Tally", "print_datasets", "print_summary"]


@dataclass(slots=True)
class Tally:
    """Hold the counts of a run."""

    listed: int
    divided: frozenset[str] = frozenset()
    """What stands behind the members of archives that were listed member by member."""
    dicom_rows: int = 0
    corrupt_rows: int = 0
    accounted: int = 0
    bytes_read: int = 0
    requests: int = 0
    opened: set[str] = field(default_factory=set)
    """The archives that a task opened."""
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def is_balanced(self) -> bool:
        """Whether the rows of both frames account for the files that were listed."""
        return self.accounted == self.listed

    def add(self, step: Step) -> None:
        """Count the rows of a step, which have the columns ``bytes_read`` and ``requests``."""
        self.accounted += self._listed_files(step)
        self.dicom_rows += step.dicom.num_rows
        self.corrupt_rows += step.corrupt.num_rows
        for table in (step.dicom, step.corrupt):
            self.bytes_read += pc.sum(table["bytes_read"]).as_py() or 0
            self.requests += pc.sum(table["requests"]).as_py() or 0
        reasons = step.corrupt["reason"].to_pylist()
        self.reasons.update(reasons)
        for reason, origin in zip(reasons, step.corrupt["origin"].to_pylist(), strict=True):
            self.examples.setdefault(reason, origin)

    def _listed_files(self, step: Step) -> int:
        """Return how many listed files the rows stand for: an archive's members for one."""
        count: int = step.dicom.num_rows + step.corrupt.num_rows
        for table in (step.dicom, step.corrupt):
            members = pc.filter(table["origin"], pc.match_substring(table["origin"], "::"))
            for origin in members.to_pylist():
                archive = origin.partition("::")[2]
                if f"::{archive}" not in self.divided:
                    count -= archive in self.opened
                    self.opened.add(archive)
        if self.opened:  # some have a row of their own, too
            count -= len(self.opened.intersection(step.corrupt["origin"].to_pylist()))
        return count


def print_summary(console: Console, tally: Tally, seconds: float) -> None:
    """Print the counts, one a line, and one file for each reason."""
    rate = tally.listed / seconds if seconds else 0.0
    counts = [tally.listed, tally.dicom_rows, tally.corrupt_rows]
    width = max(9, *(len(f"{count:,}") for count in counts), len(format_seconds(seconds)))
    lines = [
        ("files", f"{tally.listed:,}", ""),
        ("time", format_seconds(seconds), f"{rate:,.0f} files/s" if rate else ""),
        ("bytes read", format_bytes(tally.bytes_read), ""),
        *([("requests", f"{tally.requests:,}", "")] if tally.requests else []),
        ("dicom rows", f"{tally.dicom_rows:,}", ""),
        ("corrupt rows", f"{tally.corrupt_rows:,}", ""),
        *_reason_lines(tally, console.width - width - 22),
    ]
    for name, value, note in lines:
        console.print(f"{name:<14}  {value:>{width}}  {note}".rstrip(), soft_wrap=True)


def print_datasets(console: Console, datasets: list[Dataset]) -> None:
    """Print where the frames are, and what of them Parquet cannot hold."""
    for dataset in datasets:
        rows = f"{dataset.row_count:,} row{'s' * (dataset.row_count != 1)}"
        parts = f"{dataset.part_count:,} file{'s' * (dataset.part_count != 1)}"
        size = format_bytes(dataset.byte_count)
        name = make_printable(str(dataset.goal))
        console.print(f"wrote {name}: {rows}, {parts}, {size}", soft_wrap=True)
        if dataset.omitted_count:
            console.print(
                f"{dataset.omitted_count:,} of its pixel_data are null: Parquet holds no value "
                "of 2 GiB or more",
                soft_wrap=True,
            )


def _reason_lines(tally: Tally, width: int) -> Iterator[tuple[str, str, str]]:
    for reason, count in sorted(tally.reasons.items(), key=lambda pair: (-pair[1], pair[0])):
        origin = make_printable(tally.examples[reason])
        note = "e.g. " if count > 1 else ""
        yield f"  {reason}", f"{count:,}", note + shorten_start(origin, max(16, width - len(note)))
