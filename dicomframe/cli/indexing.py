"""Index files: show how far it is, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from dicomframe.catalog.catalog import Catalog
from dicomframe.catalog.indexing import index_dicom
from dicomframe.catalog.reports import IndexProgress, IndexReport, TellProgress
from dicomframe.cli.bars import show_bar, show_count
from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.cli.motors import quiet
from dicomframe.cli.scanning import check_engine
from dicomframe.cli.tables import (
    format_bytes,
    format_seconds,
    is_terminal,
    make_console,
    make_printable,
)
from dicomframe.errors import DicomFrameError

__all__ = ["IndexRequest", "run_index"]


@dataclass(frozen=True, slots=True, repr=False)
class IndexRequest:
    """Hold what ``dicomframe index`` was asked for; it may hold credentials."""

    paths: Sequence[str]
    catalog: str
    engine: str | None
    tags: Sequence[str] | None
    include: Sequence[str]
    exclude: Sequence[str]
    archives: bool
    npartitions: int | None
    storage_options: dict[str, Any]
    catalog_options: dict[str, Any]
    strict: bool


def run_index(request: IndexRequest) -> ExitCode:
    """Bring the catalogue up to date and report it; return the exit code.

    Raises
    ------
    CommandError
        The request cannot be met.
    """
    if request.engine is not None:
        check_engine(request.engine)
    try:
        with quiet(), _progress(request.engine, shown=is_terminal()) as tell:
            report = index_dicom(
                list(request.paths),
                request.catalog,
                tags=request.tags,
                engine=request.engine,
                storage_options=request.storage_options or None,
                catalog_options=request.catalog_options or None,
                include=list(request.include),
                exclude=list(request.exclude),
                archives=request.archives,
                npartitions=request.npartitions,
                progress=tell,
            )
        catalog = Catalog(request.catalog, request.catalog_options or None)
    except (DicomFrameError, OSError, ImportError) as error:
        raise CommandError(str(error)) from error
    _print_report(make_console(), report, catalog)
    corrupt = sum(report.corrupt.values())
    if request.strict and corrupt:
        raise CommandError(
            f"{corrupt:,} rows of the catalogue are corrupt and --strict is given",
            ExitCode.CORRUPT,
        )
    return ExitCode.DONE


@contextmanager
def _progress(engine: str | None, *, shown: bool) -> Iterator[TellProgress | None]:
    """Show the step that a run is at: a count while it lists, then a bar."""
    if not shown:
        yield None
        return
    with ExitStack() as stack:
        step, done, advance = "", 0, None

        def tell(progress: IndexProgress) -> None:
            nonlocal step, done, advance
            if progress.step != step:
                stack.close()
                step, done = progress.step, 0
                if progress.total is None:
                    shower = show_count(make_console(stderr=True), shown=True)
                else:
                    label = (engine or "reading") if step == "reading" else step
                    unit = "rows" if step == "merging" else "files"
                    shower = show_bar(progress.total, label, unit, shown=True)
                advance = stack.enter_context(shower)
            if callable(advance):
                advance(progress.done if progress.total is None else progress.done - done)
            done = progress.done

        yield tell


def _print_report(console: Console, report: IndexReport, catalog: Catalog) -> None:
    """Print the counts, one a line."""
    read = report.new + report.changed
    rate = f"{read / report.seconds:,.0f} files/s read" if read and report.seconds else ""
    lines = [
        ("new files", f"{report.new:,}", ""),
        ("changed files", f"{report.changed:,}", ""),
        ("vanished files", f"{report.vanished:,}", ""),
        (
            "unchanged files",
            f"{report.unchanged:,}",
            f"{report.resumed:,} read by a run that was interrupted" if report.resumed else "",
        ),
        ("time", format_seconds(report.seconds), rate),
        ("bytes read", format_bytes(report.bytes_read), ""),
        ("dicom rows", f"{report.dicom:,}", ""),
        ("corrupt rows", f"{sum(report.corrupt.values()):,}", ""),
        *((f"  {reason}", f"{count:,}", "") for reason, count in _by_count(report)),
    ]
    width = max(9, *(len(value) for _, value, _ in lines))
    for name, value, note in lines:
        console.print(f"{name:<15}  {value:>{width}}  {note}".rstrip(), soft_wrap=True)
    name = make_printable(catalog.origin)
    console.print(
        f"\nstate {report.state:,} of {name}: {catalog.counts['files']:,} files", soft_wrap=True
    )


def _by_count(report: IndexReport) -> list[tuple[str, int]]:
    return sorted(report.corrupt.items(), key=lambda pair: (-pair[1], pair[0]))
