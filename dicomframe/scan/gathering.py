"""Gather the files of one store in little memory, and give them back in order, each once."""

from __future__ import annotations

import heapq
import re
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dicomframe.scan.packing import FILES_SCHEMA, TIMED_SCHEMA, pack_files, unpack_files
from dicomframe.scan.patterns import Selection
from dicomframe.scan.progress import Counter

__all__ = ["Entry", "Rows", "Run", "merge_runs"]

_RUN_ROWS = 50_000
_BLOCK_ROWS = 5_000


class Entry(NamedTuple):
    """A file that was met: its path, length and version, or why it cannot be read.

    When it was modified, in microseconds since 1970, is known only where that was asked for.
    """

    path: bytes
    size: int | None
    version: int | None = None
    trouble: str | None = None
    modified: int | None = None


class _Block(NamedTuple):
    first: bytes
    data: bytes


Run = deque[_Block]
"""Some thousand files in order, each once, in compressed pieces."""


class Rows:
    """Gather the files below one root, column by column; of several threads if need be.

    Attributes
    ----------
    has_met
        Whether anything was met, wanted or not.
    """

    def __init__(
        self,
        selection: Selection | None = None,
        counter: Counter | None = None,
        *,
        with_times: bool = False,
    ) -> None:
        self.has_met = False
        self._counter = counter or Counter()
        self._selection = selection or None
        self._with_times = with_times
        self._base_length = 0
        self._only: re.Pattern[str] | None = None
        self._only_from = 0
        self._lock = threading.Lock()
        self._runs: list[Run] = []
        self._clear()

    def _clear(self) -> None:
        self._entries: list[Entry] = []

    def set_base(self, folder: str) -> None:
        """Tell the folder from which on the patterns of the selection see a path."""
        self._base_length = len(folder.rstrip("/")) + 1 if folder else 0

    def set_glob(self, only: re.Pattern[str] | None, folder: str) -> None:
        """Take only what fits a glob, told from `folder` on; None for all."""
        self._only = only
        self._only_from = len(folder.rstrip("/")) + 1 if folder else 0

    def enters(self, folder: str) -> bool:
        """Tell whether anything below a folder can be wanted."""
        return self._selection is None or self._selection.enters(folder[self._base_length :])

    def append(self, entry: Entry) -> None:
        """Add one file, or what cannot be read as one."""
        self.extend([entry])

    def append_unlisted(self, folder: bytes, trouble: str) -> None:
        """Add a folder that cannot be listed: what would be in it is not known to be unwanted."""
        if self.enters(_decode(folder)):
            self._add([Entry(folder, None, None, trouble)])

    def extend(self, entries: list[Entry]) -> None:
        """Add several at once."""
        if self._selection is not None or self._only is not None:
            entries = [entry for entry in entries if self._wants(_decode(entry.path))]
        self._add(entries)

    def show_count(self) -> None:
        """Tell the count of files; the thread that lists calls it now and then."""
        self._counter.show()

    def runs(self) -> list[Run]:
        """Return all that was gathered; nothing is kept here."""
        self._seal()
        runs, self._runs = self._runs, []
        return runs

    def _wants(self, path: str) -> bool:
        if self._only is not None and not self._only.fullmatch(path, self._only_from):
            return False
        self.has_met = True
        return self._selection is None or self._selection.keeps(path[self._base_length :])

    def _add(self, entries: list[Entry]) -> None:
        if not entries:
            return
        self._counter.add(len(entries))
        with self._lock:
            self.has_met = True
            self._entries += entries
            if len(self._entries) >= _RUN_ROWS:
                self._seal()

    def _seal(self) -> None:
        if self._entries:
            paths, sizes, versions, troubles, times = zip(*self._entries, strict=True)
            self._clear()
            self._runs.append(
                make_run(
                    pa.array(paths, pa.binary()),
                    pa.array(sizes, pa.int64()),
                    pa.array(versions, pa.uint64()),
                    pa.array(troubles, pa.string()),
                    pa.array(times, TIMED_SCHEMA.field("modified").type)
                    if self._with_times
                    else None,
                )
            )


def make_run(
    paths: pa.Array,
    sizes: pa.Array,
    versions: pa.Array,
    troubles: pa.Array,
    modified: pa.Array | None = None,
) -> Run:
    """Return files as a run, whatever their order; of one path the first counts."""
    stores = pa.repeat(pa.scalar(0, pa.int32()), len(paths))
    columns, schema = [stores, paths, sizes, versions, troubles], FILES_SCHEMA
    if modified is not None:
        columns, schema = [*columns, modified], TIMED_SCHEMA
    files = _in_order(pa.RecordBatch.from_arrays(columns, schema=schema))
    return deque(
        _Block(block["path"][0].as_py(), pack_files(block))
        for start in range(0, files.num_rows, _BLOCK_ROWS)
        for block in [files.slice(start, _BLOCK_ROWS)]
    )


def merge_runs(runs: Iterable[Run]) -> Iterator[pa.RecordBatch]:
    """Yield the files of several runs in the order of their paths, each once; use the runs up.

    In memory are the blocks that overlap: one where each run goes on where another ends.
    """
    waiting = [(run[0].first, number, run) for number, run in enumerate(runs) if run]
    heapq.heapify(waiting)
    opened: list[tuple[pa.RecordBatch, bytes, int, Run]] = []
    while waiting or opened:
        # Up to the first end of an open block nothing can come that is not open.
        while waiting and (not opened or waiting[0][0] <= min(each[1] for each in opened)):
            _, number, run = heapq.heappop(waiting)
            block = unpack_files(run.popleft().data)
            opened.append((block, block["path"][-1].as_py(), number, run))
        pivot = min(each[1] for each in opened)
        pieces, still = [], []
        for block, last, number, run in sorted(opened, key=lambda each: each[2]):
            if last == pivot:
                pieces.append(block)
                if run:
                    heapq.heappush(waiting, (run[0].first, number, run))
                continue
            count = _count_up_to(block, pivot)
            pieces.append(block.slice(0, count))
            still.append((block.slice(count), last, number, run))
        opened = still
        yield from _merge(pieces)


def _merge(pieces: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    pieces = [piece for piece in pieces if piece.num_rows]
    if len(pieces) == 1:
        yield pieces[0]
    elif pieces:
        yield _in_order(one_batch(pieces))


def one_batch(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Return the rows of at least one batch as one batch."""
    if len(pieces) == 1:
        return pieces[0]
    (batch,) = pa.Table.from_batches(pieces).combine_chunks().to_batches()
    return batch


def _in_order(files: pa.RecordBatch) -> pa.RecordBatch:
    """Return files in the order of their paths; of those with one path the first."""
    paths, count = files["path"], files.num_rows
    if count < 2:
        return files
    if pc.all(pc.less(paths.slice(0, count - 1), paths.slice(1))).as_py():
        return files
    files = files.take(pc.sort_indices(paths))  # stable
    paths = files["path"]
    is_new = pc.not_equal(paths.slice(1), paths.slice(0, count - 1))
    if pc.all(is_new).as_py():
        return files
    return files.filter(pa.concat_arrays([pa.array([True]), is_new]))


def _count_up_to(files: pa.RecordBatch, path: bytes) -> int:
    paths = files["path"]
    return bisect_right(range(len(paths)), path, key=lambda at: paths[at].as_py())


def _decode(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
