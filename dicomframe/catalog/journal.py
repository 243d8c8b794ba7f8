"""Find what runs that were interrupted have written, so that the next one goes on from there."""

from __future__ import annotations

import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.state import Part

__all__ = ["Unfinished", "begin_journal", "find_unfinished", "journal_folders"]

_FOLDER = re.compile(r"(?P<run>\d{8,})-[0-9a-f]+")
_ASKED = "asked.json"
_READS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What runs have left that no state knows of.

    Attributes
    ----------
    parts
        Parts with their frames, of tasks that came to their ends.
    containers
        Archives by origin and run of which only some members were read.
    files
        The listed files behind these parts.
    last_run
        The highest number that a run has had.
    """

    parts: tuple[tuple[str, Part], ...]
    containers: frozenset[tuple[str, int]]
    files: int
    last_run: int


def begin_journal(place: CatalogPlace, run: int, asked: Mapping[str, Any]) -> str:
    """Write down what a run was asked for; return its folder.

    Rows of a run that was asked for other columns or limits are of no use to the next.
    """
    folder = f"runs/{run:08d}-{uuid.uuid4().hex[:12]}"
    place.write(f"{folder}/{_ASKED}", _dump(asked))
    return folder


def journal_folders(place: CatalogPlace) -> Iterator[tuple[int, str]]:
    """Yield the folders of the runs with the number of each."""
    for name in place.list("runs"):
        match = _FOLDER.fullmatch(name)
        if match:
            yield int(match["run"]), f"runs/{name}"


def find_unfinished(place: CatalogPlace, after: int, asked: Mapping[str, Any]) -> Unfinished:
    """Return what was left by the runs of numbers above `after` that were asked for the same."""
    folders = [(run, folder) for run, folder in journal_folders(place) if run > after]
    last_run = max((run for run, _ in folders), default=after)
    # Two runs of one number were at work at a time: what both have read cannot be told apart.
    chosen: dict[int, tuple[str, list[str]]] = {}
    for run, folder in folders:
        names = [f"{folder}/{name}" for name in place.list(folder) if name != _ASKED]
        if _read(place, f"{folder}/{_ASKED}") == json.loads(_dump(asked)) and (
            run not in chosen or len(names) > len(chosen[run][1])
        ):
            chosen[run] = folder, names
    there = {
        f"{frame}/{name}": stored.size
        for frame in (FRAMES if chosen else ())
        for name, stored in place.list(frame).items()
    }
    parts: list[tuple[str, Part]] = []
    incomplete: set[tuple[str, int]] = set()
    files = 0
    for run, (_, names) in sorted(chosen.items()):
        members: Counter[tuple[str, int]] = Counter()
        for told in _read_tasks(place, names):
            own = [
                Part(name, rows, size) for kind, name, rows, size in told["told"] if kind == "part"
            ]
            if any(there.get(part.name) != part.bytes for part in own):
                continue
            parts += ((part.name.partition("/")[0], part) for part in own)
            files += told["files"]
            for kind, name, rows, total in told["told"]:
                if kind == "container":
                    members[name, total] += rows
        incomplete |= {(name, run) for (name, total), found in members.items() if found < total}
    return Unfinished(tuple(parts), frozenset(incomplete), files, last_run)


def _read_tasks(place: CatalogPlace, names: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what tasks have told, one of each partition; an engine may have run two."""
    first = {name.rpartition("/")[2].partition("-")[0]: name for name in reversed(names)}
    with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
        for told in pool.map(lambda name: _read(place, name), sorted(first.values())):
            if told is not None:
                yield told


def _read(place: CatalogPlace, name: str) -> Any:
    try:
        return json.loads(place.read(name))
    except (FileNotFoundError, ValueError):
        return None


def _dump(asked: Mapping[str, Any]) -> bytes:
    return json.dumps(asked, sort_keys=True).encode()
