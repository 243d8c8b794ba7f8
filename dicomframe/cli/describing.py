"""Show what is in a catalogue: in the terminal, as JSON, as a page."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console

from dicomframe.catalog.statistics import Breakdown, CatalogStatistics, describe_catalog
from dicomframe.cli.failures import ExitCode
from dicomframe.cli.page import make_page
from dicomframe.cli.querying import open_catalog
from dicomframe.cli.tables import (
    format_bytes,
    make_console,
    make_printable,
    make_table,
    show_status,
)
from dicomframe.cli.whole_files import open_whole

__all__ = ["StatsRequest", "run_stats"]

_NAME_WIDTH, _NUMBERS_WIDTH = 24, 26


@dataclass(frozen=True, slots=True, repr=False)
class StatsRequest:
    """Hold what ``dicomframe stats`` was asked for; it may hold credentials."""

    catalog: str
    html: Path | None
    json: bool
    top: int
    storage_options: dict[str, Any]


def run_stats(request: StatsRequest) -> ExitCode:
    """Describe the catalogue; return the exit code.

    Raises
    ------
    CommandError
        The request cannot be met.
    """
    catalog = open_catalog(request.catalog, request.storage_options)
    with show_status("counting"):
        statistics = describe_catalog(catalog, top=request.top)
        if request.html is not None:
            page = make_page(statistics, catalog.origin).encode()
            with open_whole(request.html, "--html") as sink:
                sink.write(page)
    console = make_console()
    if request.json:
        sys.stdout.write(json.dumps(statistics.to_dict(), ensure_ascii=False, indent=2) + "\n")
        return ExitCode.DONE
    _print_statistics(console, statistics)
    if request.html is not None:
        name = make_printable(str(request.html))
        console.print(f"\nwrote {name}: {format_bytes(len(page))}", soft_wrap=True)
    return ExitCode.DONE


def _print_statistics(console: Console, statistics: CatalogStatistics) -> None:
    texts = {
        name: format_bytes(count) if name == "bytes" else f"{count:,}"
        for name, count in statistics.totals.items()
    }
    width = max(map(len, texts.values()))
    for name, text in texts.items():
        console.print(f"{name:<10}  {text:>{width}}")
    named = [(each, _printable(each)) for each in statistics.breakdowns if each.values]
    longest = max((cell_len(name) for _, rows in named for name, _ in rows), default=0)
    width = min(max(longest, _NAME_WIDTH), console.width - _NUMBERS_WIDTH)
    for breakdown, rows in named:
        counted = "instances" if breakdown.frame == "dicom" else "corrupt files"
        columns = [set_cell_size(breakdown.title, width), counted, "share"]
        lines = [
            (_fit(name, width), f"{count:,}", f"{count / breakdown.total:.1%}")
            for name, count in rows
        ]
        console.print()
        console.print(make_table(columns, lines, right=columns[1:]))


def _printable(breakdown: Breakdown) -> list[tuple[str, int]]:
    return [(make_printable(name), count) for name, count in breakdown.named()]


def _fit(name: str, width: int) -> str:
    """Return `name` in a column of that width, which all tables share."""
    if cell_len(name) > width:
        name = set_cell_size(name, width - 1) + "…"
    return set_cell_size(name, width)
