"""Scan files: plan, read, count and write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomframe import registry
from dicomframe.api import plan_read
from dicomframe.cli.bars import show_bar, show_count
from dicomframe.cli.datasets import FramesFolder
from dicomframe.cli.failures import CommandError, ExitCode
from dicomframe.cli.motors import count_bytes, quiet, read_by_engine, read_here
from dicomframe.cli.options import split_names
from dicomframe.cli.summary import Tally, print_datasets, print_summary
from dicomframe.cli.tables import is_terminal, make_console
from dicomframe.errors import DicomFrameError
from dicomframe.plugin import ReadPlan
from dicomframe.scan.manifest import Manifest
from dicomframe.scan.request import Paths

__all__ = ["ScanRequest", "check_engine", "plan_or_fail", "run_scan"]


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
    console, shows_progress = make_console(stderr=True), is_terminal()
    with ExitStack() as stack, quiet():
        with show_count(console, shown=shows_progress) as progress:
            plan = plan_or_fail(
                _choose_input(request),
                tags=split_names(request.tags) or None,
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
        with show_bar(tally.listed, engine or "reading", shown=shows_progress) as advance:
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


def _choose_input(request: ScanRequest) -> Paths:
    if (request.manifest is None) == (not request.paths):
        raise CommandError("scan needs PATH or --manifest FILE, one of both; see --help")
    return list(request.paths) if request.manifest is None else Manifest(request.manifest)
