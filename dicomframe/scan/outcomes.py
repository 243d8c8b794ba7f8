"""Open files wherever they lie, one by one or many at once, and read their headers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

try:
    import resource
except ImportError:  # not on Windows, which sets no such limit
    resource = None  # type: ignore[assignment]

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Learned, Parser, Reading
from dicomframe.dicom.observer import Observer
from dicomframe.inspection import Inspection
from dicomframe.scan.ahead import AheadFile, read_ahead
from dicomframe.scan.archives import SNIFF_BYTES, Kind, nested, read_members, sniff
from dicomframe.scan.feeding import parse_head, read_file_header
from dicomframe.scan.fetching import Fetcher
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.partition import ListedFile
from dicomframe.scan.ranges import FileReader, StorageFault
from dicomframe.scan.storage import Store

__all__ = ["Outcome", "Outcomes"]


Outcome: TypeAlias = tuple[str, FileReader | None, Header | BaseException, ListedFile | None]
"""What became of one file: its URL; the open file, until the next outcome is asked for, None if it
was not to be opened; the header of a sound file, else why there is none; the file as it was listed,
None for a member of an archive. A plain tuple, as is the next one, since they are made of every
file."""

_Opened: TypeAlias = tuple[str, FileReader | None, bytes, Exception | None, ListedFile]
"""The origin of a file, the file if it is open, what was read of it at first, what went wrong
then, and the file as it was listed."""


class Outcomes:
    """Read the headers of one partition's files.

    Parameters
    ----------
    options
        What the read asks for.
    stores
        Where the files lie.
    learned
        What headers before have taught; None for the plain walk.
    wants_pixels
        Whether Pixel Data will be read of the open files too.
    """

    def __init__(
        self,
        options: ReadOptions,
        stores: Sequence[Store],
        learned: Learned | None,
        *,
        wants_pixels: bool,
    ) -> None:
        self._options = options
        self._limits, self._transfer = options.limits, options.transfer
        self._stores = stores
        observe = Inspection if options.warnings else Observer
        self._parser = Parser(observe=observe, limits=options.limits, learned=learned)
        self._wants_pixels = wants_pixels

    def read(self, files: Iterable[ListedFile]) -> Iterator[Outcome]:
        """Yield the outcome of each file, or of each member of an archive, in order."""
        for number, group in groupby(files, attrgetter("store")):
            store = self._stores[number]
            try:
                fetcher = store.connect(self._transfer)
            except StorageFault as fault:
                for listed in group:
                    yield store.origin(listed.path), None, fault, listed
                continue
            if fetcher is None:
                yield from self._read_here(store, group)
            else:
                yield from self._read_ahead(store, fetcher, group)

    def _read_here(self, store: Store, files: Iterable[ListedFile]) -> Iterator[Outcome]:
        """Read headers; of local files some at once, step by step.

        System calls, the parser and Pixel Data drive each other out of the processor's caches.
        """
        most_at_once = _most_at_once() if store.protocol == "file" else 1
        opened: list[_Opened] = []
        try:
            for listed in files:
                opened.append(self._open_one(store, listed))
                is_large = len(opened[-1][2]) > _SMALL_HEAD_BYTES or (
                    self._wants_pixels and (listed.size is None or listed.size > _SMALL_BYTES)
                )
                if is_large or len(opened) >= most_at_once:
                    yield from self._parse(store, opened)
            yield from self._parse(store, opened)
        finally:
            _close(opened)

    def _open_one(self, store: Store, listed: ListedFile) -> _Opened:
        """Open a file and read what the parser wants of it at first."""
        origin = store.origin(listed.path)
        file = None
        try:
            if listed.trouble is not None:
                raise StorageFault(listed.trouble)
            file = store.open(listed.path, listed.size, self._limits, self._transfer)
            head = file.read(*self._parser.first_range(file.size))
            return origin, file, head, None, listed
        except Exception as error:  # a file must never cost the job
            return origin, file, b"", error, listed

    def _parse(self, store: Store, opened: list[_Opened]) -> Iterator[Outcome]:
        """Yield the outcomes of open files, then close them."""
        parser, outcomes = self._parser, []
        for origin, file, head, failure, listed in opened:
            found: Header | BaseException | None = failure
            if failure is None and file is not None:
                try:
                    found = parse_head(parser, origin, file, head)
                    file.finish()
                except Exception as error:  # a file must never cost the job
                    found = error
            outcomes.append((origin, file, found or _NO_HEADER, listed))
        for outcome in outcomes:
            if isinstance(outcome[2], Header):
                yield outcome
            else:
                yield from self._judge(outcome, store)
        _close(opened)

    def _read_ahead(
        self, store: Store, fetcher: Fetcher, files: Iterable[ListedFile]
    ) -> Iterator[Outcome]:
        def start_reading(file: AheadFile) -> Reading[Header]:
            return self._parser.read(file.size, store.origin(file.listed.path))

        for file in read_ahead(files, fetcher, start_reading, wants_pixels=self._wants_pixels):
            header = file.header or file.failure or _NO_HEADER
            outcome = store.origin(file.listed.path), file, header, file.listed
            yield from self._judge(outcome, store)

    def _judge(self, outcome: Outcome, store: Store) -> Iterator[Outcome]:
        """Yield an outcome; of what is no DICOM file but an archive, its members instead."""
        origin, file, damage, listed = outcome
        is_damaged = isinstance(damage, Damage) and damage.reason != "empty"
        if file is None or listed is None or not is_damaged:
            yield outcome
            return
        try:
            kind = self._archive_kind(file)
            if kind is None or store.is_archive:
                yield origin, file, damage if kind is None else nested(kind), listed
                return
            rows = read_members(
                file,
                kind,
                listed.path,
                origin,
                partial(read_file_header, self._parser),
                limits=self._limits,
                keep=self._wants_pixels or self._options.warnings,
                ahead_bytes=self._transfer.first_bytes,
            )
            for own_origin, member, header in rows:
                yield own_origin, member, header, None
        except Exception as error:  # a file must never cost the job
            yield origin, file, error, listed

    def _archive_kind(self, file: FileReader) -> Kind | None:
        if not self._options.archives:
            return None
        return sniff(file.read(0, min(SNIFF_BYTES, file.size)))


def _close(opened: list[_Opened]) -> None:
    for _, file, _, _, _ in opened:
        try:
            if file is not None:
                file.close()
        except StorageFault:
            pass  # what was wanted of it is there
    opened.clear()


def _most_at_once() -> int:
    """Return how many files one thread opens; a thread for each core leaves most descriptors."""
    if resource is None:
        return _MOST_AT_ONCE
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return _MOST_AT_ONCE
    return max(1, min(_MOST_AT_ONCE, allowed // 4 // (os.cpu_count() or 1)))


_NO_HEADER = StorageFault("the file was not read")
_MOST_AT_ONCE = 16
_SMALL_HEAD_BYTES = 24 << 10
_SMALL_BYTES = 1 << 20
