"""Open files wherever they lie, one by one or many at once, and read their headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, starmap
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Learned, Parser, Reading
from dicomframe.dicom.observer import Observer
from dicomframe.inspection import Inspection
from dicomframe.scan.ahead import AheadFile, read_ahead
from dicomframe.scan.archives import SNIFF_BYTES, Kind, nested, read_members, sniff
from dicomframe.scan.feeding import parse_head, read_file_header, read_head
from dicomframe.scan.fetching import Fetcher
from dicomframe.scan.options import ReadOptions
from dicomframe.scan.partition import ListedFile
from dicomframe.scan.ranges import FileReader, StorageFault
from dicomframe.scan.storage import Store

__all__ = ["Outcome", "Outcomes"]


class Outcome(NamedTuple):
    """Tell what became of one file.

    Attributes
    ----------
    origin
        Its URL.
    file
        The open file, until the next outcome is asked for; None if it was not to be opened.
    header
        The header of a sound file, else why there is none.
    listed
        The file as it was listed; None for a member of an archive.
    """

    origin: str
    file: FileReader | None
    header: Header | BaseException
    listed: ListedFile | None


_Opened: TypeAlias = tuple[str, FileReader | None, bytes, Exception | None, ListedFile]
"""The origin of a file, the file if it is open, what was read of it at first, what went wrong
then, and the file as it was listed. A plain tuple, since it is made of every file."""


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
        self._stores = stores
        observe = Inspection if options.warnings else Observer
        self._parser = Parser(observe=observe, limits=options.limits, learned=learned)
        self._wants_pixels = wants_pixels

    def read(self, files: Iterable[ListedFile]) -> Iterator[Outcome]:
        """Yield the outcome of each file, or of each member of an archive, in order."""
        for number, group in groupby(files, attrgetter("store")):
            store = self._stores[number]
            try:
                fetcher = store.connect(self._options.transfer)
            except StorageFault as fault:
                for listed in group:
                    yield Outcome(store.origin(listed.path), None, fault, listed)
                continue
            if fetcher is None:
                yield from self._read_here(store, group)
            else:
                yield from self._read_ahead(store, fetcher, group)

    def _read_here(self, store: Store, files: Iterable[ListedFile]) -> Iterator[Outcome]:
        """Read headers; of local files some at once, step by step.

        System calls, the parser and Pixel Data drive each other out of the processor's caches.
        """
        is_local = store.protocol == "file"
        opened: list[_Opened] = []
        try:
            for listed in files:
                opened.append(self._open_one(store, listed))
                is_small = is_local and len(opened[-1][2]) <= _SMALL_HEAD_BYTES
                if self._wants_pixels:
                    is_small = is_small and listed.size is not None and listed.size <= _SMALL_BYTES
                if not is_small or len(opened) >= _MOST_AT_ONCE:
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
            limits, transfer = self._options.limits, self._options.transfer
            file = store.open(listed.path, listed.size, limits=limits, transfer=transfer)
            return origin, file, read_head(self._parser, file), None, listed
        except Exception as error:  # a file must never cost the job
            return origin, file, b"", error, listed

    def _parse(self, store: Store, opened: list[_Opened]) -> Iterator[Outcome]:
        """Yield the outcomes of open files, then close them."""
        outcomes = starmap(self._parse_one, opened)
        for outcome in list(outcomes) if self._wants_pixels else outcomes:
            if isinstance(outcome.header, Header):
                yield outcome
            else:
                yield from self._judge(outcome, store)
        _close(opened)

    def _parse_one(
        self,
        origin: str,
        file: FileReader | None,
        head: bytes,
        failure: Exception | None,
        listed: ListedFile,
    ) -> Outcome:
        if file is None or failure is not None:
            return Outcome(origin, file, failure or _NO_HEADER, listed)
        try:
            header = parse_head(self._parser, origin, file, head)
            file.finish()
        except Exception as error:  # a file must never cost the job
            return Outcome(origin, file, error, listed)
        return Outcome(origin, file, header, listed)

    def _read_ahead(
        self, store: Store, fetcher: Fetcher, files: Iterable[ListedFile]
    ) -> Iterator[Outcome]:
        def start_reading(file: AheadFile) -> Reading[Header]:
            return self._parser.read(file.size, store.origin(file.listed.path))

        for file in read_ahead(files, fetcher, start_reading, wants_pixels=self._wants_pixels):
            header = file.header or file.failure or _NO_HEADER
            outcome = Outcome(store.origin(file.listed.path), file, header, file.listed)
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
                yield outcome if kind is None else outcome._replace(header=nested(kind))
                return
            rows = read_members(
                file,
                kind,
                listed.path,
                origin,
                partial(read_file_header, self._parser),
                limits=self._options.limits,
                keep=self._wants_pixels or self._options.warnings,
                ahead_bytes=self._options.transfer.first_bytes,
            )
            for own_origin, member, header in rows:
                yield Outcome(own_origin, member, header, None)
        except Exception as error:  # a file must never cost the job
            yield outcome._replace(header=error)

    def _archive_kind(self, file: FileReader) -> Kind | None:
        if not self._options.archives:
            return None
        return sniff(file.read(0, min(SNIFF_BYTES, file.size)))


def _close(opened: list[_Opened]) -> None:
    for _, file, *_ in opened:
        try:
            if file is not None:
                file.close()
        except StorageFault:
            pass  # what was wanted of it is there
    opened.clear()


_NO_HEADER = StorageFault("the file was not read")
_MOST_AT_ONCE = 16
_SMALL_HEAD_BYTES = 24 << 10
_SMALL_BYTES = 1 << 20
