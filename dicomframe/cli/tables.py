"""Lay out values as plain text tables that fit the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "format_bytes",
    "format_seconds",
    "is_terminal",
    "make_console",
    "make_printable",
    "make_table",
    "shorten_start",
    "show_status",
]


def make_console(*, stderr: bool = False) -> Console:
    """Return a console that prints what it is given: no markup, no emoji, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def is_terminal() -> bool:
    """Tell whether a line on stderr can be drawn anew; no variable of the environment forces it."""
    return sys.stderr.isatty() and not make_console(stderr=True).is_dumb_terminal


@contextmanager
def show_status(text: str) -> Iterator[Callable[[], None]]:
    """Tell on a terminal what is being done, until the end or until what is yielded is called."""
    if not is_terminal():
        yield lambda: None
        return
    with make_console(stderr=True).status(text) as status:
        yield status.stop


def make_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    wide: str = "",
    right: Sequence[str] = (),
    wraps: bool = False,
) -> Table:
    """Return a table of one line per row, where it need not wrap.

    Parameters
    ----------
    columns : sequence of str
        The headings.
    rows : iterable of sequences
        The values; None is shown as ``null``.
    wide : str
        The column that gets what room is left, and is cut where that is too little.
    wraps : bool
        Whether that column is wrapped then, and not cut.
    right : sequence of str
        The columns that are aligned right.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        expand=bool(wide),
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in columns:
        table.add_column(
            Text(name),
            justify="right" if name in right else "left",
            ratio=1 if name == wide else None,
            no_wrap=not (wraps and name == wide),
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*map(_to_cell, row))
    return table


def make_printable(text: str) -> str:
    """Return `text` with every character that could command a terminal spelled out."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def shorten_start(text: str, width: int) -> str:
    """Return the end of `text`, in `width` characters, for names that differ at their end."""
    return text if len(text) <= width else f"...{text[3 - width :]}"


def format_bytes(count: int) -> str:
    """Return a number of bytes for a person.

    Examples
    --------
    >>> format_bytes(999), format_bytes(1_234_567)
    ('999 bytes', '1.2 MB')
    """
    if count < 1000:
        return f"{count} bytes"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} PB"


def format_seconds(seconds: float) -> str:
    """Return a time for a person.

    Examples
    --------
    >>> format_seconds(0.31), format_seconds(75), format_seconds(7260)
    ('0.31 s', '1 min 15 s', '2 h 1 min')
    """
    if seconds < 9.95:
        return f"{seconds:.2f} s"
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _to_cell(value: object) -> Text:
    if value is None:
        return Text("null", style="dim")
    return Text(make_printable(str(value)))
