"""Ask a catalogue, and give the answer where it is wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
from rich.console import Console

from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.query import stream_query
from dicomframe.cli.exporting import FORMATS, PrintableSink, find_format, plain_text
from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.cli.tables import (
    format_bytes,
    make_console,
    make_printable,
    make_table,
    shorten_start,
    show_status,
)
from dicomframe.cli.whole_files import open_whole

__all__ = ["QueryRequest", "open_catalog", "run_query"]

_SHOWN_ROWS = 40
_SHOWN = ("PatientID", "PatientSex", "PatientAge", "Modality", "StudyDate", "origin")
_NUMBERS = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)


@dataclass(frozen=True, slots=True, repr=False)
class QueryRequest:
    """Hold what ``dicomframe query`` was asked for; it may hold credentials."""

    catalog: str
    where: str | None
    sql: str | None
    select: Sequence[str]
    group: Sequence[str]
    limit: int | None
    count: bool
    format: str | None
    out: Path | None
    overwrite: bool
    storage_options: dict[str, Any]


def run_query(request: QueryRequest) -> ExitCode:
    """Answer `request`; return the exit code.

    Raises
    ------
    CommandError
        The request cannot be met.
    """
    chosen = _choose_format(request)
    _check_request(request, chosen)
    catalog = open_catalog(request.catalog, request.storage_options)
    query: dict[str, Any] = {"where": request.where, "sql": request.sql, "limit": request.limit}
    if request.count or request.group:
        query["group"] = list(request.group)
    if request.select:
        query["select"] = list(request.select)
    elif request.sql is None and "group" not in query and chosen in {"origins", "table"}:
        names = catalog.schema("dicom").names
        wanted = ["origin"] if chosen == "origins" else _SHOWN
        query["select"] = [name for name in wanted if name in names]
    with show_status("asking the catalogue") as done, stream_query(catalog, **query) as answer:
        reader = _begin(answer, done)
        if request.out is not None:
            _write_file(reader, FORMATS[chosen], request.out)
        elif chosen == "number":
            make_console().print(reader.read_all()["count"][0].as_py())
        elif chosen == "table":
            _print_rows(make_console(), reader)
        else:
            _write_stdout(reader, chosen)
    return ExitCode.DONE


def open_catalog(path: str, storage_options: dict[str, Any]) -> Catalog:
    """Return the catalogue at a path or URL.

    Raises
    ------
    CommandError
        There is none.
    """
    try:
        return Catalog(path, storage_options or None)
    except FileNotFoundError as error:
        raise CommandError(str(error)) from error


def _choose_format(request: QueryRequest) -> str:
    """Return the format: for people on a terminal, for programs in a pipe or a file."""
    formats = ["table", *FORMATS]
    if request.format is not None:
        if request.format not in formats:
            raise CommandError(
                f"--format must be one of {', '.join(map(repr, formats))}, found {request.format!r}"
            )
        if request.format == "table" and request.out is not None:
            raise CommandError("--format table is for a terminal; --out writes another format")
        return request.format
    if request.out is not None:
        return find_format(str(request.out))
    if request.count:
        return "number"
    return "table" if sys.stdout.isatty() else "csv"


def _check_request(request: QueryRequest, chosen: str) -> None:
    if request.sql is not None and (request.where or request.count):
        raise CommandError("--sql is a whole query; give it without WHERE and --count")
    if request.count and (request.select or request.group or request.limit is not None):
        raise CommandError("--count is a single number; give it with WHERE alone")
    if chosen == "origins" and (request.select or request.group or request.count):
        raise CommandError("--format origins lists files; give it with WHERE, --limit or --sql")
    if chosen == "parquet" and request.out is None and sys.stdout.isatty():
        raise CommandError("Parquet is not for a terminal; add --out FILE.parquet")
    if request.out is not None and request.out.exists() and not request.overwrite:
        raise CommandError(
            f"{str(request.out)!r} is there; add --overwrite to replace it, or give another file "
            "to --out"
        )


def _begin(reader: pa.RecordBatchReader, done: Callable[[], None]) -> pa.RecordBatchReader:
    """Wait for the first rows; the others come quickly, or show themselves."""
    batches: Iterator[pa.RecordBatch] = iter(reader)
    first = list(islice(batches, 1))
    done()

    def every() -> Iterator[pa.RecordBatch]:
        yield from first
        yield from batches

    return pa.RecordBatchReader.from_batches(reader.schema, every())


def _write_file(
    reader: pa.RecordBatchReader,
    write: Callable[[pa.RecordBatchReader, BinaryIO], int],
    path: Path,
) -> None:
    with open_whole(path, "--out") as sink:
        count = write(reader, sink)
        size = sink.tell()
    rows = f"{count:,} row{'s' * (count != 1)}"
    make_console().print(
        f"wrote {make_printable(str(path))}: {rows}, {format_bytes(size)}", soft_wrap=True
    )


def _write_stdout(reader: pa.RecordBatchReader, chosen: str) -> None:
    sink: Any = sys.stdout.buffer
    if sys.stdout.isatty():
        sink = PrintableSink(sink)
    try:
        FORMATS[chosen](reader, sink)
        sink.flush()
    except BrokenPipeError:  # as of `| head`: who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _print_rows(console: Console, reader: pa.RecordBatchReader) -> None:
    """Print the first rows as a table, and how many there are."""
    shown: list[list[str | None]] = []
    count = 0
    for batch in reader:
        for row in batch.slice(0, max(0, _SHOWN_ROWS - count)).to_pylist():
            values = row.values()
            shown.append([None if value is None else plain_text(value) for value in values])
        count += batch.num_rows
    if not count:
        console.print("no row fits")
        return
    names = reader.schema.names
    if "origin" in names:
        _shorten(shown, names, names.index("origin"), console.width)
    numbers = [field.name for field in reader.schema if any(is_(field.type) for is_ in _NUMBERS)]
    wide = "origin" if "origin" in names else ""
    console.print(make_table(names, shown, right=numbers, wide=wide))
    console.print()
    rows = f"{count:,} row{'s' * (count != 1)}"
    if count > len(shown):
        rows += f", the first {len(shown)} are shown; --out FILE or --format csv gives all"
    console.print(rows, soft_wrap=True)


def _shorten(rows: list[list[str | None]], names: Sequence[str], at: int, width: int) -> None:
    """Cut origins at their start where the table is too wide, for they differ at their end."""
    others = 0
    for position, name in enumerate(names):
        if position != at:
            others += 2 + max(len(name), *(len(row[position] or "null") for row in rows))
    for row in rows:
        row[at] = shorten_start(row[at] or "", max(16, width - others - 1))
