"""Compare readers of DICOM on realistic corpora: tables and a picture of ratios.

    python benchmarks/readers.py                  # all of it, some minutes
    python benchmarks/readers.py --only ct --turns 5

In each turn every way reads every corpus, or a part of it if it is slow, one way after the other in
an order that changes from turn to turn, in this one process; what is quick is measured up to five
times, and the median taken. What counts is CPU time per file, and of that the ratio to pydicom in
the same turn: the median of the turns.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import platform
import random
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pydicom
from corpora import CORPORA, DEFAULT_FOLDER, ONLY_IF_NAMED, OTHERS
from ways import BARE, BARE_PIXELS, OURS, REFERENCE, Way, header_ways, missing_peers, pixel_ways

_WITH_PIXELS = ("ct", "mr-implicit", "encapsulated", "cine", "multiframe")
_NOT_DRAWN = frozenset({REFERENCE})
_MOST_TIMES = 5
_LEAST_SECONDS = 0.5
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"

Costs = dict[str, list[float]]
"""Microseconds per file of each way, turn by turn."""

Case = tuple[Sequence[str], list[Way]]
"""The files of one corpus, and the ways to read them."""


def measure(cases: dict[str, Case], turns: int) -> dict[str, Costs]:
    """Let every way read its corpus in every turn; a first turn is not counted.

    So a minute in which the machine is busy with other things falls on all corpora alike.
    """
    found: dict[str, Costs] = {
        name: {way.name: [] for way in ways} for name, (_, ways) in cases.items()
    }
    chance = random.Random(7)
    for turn in range(turns + 1):
        for name, (paths, ways) in cases.items():
            for way in chance.sample(ways, len(ways)):
                start = turn * way.files % len(paths) if way.files < len(paths) else 0
                files = [*paths[start:], *paths[:start]][: way.files]
                cost = _measure_again(way, files)
                if turn:
                    found[name][way.name].append(cost)
    return found


def _measure_again(way: Way, files: Sequence[str]) -> float:
    """Return the median of some measurements, one where that takes long already."""
    end, costs = time.monotonic() + _LEAST_SECONDS, [way.measure(files)]
    while len(costs) < _MOST_TIMES and time.monotonic() < end:
        costs.append(way.measure(files))
    return statistics.median(costs)


def ratio(costs: Costs, way: str, reference: str) -> float:
    """Return how many times `reference` costs what `way` costs."""
    pairs = zip(costs[reference], costs[way], strict=True)
    return statistics.median(other / cost for other, cost in pairs)


def to_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its first column text and the others numbers."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(found: dict[str, Costs], reference: str, bare: str) -> str:
    """Return the tables of one comparison: to pydicom, to the bare read, and the times."""
    titles = {corpus.name: corpus.title for corpus in CORPORA}
    names = list(dict.fromkeys(name for costs in found.values() for name in costs))
    head = ["", *(titles[corpus] for corpus in found)]

    def rows(cell: Callable[[Costs, str], str]) -> list[list[str]]:
        return [
            [name, *(cell(costs, name) if name in costs else "" for costs in found.values())]
            for name in names
        ]

    return "\n\n".join(
        [
            "Times as fast as pydicom:",
            to_table(head, rows(lambda costs, name: _short(ratio(costs, name, reference)))),
            f'Times the cost of "{bare}":',
            to_table(head, rows(lambda costs, name: _short(1 / ratio(costs, name, bare)))),
            "Microseconds of CPU per file:",
            to_table(head, rows(lambda costs, name: _short(statistics.median(costs[name])))),
        ]
    )


def _short(number: float) -> str:
    if math.isnan(number):
        return "fails"
    return f"{number:,.0f}" if number >= 20 else f"{number:.1f}" if number >= 2 else f"{number:.2f}"


def describe() -> str:
    """Return what the figures were measured with."""
    versions = [
        f"Python {platform.python_version()}",
        f"pydicom {pydicom.__version__}",
        f"pyarrow {pa.__version__}",
        f"{os.cpu_count()} cores of {platform.machine()}, one used",
    ]
    absent = missing_peers()
    return ", ".join(versions) + (f"; not installed: {', '.join(absent)}" if absent else "") + "."


def write_into(document: Path, text: str) -> None:
    """Put `text` between the marks in a Markdown file."""
    before, _, rest = document.read_text().partition(_BEGIN)
    after = rest.partition(_END)[2]
    document.write_text(f"{before}{_BEGIN}\n\n{text}\n\n{_END}{after}")


def draw_picture(found: dict[str, Costs], path: Path) -> None:
    """Draw the ratios to pydicom, the corpora of a kind once."""
    from chart import draw  # noqa: PLC0415  (needs matplotlib)

    ways = header_ways()
    ratios = {
        corpus.title: {
            name: ratio(found[corpus.name], name, REFERENCE)
            for name in found[corpus.name]
            if name not in _NOT_DRAWN
        }
        for corpus in CORPORA
        if corpus.name in found
    }
    ours = {name for found in ratios.values() for name in found if name.startswith(OURS)}
    draw(ratios, ours, [way.name for way in ways if not way.makes_json], path)


def main() -> None:
    """Measure, print the tables, and write them and the picture where asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=DEFAULT_FOLDER, help="of the corpora")
    parser.add_argument("--only", nargs="+", choices=[corpus.name for corpus in CORPORA])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--document", type=Path, help="a Markdown file with marks for the tables")
    parser.add_argument("--picture", type=Path, help="an SVG file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    headers: dict[str, Case] = {}
    pixels: dict[str, Case] = {}
    usual = [corpus.name for corpus in CORPORA if corpus.name not in ONLY_IF_NAMED]
    for corpus in CORPORA:
        if corpus.name not in (arguments.only or usual):
            continue
        paths = corpus.paths(arguments.folder)
        others = OTHERS[corpus.name].paths(arguments.folder) if corpus.name in OTHERS else ()
        headers[corpus.name] = paths, header_ways(others)
        if corpus.name in _WITH_PIXELS:
            pixels[corpus.name] = paths, pixel_ways()
    found = measure(headers, arguments.turns)
    text = f"{describe()}\n\n### Metadata alone\n\n{report(found, REFERENCE, BARE)}"
    if pixels:
        costs: dict[str, Costs] = {}
        for name, case in pixels.items():  # so that the memory of batches serves the next ones
            costs |= measure({name: case}, arguments.turns)
        first, *_ = next(iter(costs.values()))
        text += f"\n\n### Metadata and Pixel Data\n\n{report(costs, first, BARE_PIXELS)}"
    print(text)
    if arguments.document:
        write_into(arguments.document, text)
    if arguments.picture:
        draw_picture(found, arguments.picture)


if __name__ == "__main__":
    main()
