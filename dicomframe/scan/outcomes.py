"""Open files wherever they lie, one by one or many at once, and read their headers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from dicomframe.dicom.damage import Damage
from dicomframe.dicom.header import Header, Learned, Parser, Reading
from dicomframe.dicom.observer import Observer
from dicomframe.inspection import Inspection
from dicomframe.scan.ahead import AheadFile, read_ahead
from dicomframe.scan.archives import SNIFF_BYTES, Kind, nested, read_members, sniff
from dicomframe.scan.feeding import read_file_header
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


class Outcomes:
    """Read the headers of one partition's files.

    Parameters
    ----------
    options
        What the read asks for.
    stores
        Where the files lie.
    learned
        What headers before have taught.
    wants_pixels
        Whether Pixel Data will be read of the open files too.
    """

    def __init__(
        self,
        options: ReadOptions,
        stores: Sequence[Store],
        learned: Learned,
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
        """Read headers, some before the pixels of any: those drive all else out of the caches."""
        is_local = store.protocol == "file"
        for group in _group(files, _MOST_AT_ONCE if self._wants_pixels and is_local else 1):
            opened: list[Outcome] = []
            try:
                opened += (self._read_one(store, listed) for listed in group)
                for outcome in opened:
                    yield from self._judge(outcome, store)
            finally:
                for _, file, _, _ in opened:
                    if file is not None:
                        with suppress(StorageFault):  # what was wanted of it is there
                            file.close()

    def _read_one(self, store: Store, listed: ListedFile) -> Outcome:
        origin = store.origin(listed.path)
        file = None
        try:
            if listed.trouble is not None:
                raise StorageFault(listed.trouble)
            file = self._open(store, listed)
            header = read_file_header(self._parser, origin, file)
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

    def _open(self, store: Store, listed: ListedFile) -> FileReader:
        limits, transfer = self._options.limits, self._options.transfer
        return store.open(listed.path, listed.size, limits=limits, transfer=transfer)


def _group(files: Iterable[ListedFile], most: int) -> Iterator[list[ListedFile]]:
    """Yield files in groups of `most` or fewer; a large one ends its group."""
    group: list[ListedFile] = []
    for listed in files:
        group.append(listed)
        if len(group) >= most or listed.size is None or listed.size > _LARGE_BYTES:
            yield group
            group = []
    if group:
        yield group


_NO_HEADER = StorageFault("the file was not read")
_MOST_AT_ONCE = 8
_LARGE_BYTES = 1 << 20
