"""Write a catalogue to a sink, and say what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.query import query_catalog, stream_query
from dicomframe.catalog.reading import read_catalog
from dicomframe.cli.bars import show_bar
from dicomframe.cli.exporting import FORMATS
from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.cli.querying import open_catalog
from dicomframe.cli.scanning import check_engine
from dicomframe.cli.tables import (
    format_seconds,
    is_terminal,
    make_console,
    make_printable,
    shorten_start,
    show_status,
)
from dicomframe.cli.whole_files import open_whole
from dicomframe.errors import SinkError
from dicomframe.sinks.search import SinkReport, write_search
from dicomframe.sinks.targets import parse_target

__all__ = ["PublishRequest", "run_publish"]


@dataclass(frozen=True, slots=True, repr=False)
class PublishRequest:
    """Hold what ``dicomframe publish`` was asked for; it may hold credentials."""

    catalog: str
    url: str
    where: str | None
    tags: Sequence[str]
    engine: str | None
    refused: Path | None
    options: dict[str, Any]
    storage_options: dict[str, Any]


def run_publish(request: PublishRequest) -> ExitCode:
    """Write what `request` names and report it; return the exit code.

    Raises
    ------
    CommandError
        The request cannot be met, or the server does not take it.
    """
    if request.engine is not None:
        check_engine(request.engine)
        if request.where is not None:
            raise CommandError("--where is answered by this process; give it without --engine")
    parse_target(request.url, request.options)  # before anything is counted
    catalog = open_catalog(request.catalog, request.storage_options)
    tags = _choose_tags(catalog, request.tags)
    columns = list(dict.fromkeys(["origin", "metadata", *_ids(catalog), *tags]))
    try:
        with _open_rows(request, catalog, columns) as (rows, progress):
            report = write_search(
                rows, request.url, tags=tags, options=request.options, progress=progress
            )
    except SinkError as error:
        raise CommandError(str(error), ExitCode.UNBALANCED) from error
    out = make_console()
    _print_report(out, report)
    if request.refused is not None:
        with open_whole(request.refused, "--refused") as sink:
            FORMATS["csv"](report.refused.to_reader(), sink)
    return ExitCode.REFUSED if report.refused.num_rows else ExitCode.DONE


def _choose_tags(catalog: Catalog, wanted: Sequence[str]) -> dict[str, str]:
    """Return the columns that become fields, each with its tag."""
    for name in wanted:
        if name not in catalog.tags:
            raise CommandError(
                f"--tags must name columns of the catalogue ({', '.join(map(repr, catalog.tags))})"
                f", found {name!r}"
            )
    return {name: catalog.tags[name] for name in wanted or catalog.tags}


def _ids(catalog: Catalog) -> list[str]:
    return [name for name in catalog.schema("dicom").names if name == "SOPInstanceUID"]


@contextmanager
def _open_rows(
    request: PublishRequest, catalog: Catalog, columns: Sequence[str]
) -> Iterator[tuple[Any, Callable[[int], object] | None]]:
    """Yield a frame or batches, and what is told how many are done."""
    shown = is_terminal()
    if request.engine is not None:
        frames = read_catalog(request.catalog, request.engine, request.storage_options or None)
        with show_status(f"publishing with {request.engine}"):
            yield frames.dicom, None
        return
    if request.where is None:
        total = int(catalog.counts["dicom"])  # type: ignore[call-overload]
        with show_bar(total, "publishing", "documents", shown=shown) as advance:
            yield catalog.batches("dicom", columns), advance
        return
    with show_status("asking the catalogue"):
        total = query_catalog(catalog, request.where, group=[])["count"][0].as_py()
    with (
        stream_query(catalog, request.where, select=columns) as rows,
        show_bar(total, "publishing", "documents", shown=shown) as advance,
    ):
        yield rows, advance


def _print_report(console: Console, report: SinkReport) -> None:
    rate = report.documents / report.seconds if report.seconds else 0.0
    counts = [report.documents, report.written, report.updated, report.refused.num_rows]
    seconds = format_seconds(report.seconds)
    width = max(9, len(seconds), *(len(f"{count:,}") for count in counts))
    lines = [
        ("documents", f"{report.documents:,}", ""),
        ("time", seconds, f"{rate:,.0f} documents/s" if rate else ""),
        ("written", f"{report.written:,}", ""),
        ("updated", f"{report.updated:,}", ""),
        ("refused", f"{report.refused.num_rows:,}", ""),
    ]
    for name, value, note in lines:
        console.print(f"{name:<10}  {value:>{width}}  {note}".rstrip(), soft_wrap=True)
    _print_refused(console, report.refused)


def _print_refused(console: Console, refused: pa.Table) -> None:
    """Print how often each reason was given, with one file for each."""
    reasons = refused["reason"].to_pylist()
    examples = dict(zip(reversed(reasons), reversed(refused["origin"].to_pylist()), strict=True))
    for reason, count in Counter(reasons).most_common():
        origin = make_printable(examples[reason])
        console.print(f"  {count:,}: {make_printable(reason)}", soft_wrap=True)
        console.print(f"    e.g. {shorten_start(origin, max(16, console.width - 9))}")
