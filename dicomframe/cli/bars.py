"""Draw a bar on a terminal that tells how far a command is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as ProgressBar
from rich.table import Column
from rich.text import Text

from dicomframe.cli.tables import make_console
from dicomframe.scan.progress import Progress

__all__ = ["show_bar", "show_count"]


@contextmanager
def show_bar(
    total: int, label: str, unit: str = "files", *, shown: bool
) -> Iterator[Callable[[int], object]]:
    """Show a bar on stderr while the context lasts, if it is to be shown.

    Parameters
    ----------
    total
        How many there are.
    label
        What is being done, or by whom.
    unit
        What is counted, in the plural.
    shown
        Whether there is a terminal; see `is_terminal`.

    Yields
    ------
    callable
        Takes how many more are done.
    """
    if not shown:
        yield lambda _: None
        return
    bar = ProgressBar(
        TextColumn(label, table_column=Column(no_wrap=True)),
        BarColumn(bar_width=None),
        TextColumn(
            "{task.completed:,.0f}/{task.total:,.0f} " + unit, table_column=Column(no_wrap=True)
        ),
        _Rate(unit),
        console=make_console(stderr=True),
        transient=True,
        expand=True,
    )
    with bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


@contextmanager
def show_count(console: Console, *, shown: bool) -> Iterator[Progress]:
    """Show how many files were found so far, while nobody knows how many there are."""
    if not shown:
        yield False
        return
    with console.status("listing files") as status:
        yield lambda count: status.update(f"listing files: {count:,} found")


class _Rate(ProgressColumn):
    """Show how many a second, and the time gone and left."""

    def __init__(self, unit: str) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._unit = unit

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        if not task.completed or not elapsed:
            return Text(f"{_clock(elapsed)} gone")
        rate = task.completed / elapsed
        left = _clock((task.remaining or 0) / rate)
        return Text(f"{rate:,.0f} {self._unit}/s, {_clock(elapsed)} gone, {left} left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
