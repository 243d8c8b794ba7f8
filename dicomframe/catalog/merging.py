"""Choose parts that are small or largely dead, and write their live rows into new ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import pyarrow as pa
import pyarrow.parquet as pq

from dicomframe.catalog.columns import FRAMES
from dicomframe.catalog.known import Known
from dicomframe.catalog.parts import write_part
from dicomframe.catalog.place import CatalogPlace
from dicomframe.catalog.state import Part
from dicomframe.scan.live_rows import drop_dead, gone_keys

__all__ = ["Merge", "MergeTask", "choose_merges"]

_MOST_SMALL_PARTS = 8
_MERGED_ROWS = 16_384
_MERGED_BYTES = 32 << 20
_SMALL_ROWS = _MERGED_ROWS // 2
_SMALL_BYTES = _MERGED_BYTES // 2
_DEAD_SHARE = 4
_LARGER = 2


@dataclass(frozen=True, slots=True)
class Merge:
    """Some parts that become one.

    Attributes
    ----------
    frame
        Of which they are.
    numbers
        Their places among all parts.
    parts
        They themselves.
    dead
        The rows that are left out.
    """

    frame: str
    numbers: tuple[int, ...]
    parts: tuple[Part, ...]
    dead: pa.Table

    @property
    def rows(self) -> int:
        """How many rows are read."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True)
class MergeTask:
    """Write the live rows of some parts as one; a picklable callable."""

    place: CatalogPlace
    run: int

    def __call__(self, merge: Merge) -> Part | None:
        """Return the new part, None if no row is left."""
        keys = gone_keys(merge.dead)
        pieces = []
        for part in merge.parts:
            with pq.ParquetFile(self.place.open(part.name), pre_buffer=True) as file:
                table = file.read()
            pieces.append(drop_dead(table, keys) if part.dead else table)
        whole = pa.concat_tables(pieces)
        return write_part(self.place, merge.frame, self.run, whole) if whole.num_rows else None


def choose_merges(parts: Sequence[tuple[str, Part]], known: Known) -> Iterator[Merge]:
    """Yield what should be merged: parts of which a quarter is dead, and small ones if many.

    `parts` are those of `known`, with their dead rows, and others behind them, all with their
    frames.
    """
    for frame in FRAMES:
        own = [number for number, (each, _) in enumerate(parts) if each == frame]
        small = _choose_small([(number, parts[number][1]) for number in own])
        chosen = [
            number
            for number in own
            if number in small or parts[number][1].dead * _DEAD_SHARE > parts[number][1].rows
        ]
        for numbers in _in_groups(chosen, [part for _, part in parts]):
            yield Merge(
                frame,
                tuple(numbers),
                tuple(parts[number][1] for number in numbers),
                known.dead_rows(numbers),
            )


def _choose_small(parts: Sequence[tuple[int, Part]]) -> set[int]:
    """Return the numbers of small parts, but of none that outweighs all smaller ones."""
    small = [
        (part.rows, number)
        for number, part in parts
        if part.rows < _SMALL_ROWS and part.bytes < _SMALL_BYTES
    ]
    if len(small) <= _MOST_SMALL_PARTS:
        return set()
    chosen: set[int] = set()
    total = 0
    for rows, number in sorted(small):
        if len(chosen) > 1 and rows > _LARGER * total:
            break
        chosen.add(number)
        total += rows
    return chosen


def _in_groups(numbers: Sequence[int], parts: Sequence[Part]) -> Iterator[list[int]]:
    """Yield numbers whose parts together make one part, in their order and of like weight."""
    weights = [
        max(parts[number].rows / _MERGED_ROWS, parts[number].bytes / _MERGED_BYTES)
        for number in numbers
    ]
    share = sum(weights) / max(1, ceil(sum(weights)))
    before = 0.0
    groups: dict[int, list[int]] = {}
    for number, weight in zip(numbers, weights, strict=True):
        groups.setdefault(int((before + weight / 2) / share), []).append(number)
        before += weight
    yield from groups.values()
