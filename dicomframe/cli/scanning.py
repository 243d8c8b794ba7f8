"""Scan files: plan, read, count and write."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as ProgressBar
from rich.table import Column
from rich.text import Text

from dicomframe import registry
from dicomframe.api import plan_read
from dicomframe.cli.datasets import FramesFolder
from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.cli.motors import count_bytes, quiet, read_by_engine, read_here
from dicomframe.cli.summary import Tally, print_datasets, print_summary
from dicomframe.cli.tables import make_console
from dicomframe.errors import DicomFrameError
from dicomframe.plugin import ReadPlan
from dicomframe.scan.manifest import Manifest
from dicomframe.scan.progress import Progress
from dicomframe.scan.request import Paths

__all__ = ["ScanRequest", "check_engine", "parse_storage_options", "plan_or_fail", "run_scan"]


@dataclass(frozen=True, slots=True, repr=False)
class ScanRequest:
    """Hold what ``dicomframe scan`` was asked for; it may hold credentials."""

    paths: Sequence[str]
    manifest: str | None
    engine: str | None
    tags: Sequence[str]
    pixels: str
    warnings: bool
    out: Path | None
    overwrite: bool
    include: Sequence[str]
    exclude: Sequence[str]
    archives: bool
    npartitions: int | None
    storage_options: dict[str, Any]
    strict: bool


def run_scan(request: ScanRequest) -> ExitCode:
    """Read what `request` names and report it; return the exit code.

    Raises
    ------
    CommandError
        The request cannot be met.
    """
    if request.engine is not None:
        check_engine(request.engine)
    console, shows_progress = make_console(stderr=True), _is_terminal()
    with ExitStack() as stack, quiet():
        with _count_found(console, shown=shows_progress) as progress:
            plan = plan_or_fail(
                _choose_input(request),
                tags=_split_tags(request.tags),
                pixels=request.pixels,
                warnings=request.warnings,
                npartitions=request.npartitions,
                storage_options=request.storage_options or None,
                include=list(request.include),
                exclude=list(request.exclude),
                progress=progress,
                archives=request.archives,
            )
        folder = None
        if request.out is not None:
            folder = FramesFolder(request.out, plan, overwrite=request.overwrite)
            stack.enter_context(folder)
        stores = {store for each in plan.partitions for store in each.stores}
        divided = frozenset(store.suffix for store in stores if store.inner is not None)
        tally = Tally(sum(len(each) for each in plan.partitions), divided)
        counted = count_bytes(plan)
        engine = request.engine
        steps = read_here(counted) if engine is None else read_by_engine(counted, engine)
        started = time.monotonic()
        with _progress(tally.listed, engine, shown=shows_progress) as advance:
            for step in steps:
                tally.add(step)
                if folder is not None:
                    folder.write(step.dicom, step.corrupt)
                advance(step.file_count)
        seconds = time.monotonic() - started
        if folder is not None and tally.is_balanced:
            folder.keep()
    out = make_console()
    print_summary(out, tally, seconds)
    if not tally.is_balanced:
        raise CommandError(
            f"both frames hold {tally.dicom_rows + tally.corrupt_rows:,} rows and "
            f"{tally.listed:,} files were listed, so storage faltered between the two reads"
            f"{'' if folder is None else ' and nothing was written'}; run it again",
            ExitCode.UNBALANCED,
        )
    if folder is not None:
        out.print()
        print_datasets(out, [folder.dicom, folder.corrupt])
    if request.strict and tally.corrupt_rows:
        raise CommandError(
            f"{tally.corrupt_rows:,} of {tally.listed:,} files are corrupt and --strict is given",
            ExitCode.CORRUPT,
        )
    return ExitCode.DONE


def check_engine(engine: str) -> None:
    """Accept an engine that is ready and needs no option.

    Raises
    ------
    CommandError
        It is not, or does.
    """
    try:
        registry.check_engine_options(engine, {})
    except (DicomFrameError, TypeError) as error:
        raise CommandError(str(error)) from error


def plan_or_fail(path: Paths, **options: Any) -> ReadPlan:
    """Return the plan of a read.

    Raises
    ------
    CommandError
        What `plan_read` says.
    """
    try:
        return plan_read(path, **options)
    except (DicomFrameError, FileNotFoundError, ImportError) as error:
        raise CommandError(str(error)) from error


def parse_storage_options(given: Sequence[str]) -> dict[str, Any]:
    """Return the storage options that ``KEY=VALUE`` and ``KEY:=JSON`` mean.

    A dot in a key leads into a dictionary; ``true`` and ``false`` are booleans, every other
    value of the first form is text.

    Raises
    ------
    CommandError
        One has neither form; the message shows no part of it.

    Examples
    --------
    >>> parse_storage_options(["anon=true", "client_kwargs.region_name=eu-1", "retries:=3"])
    {'anon': True, 'client_kwargs': {'region_name': 'eu-1'}, 'retries': 3}
    """
    options: dict[str, Any] = {}
    for number, each in enumerate(given, 1):
        key, sign, text = each.partition("=")
        *path, last = key.removesuffix(":").split(".")
        if not sign or not last or not all(path):
            raise CommandError(
                f"--storage-option number {number} must read KEY=VALUE or KEY:=JSON, "
                "found neither (it is not shown, it could hold a credential)"
            )
        place = options
        for name in path:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise CommandError(f"--storage-option number {number} leads into a plain value")
        place[last] = _parse_value(text, number, is_json=key.endswith(":"))
    return options


def _parse_value(text: str, number: int, *, is_json: bool) -> Any:
    if not is_json:
        return {"true": True, "false": False}.get(text, text)
    try:
        return json.loads(text)
    except ValueError:
        raise CommandError(
            f"--storage-option number {number} has no valid JSON behind its := "
            "(it is not shown, it could hold a credential)"
        ) from None


def _choose_input(request: ScanRequest) -> Paths:
    if (request.manifest is None) == (not request.paths):
        raise CommandError("scan needs PATH or --manifest FILE, one of both; see --help")
    return list(request.paths) if request.manifest is None else Manifest(request.manifest)


def _split_tags(given: Sequence[str]) -> list[str] | None:
    tags = [tag.strip() for each in given for tag in each.split(",")]
    return [tag for tag in tags if tag] or None


def _is_terminal() -> bool:
    """Tell whether a line on stderr can be drawn anew; no variable of the environment forces it."""
    return sys.stderr.isatty() and not make_console(stderr=True).is_dumb_terminal


class _Column(ProgressColumn):
    """Show files a second, and the time gone and left."""

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        if not task.completed or not elapsed:
            return Text(f"{_clock(elapsed)} gone")
        rate = task.completed / elapsed
        left = _clock((task.remaining or 0) / rate)
        return Text(f"{rate:,.0f} files/s, {_clock(elapsed)} gone, {left} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


@contextmanager
def _count_found(console: Console, *, shown: bool) -> Iterator[Progress]:
    """Show how many files were found so far."""
    if not shown:
        yield False
        return
    with console.status("listing files") as status:
        yield lambda count: status.update(f"listing files: {count:,} found")


@contextmanager
def _progress(total: int, engine: str | None, *, shown: bool) -> Iterator[Any]:
    if not shown:
        yield lambda _: None
        return
    bar = ProgressBar(
        TextColumn(engine or "reading", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None),
        TextColumn(
            "{task.completed:,.0f}/{task.total:,.0f} files", table_column=Column(no_wrap=True)
        ),
        _Column(table_column=Column(no_wrap=True)),
        console=make_console(stderr=True),
        transient=True,
        expand=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
