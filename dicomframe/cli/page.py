"""Draw what is in a catalogue as one page of HTML with charts."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from html import escape
from typing import Any

from dicomframe.catalog.statistics import Breakdown, CatalogStatistics
from dicomframe.cli.failures import CommandError
from dicomframe.cli.tables import format_bytes, make_printable

__all__ = ["make_page"]

_COLOURS = {"#000001": "var(--bar)", "#000002": "var(--ink)", "#000003": "var(--dim)"}
"""What is drawn, and what of the page's style takes its place, for light and dark."""
_BAR, _INK, _DIM = _COLOURS
_LABEL_LENGTH = 34

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --ink: #1c2330; --dim: #5b6472;
  --line: #dfe3e8; --bar: #2f6f9f; --tile: #f4f6f8; }
@media (prefers-color-scheme: dark) { :root { --page: #14181f; --ink: #e6e9ee; --dim: #9aa4b2;
  --line: #2d3440; --bar: #6cb1e1; --tile: #1d232c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 66rem; padding: 2rem 1.25rem 3rem; background: var(--page);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 .75rem; }
p { color: var(--dim); margin: 0 0 1.5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .75rem;
  margin: 0 0 2.5rem; }
dl div { background: var(--tile); border-radius: .5rem; padding: .6rem .9rem; }
dt { color: var(--dim); font-size: .85rem; }
dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
section { border-top: 1px solid var(--line); padding: 1.5rem 0; }
.pair { display: grid; grid-template-columns: 3fr 2fr; gap: 1.5rem 2.5rem; align-items: start; }
@media (max-width: 46rem) { .pair { grid-template-columns: 1fr; } }
figure { margin: 0; }
figure svg { width: 100%; height: auto; display: block; }
figcaption { color: var(--dim); font-size: .85rem; margin-top: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; padding: .2rem 0 .2rem; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; font-weight: normal; vertical-align: top; }
thead th { color: var(--dim); }
td, thead th:not(:first-child) { text-align: right; padding-left: 1rem; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
"""


def make_page(statistics: CatalogStatistics, title: str) -> str:
    """Return a page that needs no other file: no script, no style sheet, no picture.

    Parameters
    ----------
    statistics : CatalogStatistics
        What is drawn, by matplotlib.
    title : str
        What is described, such as the catalogue's path; without credentials.

    Raises
    ------
    CommandError
        Matplotlib is missing.
    """
    title = make_printable(title)
    totals = statistics.totals
    shown = {name: format_bytes(n) if name == "bytes" else f"{n:,}" for name, n in totals.items()}
    tiles = "".join(f"<div><dt>{name}</dt><dd>{n}</dd></div>" for name, n in shown.items())
    sections = "".join(_sections(statistics))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n<p>What is in this catalogue of DICOM files.</p>\n"
        f"<dl>{tiles}</dl>\n{sections}</main>\n</body>\n</html>\n"
    )


def _sections(statistics: CatalogStatistics) -> Iterator[str]:
    for number, each in enumerate(statistics.breakdowns):
        rows = "instances" if each.frame == "dicom" else "corrupt files"
        heading = f"{rows.capitalize()} by {each.title}"
        yield f"<section>\n<h2>{heading}</h2>\n"
        if each.values:
            label = f"Bar chart of {heading.lower()}; the table beside it has all numbers."
            yield (
                f'<div class="pair">\n<figure>\n{_draw(each, label, number)}\n'
                f"<figcaption>{each.total:,} {rows} in all</figcaption>\n</figure>\n"
                f"{_table(each, heading, rows)}</div>\n"
            )
        else:
            yield "<p>There are none.</p>\n"
        yield "</section>\n"


def _table(breakdown: Breakdown, heading: str, rows: str) -> str:
    total = breakdown.total
    lines = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{count:,}</td>'
        f"<td>{count / total:.1%}</td></tr>\n"
        for name, count in _printable(breakdown)
    )
    head = "".join(f'<th scope="col">{each}</th>' for each in (breakdown.title, rows, "share"))
    return (
        f"<table>\n<caption>{heading}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table>\n"
    )


def _printable(breakdown: Breakdown) -> list[tuple[str, int]]:
    return [(make_printable(name), count) for name, count in breakdown.named()]


def _draw(breakdown: Breakdown, label: str, number: int) -> str:
    """Return a chart as an element of HTML."""
    try:
        from matplotlib import rc_context  # noqa: PLC0415  (of the extra `catalog`)
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise CommandError(
            "--html needs 'matplotlib', which is not installed; to install it: "
            "pip install 'dicomframe[catalog]'"
        ) from error
    named = _printable(breakdown)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": str(number), "font.size": 10}):
        if breakdown.is_ordered and any(name is not None for name, _ in breakdown.values):
            figure = Figure(figsize=(7, 2.6), layout="constrained")
            _draw_columns(figure.add_subplot(), named)
        else:
            figure = Figure(figsize=(7, 0.5 + 0.34 * len(named)), layout="constrained")
            _draw_bars(figure.add_subplot(), named)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r' id="[^"]*"', "", drawn)
    drawn = re.sub(r"font: [^;\"]*", "font: 10px system-ui, sans-serif", drawn)
    for colour, of_page in _COLOURS.items():
        drawn = drawn.replace(colour, of_page)
    return drawn.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1).strip()


def _draw_bars(axes: Any, named: list[tuple[str, int]]) -> None:
    total = sum(count for _, count in named)
    places = range(len(named))
    counts = [count for _, count in named]
    names = [textwrap.shorten(name, _LABEL_LENGTH, placeholder="…") for name, _ in named]
    axes.barh(places, counts, color=_BAR, height=0.66, clip_on=False)
    for place, count in zip(places, counts, strict=True):
        text = f"{count:,} ({_percent(count / total)})"
        beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        axes.annotate(text, (count, place), color=_DIM, **beside)
    axes.set_yticks(places, names, parse_math=False)
    axes.set_xlim(0, max(counts) * 1.25)
    axes.invert_yaxis()
    axes.xaxis.set_visible(False)
    _strip(axes)


def _draw_columns(axes: Any, named: list[tuple[str, int]]) -> None:
    known = [(int(name), count) for name, count in named if name.isdecimal()]
    axes.bar(*zip(*known, strict=True), color=_BAR, width=0.8, clip_on=False)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=12)
    axes.yaxis.get_major_locator().set_params(integer=True, nbins=4)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    _strip(axes)


def _strip(axes: Any) -> None:
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0, labelcolor=_INK)


def _percent(share: float) -> str:
    return "<1%" if share < 0.005 else f"{share:.0%}"
